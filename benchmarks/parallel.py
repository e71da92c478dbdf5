"""Compare sweeps of small models with sequential jobs on all cores and parallel jobs on one each.

    python benchmarks/parallel.py [jobs]

Runs the same jobs (GRUs of 32 to 64 units on 2,000 real reviews) with the basic launcher on all
cores, and with hydra/launcher=joblib on one core each. Rounds alternate; times are those of the
whole command.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
ROUNDS = 3
WAYS = {"one after the other": "basic", "side by side": "joblib"}
OPTIONS = (
    "dataset=imdb",
    "split.max_train_examples=2000",
    "tokenizer.max_length=200",
    "model=gru,lstm",
)
OPTIONS += ("tokenizer.max_length=200", "trainer=cpu", "trainer.max_epochs=2", "patience=null")


def seconds(folder: Path, launcher: str, units: str) -> float:
    """Return the seconds of one sweep, from the command to its end."""
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, str(ROOT / "train.py"), "-m", *OPTIONS, f"model.units={units}"]
    started = time.perf_counter()
    subprocess.run(
        [*command, f"hydra/launcher={launcher}"],
        cwd=folder,
        env=free,
        check=True,
        stdout=sys.stderr,
    )
    return time.perf_counter() - started


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    units = ",".join(str(32 + 4 * number) for number in range(jobs // 2))
    with tempfile.TemporaryDirectory() as folder:
        seconds(Path(folder), "basic", "8")  # the data are prepared
        rounds = [
            {way: seconds(Path(folder), launcher, units) for way, launcher in WAYS.items()}
            for _ in range(ROUNDS)
        ]
    first, second = WAYS
    ratios = sorted(times[first] / times[second] for times in rounds)
    for way in WAYS:
        print(f"{way:20} {statistics.median(times[way] for times in rounds):6.1f} s")
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    print(f"ratio                {statistics.median(ratios):6.2f}   ({spread})")
    print(f"{jobs} jobs on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
