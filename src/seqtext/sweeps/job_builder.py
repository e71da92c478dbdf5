"""Build the jobs of a sweep from their overrides: settings, folder, label, files."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from seqtext.best_run import compose_run_config
from seqtext.config.error_messages import USER_ERRORS
from seqtext.config.trust import trust_command_line
from seqtext.config.unlisted_options import allow_unlisted_options
from seqtext.errors import UserError
from seqtext.run_names import append_hash, build_run_name, format_override_slug
from seqtext.sweeps.job import Job, format_error_reason
from seqtext.sweeps.preflight import PreflightCheck

TRIAL_VARIABLE = "SEQTEXT_TRIAL"
NO_RESUME = "resume= continues one run, and cannot be part of a sweep: leave out -m."
MAX_PATH_LENGTH = 40  # characters of a path in a job's label


class JobBuilder:
    """Builds jobs with distinct folders.

    Args:
        config: configuration of the sweep
        loader: Hydra's configuration loader
        folder: folder of the sweep
        preflight: checks a job before it runs
    """

    def __init__(
        self, config: DictConfig, loader: ConfigLoader, folder: Path, preflight: PreflightCheck
    ):
        self._config, self._loader, self._folder = config, loader, folder
        self._preflight = preflight
        self._experiment = config.hydra.runtime.choices.get("experiment")
        self._names: dict[str, tuple[str, ...]] = {}  # overrides by folder

    def build(
        self,
        overrides: Sequence[str],
        swept: Collection[str],
        within: str = "",
        trial: str = "",
        hydra_overrides: Sequence[str] = (),
        folder: str = "",
    ) -> Job:
        """Build the job of these overrides.

        Args:
            overrides: command line overrides with one value each
            swept: keys of the overrides that differ between jobs
            within: name of a subfolder, if several runs are one trial
            trial: number of the trial in an Optuna study
            hydra_overrides: overrides of Hydra's own options, which are not part of names
            folder: folder of the job; by default, its name is made from the overrides
        """
        overrides = allow_unlisted_options(overrides)
        swept = {key.lstrip("+~") for key in swept}
        label = "  ".join(map(_shorten_override, _select_by_key(overrides, swept)))
        try:
            composed = self._loader.load_sweep_config(self._config, [*overrides, *hydra_overrides])
            if composed.resume is not None:
                raise UserError(NO_RESUME)
            task = list(composed.hydra.overrides.task)
            settings = compose_run_config(composed, task)
        except (*USER_ERRORS, ValueError, TypeError, AssertionError) as error:
            chosen = [o.partition("=")[2] for o in _select_by_key(overrides, ("dataset", "model"))]
            name = folder or build_run_name(overrides, *chosen or ["job"], swept=swept)
            return Job(overrides, name, label or name, error=self._to_user_error(overrides, error))
        choices = composed.hydra.runtime.choices
        if self._experiment:  # equal for all jobs
            task = [o for o in task if not o.startswith("experiment=")]
        unfolded = [o for o in task if not (within and o.startswith("split.fold"))]
        if not folder:
            start = str(choices["dataset"]), str(choices["model"])
            name = build_run_name(unfolded, *start, swept=swept)
            name = self._make_unique_name(name, tuple(unfolded))
            folder = f"{name}/{within}" if within else name
        hydra_overrides = [
            *self._build_hydra_overrides(folder, composed, trial),
            *hydra_overrides,
        ]
        job = Job(overrides, folder, label or folder, settings, hydra_overrides=hydra_overrides)
        try:
            with trust_command_line(composed, composed.hydra.overrides.task):
                return replace(job, files=self._preflight(settings))
        except UserError as error:
            return replace(job, blocked_by=error)

    def _make_unique_name(self, name: str, overrides: tuple[str, ...]) -> str:
        """Return `name`, with a hash if another job has it, ignoring case."""
        if self._names.setdefault(name.casefold(), overrides) == overrides:
            return name
        return append_hash(name, overrides)

    def _to_user_error(self, overrides: Sequence[str], error: Exception) -> Exception:
        """Replace unclear errors of Hydra: an experiment that is a sweep, a group set to null."""
        if "before the sweep starts" in str(error):
            return UserError(
                "this experiment is a search, or has its own launcher: start it alone, without -m."
            )
        if isinstance(error, USER_ERRORS):
            return error
        for override in overrides:
            key, _, value = override.partition("=")
            if value == "null" and (known := self._loader.get_group_options(key)):
                choices = ", ".join(known)
                return UserError(f"{override} is not possible: it must be one of {choices}.")
        return UserError(format_error_reason(error))

    def _build_hydra_overrides(self, folder: str, composed: DictConfig, trial: str) -> list[str]:
        """List the overrides for a worker, which may lack this program's resolvers.

        Its log goes to its file only; the sweep prints to the terminal.
        """
        hydra_overrides = [
            f"hydra.sweep.dir={quote_override(str(self._folder))}",
            f"hydra.sweep.subdir={quote_override(folder)}",
            "hydra.output_subdir=.hydra",
        ]
        handlers = OmegaConf.select(composed, "hydra.job_logging.root.handlers") or []
        if "console" in handlers:
            kept = ",".join(handler for handler in handlers if handler != "console")
            hydra_overrides.append(f"hydra.job_logging.root.handlers=[{kept}]")
        if trial:
            hydra_overrides.append(f"+hydra.job.env_set.{TRIAL_VARIABLE}={quote_override(trial)}")
        return hydra_overrides


def quote_override(value: str) -> str:
    """Quote a value for Hydra's grammar."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _select_by_key(overrides: Sequence[str], keys: Collection[str]) -> list[str]:
    return [o for o in overrides if o.partition("=")[0].lstrip("+~") in keys]


def _shorten_override(override: str) -> str:
    key, _, value = override.partition("=")
    if key in ("dataset", "model"):
        return value
    if "/" in value and len(value) <= MAX_PATH_LENGTH:
        return f"{key.rpartition('.')[2]}={value}"
    return format_override_slug(override)
