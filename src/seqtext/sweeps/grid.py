"""Every combination of the swept values: Hydra's basic sweeper, for jobs that may fail."""

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from seqtext.display import count_noun
from seqtext.sweeps.sweep import Sweep


class Grid(BasicSweeper):
    """Runs what has not finished yet; a failed job stops no other.

    Args:
        max_batch_size: jobs that are handed to the launcher at once; None: all
        params: swept values; those on the command line come first
    """

    def sweep(self, arguments: list[str]) -> None:
        """Run the jobs.

        Raises:
            Incomplete: if one failed.
            Exception: what is wrong with the command line, where no job can be.
        """
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(overrides, self.max_batch_size)
        swept = [o.get_key_element() for o in overrides if o.is_sweep_override()]
        total = sum(len(batch) for batch in batches)
        sweep = Sweep(self.config, self.hydra_context, self.launcher, total)
        jobs = [[sweep.job(job, swept) for job in batch] for batch in batches]
        if all(job.wrong for batch in jobs for job in batch):
            raise jobs[0][0].wrong
        sweep.progress.say(f"{count_noun(total, 'job')} in {sweep.folder}")
        for batch in jobs:
            sweep.run(batch)
        sweep.finish()
