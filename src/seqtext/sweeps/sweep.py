"""Jobs to a launcher, those that are still to do; word of each as it ends, by its folder."""

import io
import threading
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqtext.cli import MISTAKES, Incomplete, part_of_name, run_name, sentence
from seqtext.options import UserError
from seqtext.results.folder import RunFolder
from seqtext.sweeps.job import Job, Outcome, forget_outcome, other_settings, outcome_in
from seqtext.sweeps.progress import Progress
from seqtext.sweeps.winner import settings_of_job

POLL = 0.3  # seconds between two looks for jobs that ended


class Sweep:
    """Runs jobs under one folder, whatever the launcher, each once over any number of commands.

    Args:
        config: of the sweep
        context: Hydra's
        launcher: basic, joblib, submitit, ray, …
        total: number of jobs
    """

    def __init__(self, config: DictConfig, context: HydraContext, launcher: Launcher, total: int):
        self.config, self.context, self.launcher = config, context, launcher
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.progress = Progress(self.folder, total, config.monitor)
        self._launched = 0

    def job(
        self, overrides: Sequence[str], swept: Sequence[str], within: str = "", trial: str = ""
    ) -> Job:
        """The job that these overrides make.

        Args:
            overrides: of the command line, one value each
            swept: keys of those that differ from job to job
            within: name below its folder, where several runs make one trial
            trial: number in an Optuna study
        """
        label = "  ".join(map(_short, _with_keys(overrides, swept)))
        try:
            composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            task = list(composed.hydra.overrides.task)
            settings = settings_of_job(composed, task)
        except (UserError, HydraException, OmegaConfBaseException) as error:
            chosen = [o.partition("=")[2] for o in _with_keys(overrides, ("dataset", "model"))]
            return Job(overrides, run_name(overrides, *chosen or ["job"]), label, wrong=error)
        choices = composed.hydra.runtime.choices
        if self.config.hydra.runtime.choices.get("experiment"):  # all jobs have the same
            task = [o for o in task if not o.startswith("experiment=")]
        unfolded = [o for o in task if not (within and o.startswith("split.fold"))]
        name = run_name(unfolded, choices["dataset"], choices["model"])
        folder = f"{name}/{within}" if within else name
        handed = self._handed(folder, composed, trial)
        return Job(overrides, folder, label or name, settings, handed=handed)

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """How each of the jobs ended, after those were run that had not finished."""
        self._make_folder()
        ended, to_do = {}, {}
        for job in jobs:
            if job.folder in ended or job.folder in to_do:
                continue
            if outcome := self._known(job):
                ended[job.folder] = outcome
                self.progress.known(job, outcome)
            else:
                to_do[job.folder] = job
        if to_do:
            ended |= self._launch(to_do)
        self.progress.write()
        return [ended[job.folder] for job in jobs]

    def finish(self) -> None:
        """Sum up.

        Raises:
            Incomplete: if a job failed.
        """
        self.progress.sum_up()
        if any(outcome.status == "failed" for outcome in self.progress.ended.values()):
            raise Incomplete

    def _make_folder(self) -> None:
        """Not before there is something to run: a refused sweep leaves nothing behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, self.folder / "multirun.yaml")

    def _known(self, job: Job) -> Outcome | None:
        """How a job ended earlier, or why it cannot run; None if it is still to do."""
        folder = self.folder / job.folder
        if job.wrong:
            return Outcome("failed", reason=sentence(job.wrong))
        if reason := other_settings(folder, job.settings):
            return Outcome("failed", reason=reason)
        outcome = outcome_in(folder)
        if outcome and outcome.status != "failed":
            return outcome
        if RunFolder(folder).in_use():  # its job would find out too, but write a log there
            return Outcome("failed", reason=f"{folder} is in use by another process: wait for it.")
        return None

    def _launch(self, jobs: dict[str, Job]) -> dict[str, Outcome]:
        for name in jobs:
            forget_outcome(self.folder / name)
        returns, broken = [], None
        calls = [[*job.overrides, *job.handed] for job in jobs.values()]
        with _Watch(self.folder, jobs, self.progress.ran) as watch:
            try:
                returns = self.launcher.launch(calls, initial_job_idx=self._launched)
            except KeyboardInterrupt:
                self.progress.say("Interrupted: the same command goes on.")
                raise
            except Exception as error:  # of the launcher: a worker died, a cluster is gone
                broken = error
        self._launched += len(jobs)
        for number, job in enumerate(jobs.values()):
            if job.folder not in watch.ended:
                result = returns[number] if number < len(returns) else broken
                outcome = watch.ended[job.folder] = _outcome_of(result)
                self.progress.ran(job, outcome)
        return watch.ended

    def _handed(self, folder: str, composed: DictConfig, trial: str) -> list[str]:
        """What a job need not work out by itself: a worker may not know this program's resolvers.

        Its log lines go to its file; the terminal belongs to the sweep.
        """
        handed = [
            f"hydra.sweep.dir={_quoted(str(self.folder))}",
            f"hydra.sweep.subdir={_quoted(folder)}",
            "hydra.output_subdir=.hydra",
        ]
        handlers = OmegaConf.select(composed, "hydra.job_logging.root.handlers") or []
        if "console" in handlers:
            kept = ",".join(handler for handler in handlers if handler != "console")
            handed.append(f"hydra.job_logging.root.handlers=[{kept}]")
        if trial:
            handed.append(f"+hydra.job.env_set.{TRIAL}={_quoted(trial)}")
        return handed


TRIAL = "SEQTEXT_TRIAL"


class _Watch(threading.Thread):
    """Looks at folders while a launcher is busy: the one way to hear of jobs that all share."""

    def __init__(self, folder: Path, jobs: dict[str, Job], tell: Callable[[Job, Outcome], None]):
        super().__init__(daemon=True)
        self.ended: dict[str, Outcome] = {}
        self._folder, self._jobs, self._tell = folder, jobs, tell
        self._over = threading.Event()

    def __enter__(self) -> "_Watch":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()
        self._look()

    def run(self) -> None:
        while not self._over.wait(POLL):
            self._look()

    def _look(self) -> None:
        for name in self._jobs.keys() - self.ended.keys():
            if outcome := outcome_in(self._folder / name):
                self.ended[name] = outcome
                self._tell(self._jobs[name], outcome)


def reason_of(error: BaseException) -> str:
    """Why a job failed, in one line."""
    if isinstance(error, MISTAKES):
        return sentence(error)
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'without a word'}"


def _outcome_of(result: JobReturn | Exception | None) -> Outcome:
    """Of a job whose folder tells nothing."""
    if isinstance(result, JobReturn):
        try:
            with redirect_stderr(io.StringIO()):  # Hydra would print the overrides
                return Outcome("finished", result.return_value)
        except Exception as error:
            return Outcome("failed", reason=reason_of(error))
    why = f" ({reason_of(result)})" if result else ""
    return Outcome("failed", reason=f"Its process died{why}: the same command runs it again.")


def _with_keys(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    return [o for o in overrides if o.partition("=")[0] in keys]


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return value if key in ("dataset", "model") else part_of_name(override)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
