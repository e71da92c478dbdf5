"""Check whether a job can run before it starts, and find the files that it reads."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqtext.config.error_messages import format_error
from seqtext.config.trust import allow_any_class
from seqtext.errors import UserError
from seqtext.fast_imports import fast_imports

REMOTE_LAUNCHERS = ("slurm", "ray")  # launchers of jobs on machines with other files and devices


class PreflightCheck:
    """Checks settings without training; each file is read once.

    Args:
        config: configuration of a sweep
    """

    def __init__(self, config: DictConfig):
        launcher = str(OmegaConf.select(config, "hydra.launcher._target_")).lower()
        self._is_remote = any(word in launcher for word in REMOTE_LAUNCHERS)
        self._contents: dict[tuple[Path, ...], str] = {}

    def __call__(self, settings: dict[str, Any]) -> Mapping[str, str | None] | None:
        """Return digests of the files of a run; None if the run is on another machine.

        Raises:
            UserError: if an option is invalid or a file is missing.
        """
        try:
            with _silence_imports():
                from seqtext.config.fingerprints import digest_input_files

                return digest_input_files(settings, self._contents)
        except (UserError, OSError) as error:
            if self._is_remote:
                return None
            raise UserError(format_error(error)) from error

    def read_fingerprints(self, settings: dict[str, Any]) -> Mapping[str, Any]:
        """Read the files of settings that were checked, and return their fingerprints.

        Raises:
            UserError: if they cannot be read.
        """
        with _silence_imports(), allow_any_class():
            from seqtext.config.fingerprints import read_fingerprints

            return read_fingerprints(settings)


@contextmanager
def _silence_imports() -> Iterator[None]:
    """Silence messages of imports in the context: an earlier job's log may still be open."""
    logging.disable(logging.WARNING)
    try:
        with fast_imports(), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)
