"""Random damage to run files: a report, or a one-line message."""

import json
import random
import shutil
from contextlib import suppress

import pytest

from seqtext.errors import UserError
from seqtext.reporting import bootstrap
from seqtext.reporting.report import build_report
from seqtext.reporting.report_files import write_report
from tests.reporting.fake_runs import PROVENANCE, write_run

FILES = ("metrics.json", ".hydra/hydra.yaml", ".hydra/config.yaml", "predictions/test.parquet")
VALUES = (None, True, -1, 0, 1e400, 10**30, "x", "", [], [None], {}, {"a": None}, float("nan"))


def damage_bytes(rng: random.Random, data: bytes) -> bytes:
    """Cut, flip or fill some bytes."""
    place = rng.randrange(len(data))
    kind = rng.randrange(3)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    return data[:place] + rng.choice([b"\0" * 9, b"\xff", b"[" * 5000, b'"']) + data[place + 9 :]


def damage_value(rng: random.Random, value):
    """Replace one value at any depth, or drop it."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
        return rng.choice(VALUES)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = rng.choice(keys)
    if isinstance(value, dict) and rng.random() < 0.15:
        return {k: v for k, v in value.items() if k != key}
    changed = value.copy()
    changed[key] = damage_value(rng, value[key])
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_random_damage(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 250)
    rng = random.Random(seed)
    for number, model in enumerate(("gru", "lstm", "gru")):
        folder = tmp_path / "whole" / f"{number}"
        write_run(folder, model, number, options={"model.units": 8}, provenance=PROVENANCE)
    jobs = [{"folder": "j", "status": "failed", "reason": "r", "overrides": []}]
    sweep = json.dumps({"name": "n", "command": "c", "jobs": jobs})
    (tmp_path / "whole" / "sweep.json").write_text(sweep)
    for turn in range(30):
        folder = tmp_path / str(turn)
        shutil.copytree(tmp_path / "whole", folder)
        if turn % 2:
            path = folder / rng.choice(["sweep.json", "0/metrics.json", "0/metrics.json"])
            changed = damage_value(rng, json.loads(path.read_text()))
            path.write_text(json.dumps(changed))
        else:
            path = folder / rng.choice(["sweep.json", *(f"0/{name}" for name in FILES)])
            path.write_bytes(damage_bytes(rng, path.read_bytes()))
        with suppress(UserError):  # a report, or a sentence; nothing else
            write_report(folder / "report", build_report([folder], None))
        shutil.rmtree(folder)
