"""Compare models with equal budgets: search each one's settings, then train with several seeds."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from seqtext.checkpoints.files import load_checkpoint
from seqtext.config.run_config import is_non_neural
from seqtext.config.unlisted_options import strip_unlisted_prefix
from seqtext.display import count_noun, format_duration
from seqtext.errors import OptionError, UserError, build_unknown_option_error
from seqtext.reporting.conclusions import summarize_significance
from seqtext.reporting.report import build_report
from seqtext.reporting.report_files import write_report
from seqtext.reporting.runs import UnfinishedRun
from seqtext.run_dir import TRIALS_FOLDER, RunDir
from seqtext.sweeps.job import Job
from seqtext.sweeps.job_builder import quote_override
from seqtext.sweeps.optuna_components import build_search_space
from seqtext.sweeps.race_entry import Budget, RaceEntry, RaceTrial
from seqtext.sweeps.space import parse_overrides
from seqtext.sweeps.sweep import SweepRunner
from seqtext.validation import PositiveFloat, PositiveInt, find_type_error

SEARCH, FINAL, REPORT = TRIALS_FOLDER, "final", "report"  # folders in that of the race
EQUAL_OPTIONS = ("monitor", "seed", "dataset", "experiment", "label", "notes", "name")
EQUAL_GROUPS, BATCH_SIZE = ("dataset.", "split.", "paths."), "dataset.batch_size"
OPTIONS: dict[str, Any] = {
    "trials": PositiveInt,
    "minutes": PositiveFloat | None,
    "seeds": PositiveInt,
    "only": list[str] | None,
}


def run_race(config: DictConfig, sweep: SweepRunner, arguments: list[str]) -> None:
    """Run a race, and write its report.

    Raises:
        SweepFailed: if a run failed; the others are compared.
        UserError: if an option is invalid, or no entry can run.
    """
    options = check_options(config)
    race = Race(sweep, options, build_entries(options, arguments, sweep), arguments)
    sweep.raise_common_error([race.build_trial(entry, (), 0) for entry in race.entries])
    with sweep:
        race.search()
        race.run_finals()
        race.write_report()
        sweep.finish()


def check_options(config: DictConfig) -> dict[str, Any]:
    """Return the options `race.*`.

    Raises:
        UserError: if one is unknown or invalid.
    """
    options = cast(dict[str, Any], OmegaConf.to_container(config.race, resolve=True))
    entries = options.get("entries")
    if not entries or not isinstance(entries, dict):
        raise OptionError("race.entries", entries, "a list of options for each entry")
    options["entries"] = {name: _flatten(entry) for name, entry in entries.items()}
    for name, entry in options["entries"].items():
        if not re.fullmatch(r"\w[\w-]*", str(name)):
            raise UserError(
                f"race.entries has the name {name}: use only letters, digits, - and _, as it names "
                f"folders."
            )
        if not entry or find_type_error(entry, list[str]):
            raise OptionError(f"race.entries.{name}", entry, "a list of options")
    for name, hint in OPTIONS.items():
        if expected := find_type_error(options.get(name), hint):
            raise OptionError(f"race.{name}", options.get(name), expected)
    for name in options["only"] or ():
        if name not in options["entries"]:
            raise build_unknown_option_error(name, options["entries"], "race.entries")
    return options


def build_entries(
    options: dict[str, Any], arguments: list[str], sweep: SweepRunner
) -> list[RaceEntry]:
    """Build the entries; options of the command line are not searched.

    Raises:
        UserError: if the command line sets the model, or sweeps an option.
    """
    loader = sweep.context.config_loader
    typed = parse_overrides(arguments, loader)
    for override in typed:
        if override.is_sweep_override() or override.get_key_element() == "model":
            shown = strip_unlisted_prefix(override.input_line or "")
            raise UserError(
                f"{shown} is not possible in a race, whose entries set and search "
                f"their own options: choose them by race.only=[tfidf,gru], or change race.entries."
            )
    if sweep.config.mode != "train":
        raise UserError(f"mode={sweep.config.mode} is not possible in a race: leave it out.")
    names = [override.get_key_element().lstrip("+~") for override in typed]
    entries = []
    for name in dict.fromkeys(options["only"] or options["entries"]):
        own = parse_overrides(options["entries"][name], loader)
        _check_entry(name, own)
        own = [each for each in own if each.get_key_element().lstrip("+~") not in names]
        space, _, _ = build_search_space(own)
        fixed = [str(each.input_line) for each in own if not each.is_sweep_override()]
        entries.append(RaceEntry(name, fixed, space))
    return entries


def _check_entry(name: str, overrides: Sequence[Override]) -> None:
    """Refuse options that must be equal for all entries, so that their scores can be compared."""
    for override in overrides:
        key = override.get_key_element().lstrip("+~")
        if key in EQUAL_OPTIONS or (key.startswith(EQUAL_GROUPS) and key != BATCH_SIZE):
            raise UserError(
                f"race.entries.{name} sets {override.input_line}, which must be equal for all "
                f"entries: type it on the command line."
            )


def _flatten(entry: Any) -> Any:
    """Join the lists that an entry refers to with its own options."""
    if not isinstance(entry, list):
        return entry
    return [o for each in entry for o in (each if isinstance(each, list) else [each])]


class Race:
    """Runs the trials and the final runs of all entries.

    Args:
        sweep: runs jobs, in the folder of the race
        options: see conf/experiment/race.yaml
        arguments: overrides of the command line, for all runs
    """

    def __init__(
        self,
        sweep: SweepRunner,
        options: dict[str, Any],
        entries: Sequence[RaceEntry],
        arguments: Sequence[str],
    ):
        self.sweep, self.options, self.entries = sweep, options, entries
        self.arguments = arguments
        minutes = options["minutes"]
        self.budget = Budget(options["trials"], minutes and 60 * minutes)
        self.finals: list[Path] = []  # folders of the final runs that have finished

    def build_trial(self, entry: RaceEntry, searched: Sequence[str], number: int) -> Job:
        """Build the job of a trial."""
        job = self._build_job(entry, searched, f"{SEARCH}/{entry.name}_{number}")
        if self.budget.seconds is None or job.error or is_non_neural(job.settings):
            return job
        seconds = ceil(self.budget.seconds)  # another limit is another search
        limit = f"trainer.max_time={{seconds:{seconds}}}"
        return self._build_job(entry, [*searched, limit], f"{job.folder}_{seconds}-seconds")

    def _build_job(self, entry: RaceEntry, added: Sequence[str], folder: str) -> Job:
        own = {override.partition("=")[0]: override for override in (*entry.fixed, *added)}
        overrides = [*self.arguments, *own.values()]
        job = self.sweep.job_builder.build(overrides, [], folder=folder)
        label = f"{entry.name} {' '.join(override for override in added)}"
        return replace(job, label=f"{folder.partition('/')[0]}  {label.strip()}")

    def search(self) -> None:
        """Run trials of all entries, one of each at a time, until their budgets are spent."""
        progress = self.sweep.progress
        limit = f" and {self.options['minutes']:g} minutes" if self.options["minutes"] else ""
        progress.print(
            f"{count_noun(len(self.entries), 'entry', 'entries')} in {self.sweep.folder}: "
            f"{count_noun(self.budget.trials, 'trial')}{limit} each, then "
            f"{count_noun(self.options['seeds'], 'seed')}."
        )
        finals = len(self.entries) * self.options["seeds"]
        for number in range(self.budget.trials):
            settings = [(entry, entry.draw_settings(self.budget)) for entry in self.entries]
            drawn = [(entry, searched) for entry, searched in settings if searched is not None]
            if not drawn:
                break
            rounds = self.budget.trials - number if self.budget.seconds is None else 1
            progress.total = len(progress.ended) + len(drawn) * rounds + finals
            jobs = [self.build_trial(entry, searched, number) for entry, searched in drawn]
            results = self.sweep.run(jobs)
            for (entry, searched), job, result in zip(drawn, jobs, results, strict=True):
                entry.record(RaceTrial(searched, job, result))

    def run_finals(self) -> None:
        """Train the best settings of each entry with further seeds."""
        self.sweep.progress.names_best = False  # not among runs of other seeds
        jobs = []
        for number in range(1, self.options["seeds"] + 1):
            for entry in self.entries:
                jobs += self._build_final(entry, number)
        self.sweep.progress.total = len(self.sweep.progress.ended) + len(jobs)
        if jobs:
            results = self.sweep.run(jobs)
            ended = zip(jobs, results, strict=True)
            self.finals += [
                self.sweep.folder / j.folder for j, r in ended if r.status == "finished"
            ]

    def _build_final(self, entry: RaceEntry, number: int) -> list[Job]:
        monitor = self.sweep.config.monitor
        best = entry.find_best_trial(monitor)
        if best is None or entry.failed:
            return []
        if number > 1 and is_non_neural(best.job.settings):  # no seed changes it
            return []
        searched = [*best.settings]
        if steps := self._count_affordable_steps(best.job):
            searched.append(f"trainer.max_steps={steps}")
        notes = f"chosen settings: {' '.join(searched) or 'the defaults'}"
        added = [
            *searched,
            f"seed={(best.job.settings['seed'] or 0) + number}",
            f"label={quote_override(entry.name)}",
            f"notes={quote_override(notes)}",
        ]
        trial = best.job.folder.removeprefix(f"{SEARCH}/")
        final = self._build_job(entry, added, f"{FINAL}/{trial}_seed-{number}")
        return [replace(final, label=f"{FINAL}  {entry.name} seed {number}")]

    def _count_affordable_steps(self, job: Job) -> int | None:
        """Return the training steps of a trial that the time limit ended, or None."""
        if self.budget.seconds is None or is_non_neural(job.settings):
            return None
        run_dir = RunDir(self.sweep.folder / job.folder)
        metrics = run_dir.read_metrics(required=("seconds",))
        if metrics is None or metrics["seconds"]["training"] < ceil(self.budget.seconds):
            return None
        with suppress(UserError, OSError):  # deleted
            return int(load_checkpoint(run_dir.last_checkpoint)["global_step"])
        return None

    def write_report(self) -> None:
        """Write the report of the final runs, and print its conclusions."""
        if not self.finals:
            return
        monitor = self.sweep.config.monitor
        folder, report = self.sweep.folder, build_report(self.finals, None)
        failed = [
            UnfinishedRun(name, result.status, result.reason or "")
            for name, result in self.sweep.progress.ended.items()
            if result.status == "failed"
        ]
        for section in report.sections:
            labels = {group.label for group in section.groups}
            section.added_notes += [
                f"{entry.name}: the best of {count_noun(len(entry.trials), 'trial')} in "
                f"{format_duration(entry.seconds)}, with {monitor} {best.result.score:.4f}"
                for entry in self.entries
                if entry.name in labels and (best := entry.find_best_trial(monitor))
            ]
        report = replace(report, title=folder.name, unfinished=failed)
        paths = write_report(folder / REPORT, report)
        for section in report.sections:
            for sentence in summarize_significance(section.comparison):
                self.sweep.progress.print(sentence)
        self.sweep.progress.print(str(Path(paths[-1])))
