"""Run all combinations of the swept values, as Hydra's basic sweeper, with jobs that may fail."""

from collections.abc import Mapping
from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from seqtext.display import count_noun
from seqtext.errors import OptionError, UserError
from seqtext.sweeps.job import Job
from seqtext.sweeps.space import build_combinations, join_arguments, parse_overrides
from seqtext.sweeps.sweep import SweepRunner
from seqtext.validation import PositiveInt, find_type_error


class GridSweeper(BasicSweeper):
    """Runs the unfinished jobs of a grid; a failed job does not stop the others.

    Args:
        max_batch_size: number of jobs passed to the launcher at once; None: all
        params: swept values; those of the command line have priority
    """

    def setup(self, **context: Any) -> None:
        """Create the launcher.

        Raises:
            OptionError: if an option of the sweeper is invalid.
        """
        if expected := find_type_error(self.max_batch_size, PositiveInt | None):
            raise OptionError("hydra.sweeper.max_batch_size", self.max_batch_size, expected)
        if not isinstance(self.params, Mapping):
            raise OptionError("hydra.sweeper.params", self.params, "options and their values")
        super().setup(**context)

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs.

        Raises:
            SweepFailed: if one failed.
            Exception: the common error, if no job can run.
        """
        config = cast(DictConfig, self.config)  # set by `setup`
        context = cast(HydraContext, self.hydra_context)
        launcher = cast(Launcher, self.launcher)
        loader = context.config_loader
        overrides = parse_overrides(join_arguments(self._parse_config(), arguments), loader)
        for override in overrides:
            if override.is_interval_sweep():
                raise UserError(
                    f"{override.input_line} is a search space: add hydra/sweeper=optuna, or "
                    f"list the values."
                )
        combinations = build_combinations(overrides, config, loader)
        sweep = SweepRunner(config, context, launcher)
        jobs = [
            sweep.job_builder.build(
                each.overrides, each.swept, hydra_overrides=each.hydra_overrides
            )
            for each in dict.fromkeys(combinations)
        ]
        sweep.raise_common_error(jobs)
        with sweep:
            sweep.progress.total = len(jobs)
            sweep.progress.print(f"{count_noun(len(jobs), 'job')} in {sweep.folder}")
            if repeated := len(combinations) - len(jobs):
                sweep.progress.print(f"{repeated} more repeat one of these, and are not run.")
            for batch in self.split_overrides_to_chunks(cast(Any, jobs), self.max_batch_size):
                sweep.run(cast(list[Job], batch))
            sweep.finish()
