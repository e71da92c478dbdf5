"""Logger for CSV files."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from seqtext.files import write_text
from seqtext.loggers.base import ResultLogger


class RunCSVLogger(ResultLogger, CSVLogger):
    """Logs to csv/metrics.csv and csv/hparams.yaml; the last row has the final scores.

    Args:
        folder: folder of the run
    """

    def __init__(self, folder: str | Path):
        super().__init__(folder, name="", version="csv", flush_logs_every_n_steps=1)

    @property
    def experiment(self) -> "ResumableWriter":
        """Return the writer of the files."""
        if self._experiment is None:
            self._experiment = ResumableWriter(self.log_dir)
        return cast(ResumableWriter, self._experiment)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Append a row; without a step, it is that of the last row."""
        super().log_metrics(dict(metrics), self.experiment.begin_row(step))
        self.save()


class ResumableWriter(ExperimentWriter):
    """Lightning's writer, which continues the file of an interrupted run.

    Rows of steps that are repeated after the last checkpoint are replaced.
    """

    def __init__(self, log_dir: str):
        self.last_step = 0
        self._has_begun = False
        super().__init__(log_dir)

    def begin_row(self, step: int | None) -> int:
        """Return the step of the next row; before the first one, remove rows of later steps."""
        if step is not None:
            if not self._has_begun:
                self._remove_rows_from(step)
            self._has_begun, self.last_step = True, step
        return self.last_step

    def _check_log_dir_exists(self) -> None:
        """Read the columns of an existing file, which Lightning's writer would delete."""
        rows = self._read_rows()
        if rows:
            self.metrics_keys = list(rows[0])
            self.last_step = max(int(row["step"]) for row in rows)

    def _remove_rows_from(self, step: int) -> None:
        rows = self._read_rows()
        kept = [row for row in rows if int(row["step"]) < step]
        if len(kept) == len(rows):
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.metrics_keys)
        writer.writeheader()
        writer.writerows(kept)
        write_text(Path(self.metrics_file_path), text.getvalue())

    def _read_rows(self) -> list[dict[str, str]]:
        """Read the rows; those of a damaged file are replaced."""
        path = Path(self.metrics_file_path)
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            for row in rows:
                int(row["step"])
        except (LookupError, ValueError, TypeError, csv.Error):
            path.unlink()
            return []
        return rows
