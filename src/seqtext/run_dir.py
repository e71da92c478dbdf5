"""The run folder: its paths, its lock, and whether the run has finished."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seqtext.errors import UserError
from seqtext.files import remove_temporaries, write_json
from seqtext.metrics_file import METRICS_FILE, read_metrics

LANGUAGE_MODEL_FILE = "language_model.json"  # the result of task=lm, instead of metrics.json
RESULT_FILE = "outcome.json"  # of a job of a sweep that did not finish
SWEEP_FILE = "sweep.json"
TRIALS_FOLDER = "search"  # in the folder of a race: runs that chose the settings of others
LOG_FILE = "train.log"  # as in conf/config.yaml
RUN_FOLDERS = (  # of a run
    *(".hydra", ".hydra/resumed", "checkpoints", "figures", "predictions"),
    *("csv", "wandb"),
)


class RunDirInUse(UserError):
    """Another process uses the folder."""


class RunDir:
    """The folder of one run, in which only one process writes at a time.

    `metrics.json` is written last and atomically: it exists if and only if the run finished.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.metrics_path = self.path / METRICS_FILE
        self.best_checkpoint = self.path / "checkpoints" / "best.ckpt"
        self.last_checkpoint = self.path / "checkpoints" / "last.ckpt"
        self.figures = self.path / "figures"
        self._lock = FileLock(self.path / ".lock")

    def predictions(self, part: str) -> Path:
        """Return the path of the predictions of a split."""
        return self.path / "predictions" / f"{part}.parquet"

    @property
    def is_finished(self) -> bool:
        """Return whether there is a result, of a classifier or a language model."""
        return self.metrics_path.exists() or (self.path / LANGUAGE_MODEL_FILE).exists()

    @property
    def has_started(self) -> bool:
        """Return whether a run has started in this folder."""
        return self.last_checkpoint.exists() or (self.path / ".hydra" / "config.yaml").exists()

    def lock(self, resume: bool) -> None:
        """Lock the folder for the lifetime of this process; delete files of a killed process.

        Raises:
            UserError: if another process uses it, or it contains a run and `resume` is false.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunDirInUse(f"{self.path} is in use by another process: wait for it.") from error
        if not resume and (self.is_finished or self.last_checkpoint.exists()):
            self.unlock()
            raise build_run_exists_error(self.path)
        for folder in (".", *RUN_FOLDERS):
            remove_temporaries(self.path / folder)

    def is_locked(self) -> bool:
        """Return whether another process uses the folder."""
        if not self.path.is_dir():
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def remove_events(self) -> None:
        """Delete the event files of a killed run: TensorBoard would show its curves too."""
        for file in (*self.path.glob("events.out.tfevents*"), self.path / "csv" / "metrics.csv"):
            file.unlink(missing_ok=True)

    def delete_if_never_started(self) -> None:
        """Delete Hydra's files of a run that failed before its first checkpoint.

        Does nothing if another process uses the folder.
        """
        try:
            self.lock(resume=False)
        except (UserError, OSError):
            return
        shutil.rmtree(self.path / ".hydra", ignore_errors=True)
        if not any(self.path.glob("events.out.tfevents*")):  # it has not trained
            (self.path / LOG_FILE).unlink(missing_ok=True)
        self.unlock()
        with suppress(OSError):  # keep a folder that contains other files
            (self.path / ".lock").unlink(missing_ok=True)
            self.path.rmdir()

    def unlock(self) -> None:
        """Release the lock."""
        self._lock.release()

    def read_metrics(self, required: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the content of metrics.json, or None if the run has not finished."""
        return read_metrics(self.metrics_path, required) if self.metrics_path.exists() else None

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json atomically."""
        write_json(self.metrics_path, metrics)


def list_metrics_files(folder: Path) -> list[Path]:
    """List the files metrics.json in and below a folder, sorted.

    Trials of a race are not listed, unless the folder is that of the trials or of one: the results
    of a race are its final runs.
    """
    return [f for f in sorted(folder.rglob(METRICS_FILE)) if not _is_trial(f, folder)]


def _is_trial(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return any(
        part == TRIALS_FOLDER and (folder.joinpath(*parts[:number]) / SWEEP_FILE).exists()
        for number, part in enumerate(parts)
    )


def check_links(path: Path) -> None:
    """Refuse a run folder that contains a link to a place outside of it.

    The folder may be untrusted, and files would be written to that place. The folder itself may be
    a link.

    Raises:
        UserError: if there is such a link.
    """
    if not path.is_dir():
        return
    inside = path.resolve()
    places = [path / name for name in RUN_FOLDERS]
    for place in [path, *(p for p in places if p.is_dir() and not p.is_symlink())]:
        for entry in place.iterdir():
            if entry.is_symlink() and not entry.resolve().is_relative_to(inside):
                raise UserError(
                    f"{entry} is a link out of the run folder: replace it by the files it links to."
                )


def build_run_exists_error(path: Path) -> UserError:
    """Build the error for a new run in the folder of an existing one."""
    return UserError(
        f"{path} already holds a run: choose another folder, or resume it with resume={path}."
    )
