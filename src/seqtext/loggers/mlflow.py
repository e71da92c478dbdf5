"""Logger for MLflow."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger

from seqtext.errors import UserError
from seqtext.loggers.base import ResultLogger
from seqtext.loggers.packages import read_run_id, require_package, write_run_id

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DATABASE = "mlflow.db"
ADDRESS_VARIABLE = "MLFLOW_TRACKING_URI"
NOTES_TAG = "mlflow.note.content"  # MLflow shows this tag as the description


@contextmanager
def _keep_environment() -> Iterator[None]:
    """Undo that Lightning sets MLflow's address for all later runs of this process."""
    before = os.environ.get(ADDRESS_VARIABLE)
    try:
        yield
    finally:
        os.environ.pop(ADDRESS_VARIABLE, None)
        if before is not None:
            os.environ[ADDRESS_VARIABLE] = before


class RunMLFlowLogger(ResultLogger, MLFlowLogger):
    """Logs to an MLflow server, or to the file mlflow.db beside the folder of the run.

    Args:
        folder: folder of the run; its name is that of the run in MLflow
        experiment_name: name of the experiment
        tracking_uri: address of the server; None: that of MLFLOW_TRACKING_URI, or else the file
    """

    def __init__(
        self,
        folder: str | Path,
        experiment_name: str = "seqtext",
        tracking_uri: str | None = None,
    ):
        require_package("mlflow", "mlflow", "mlflow-skinny")
        path = Path(folder).absolute()
        self._id_file, self._lock_file = path / "mlflow_run_id", path.parent / f".{DATABASE}.lock"
        address = tracking_uri or os.environ.get(ADDRESS_VARIABLE)
        self._is_local = not address
        self._files = (path.parent / "mlflow_files").as_uri()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock_file):  # MLflow creates the tables of the file
            super().__init__(
                experiment_name=experiment_name,
                run_name=path.name,
                tracking_uri=address or f"sqlite:///{path.parent / DATABASE}",
                artifact_location=None if address else self._files,
                run_id=read_run_id(self._id_file),
            )
        if self._is_local:
            self._check_database()

    @property
    def experiment(self) -> "MlflowClient":
        """Return MLflow's client; the first call creates the experiment and the run."""
        if not self._initialized:
            with FileLock(self._lock_file), _keep_environment():
                client = super().experiment
            if self._run_id:
                write_run_id(self._id_file, self._run_id)
            return client
        return super().experiment

    def _check_database(self) -> None:
        """Refuse a database, which may be another's, that stores files elsewhere."""
        experiment = self._mlflow_client.get_experiment_by_name(self._experiment_name)
        folders = [experiment.artifact_location] if experiment else []
        if self._run_id:
            uri = self._mlflow_client.get_run(self._run_id).info.artifact_uri
            folders.append(uri.removesuffix(f"/{self._run_id}/artifacts"))
        for folder in folders:
            if folder != self._files:
                raise UserError(
                    f"{DATABASE} stores the files of runs in {folder}, not in {self._files}: "
                    f"remove {DATABASE}, or set logger.mlflow.tracking_uri."
                )

    def log_tags(self, tags: Sequence[str], notes: str | None) -> None:
        """Set a tag of MLflow for each tag, and the description of the run."""
        for tag in tags:
            self.experiment.set_tag(str(self.run_id), tag, "true")
        if notes:
            self.experiment.set_tag(str(self.run_id), NOTES_TAG, notes)

    def log_figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files as artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            for name, png in figures.items():
                file = Path(folder, *name.split("/")).with_suffix(".png")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png)
            self.experiment.log_artifacts(str(self.run_id), folder, "figures")

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text as an artifact."""
        self.experiment.log_text(str(self.run_id), text, f"{name}.md")
