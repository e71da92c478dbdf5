"""Logger for Weights & Biases."""

import html
import io
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from seqtext.loggers.base import ResultLogger
from seqtext.loggers.packages import read_run_id, require_package, write_run_id


class RunWandbLogger(ResultLogger, WandbLogger):
    """Logs to Weights & Biases, or without an account to the folder of the run.

    Args:
        folder: folder of the run; its name is that of the run
        project: name of the project
        entity: team; None: your own
        group: group of runs
        offline: whether to write to the folder only; None: if not logged in
    """

    def __init__(
        self,
        folder: str | Path,
        project: str = "seqtext",
        entity: str | None = None,
        group: str | None = None,
        offline: bool | None = None,
    ):
        require_package("wandb", "wandb", "wandb")
        path = Path(folder)
        id_file = path / "wandb" / "run_id"
        run_id = read_run_id(id_file) or secrets.token_hex(4)
        write_run_id(id_file, run_id)
        is_offline = not _is_logged_in() if offline is None else offline
        super().__init__(
            name=path.absolute().name,
            save_dir=str(path),
            id=run_id,
            offline=is_offline,
            mode="offline" if is_offline else None,
            project=project,
            entity=entity,
            group=group,
        )

    def log_tags(self, tags: Sequence[str], notes: str | None) -> None:
        """Set the tags and notes of the run."""
        self.experiment.tags, self.experiment.notes = tuple(tags), notes

    def log_results(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Log the settings as the run's config and the final scores as its summary."""
        self.log_hyperparams(dict(settings))
        self.experiment.summary.update(dict(scores))

    def log_figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files as images."""
        from PIL import Image

        for name, png in figures.items():
            self.log_image(name, [Image.open(io.BytesIO(png))])

    def log_markdown(self, name: str, text: str) -> None:
        """Log a text as a page."""
        import wandb

        self.experiment.log({name: wandb.Html(f"<pre>{html.escape(text)}</pre>")})

    def close(self) -> None:
        """End the run: the next run of this process would be added to it."""
        if self._experiment is not None:
            self._experiment.finish()


def _is_logged_in() -> bool:
    """Return whether an API key is known, or the environment chooses the mode."""
    import wandb

    return "WANDB_MODE" in os.environ or bool(wandb.api.api_key)
