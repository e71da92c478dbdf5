"""Races: equal budgets, choice by validation scores, seeds, continued after a failure."""

import json
import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution

from seqtext.best_run import find_best_run
from seqtext.config.available_options import set_command_line
from seqtext.config.overrides import MULTIRUN
from seqtext.config.run_config import validate_config
from seqtext.config.unlisted_options import allow_unlisted_options
from seqtext.errors import UserError
from seqtext.identity import find_first_difference
from seqtext.reporting.runs import read_run, read_runs
from seqtext.sweeps.implied_overrides import add_implied_overrides
from seqtext.sweeps.job import Job, JobResult
from seqtext.sweeps.optuna_components import build_search_space, get_bounds
from seqtext.sweeps.race import check_options
from seqtext.sweeps.race_entry import Budget, RaceEntry, RaceTrial
from tests.conftest import ROOT, csv_of, settings_of

GRU = (  # its defaults learn nothing
    '["model=gru","model.units=8","optimizer.lr=1e-9","optimizer.lr=choice(0.04,0.05)",'
    '"embedding.dim=choice(4,8)"]'
)
MISSING = '+race.entries.missing=["model=gru","embedding=file","embedding.path=nowhere.txt"]'
SPACE = {"model.units": CategoricalDistribution([4, 8, 16])}


def draw_all(entry: RaceEntry, budget: Budget, seconds: float = 1.0) -> list[tuple[str, ...]]:
    drawn = []
    while (settings := entry.draw_settings(budget)) is not None:
        drawn.append(settings)
        result = JobResult("finished", 0.5, seconds=seconds)
        entry.record(RaceTrial(settings, Job([], "x", "x"), result))
    return drawn


def test_defaults_are_the_first_trial_and_none_is_repeated():
    drawn = draw_all(RaceEntry("gru", ["model=gru"], SPACE), Budget(9, None))
    assert drawn[0] == ()
    assert sorted(drawn[1:]) == [("model.units=16",), ("model.units=4",), ("model.units=8",)]
    assert drawn == draw_all(RaceEntry("gru", ["model=gru"], SPACE), Budget(9, None))
    assert draw_all(RaceEntry("tfidf", ["model=tfidf"], {}), Budget(9, None)) == [()]


@pytest.mark.parametrize(("seconds", "trials"), [(1.0, 3), (2.0, 1), (5.0, 1), (0.1, 4)])
def test_no_trial_begins_that_the_time_does_not_suffice_for(seconds, trials):
    drawn = draw_all(RaceEntry("gru", [], SPACE), Budget(4, 3.0), seconds)
    assert len(drawn) == trials


def test_the_best_trial_is_that_of_validation():
    entry = RaceEntry("gru", [], SPACE)
    assert entry.find_best_trial("val/f1") is None
    scores = [(None, 0.1), (0.5, 0.3), (0.7, 0.9), (0.7, 0.2), (float("nan"), 0.0)]
    for number, (score, loss) in enumerate(scores):
        job = Job([], f"search/gru_{number}", "gru")
        entry.record(RaceTrial((), job, JobResult("finished", score, loss=loss)))
    assert entry.find_best_trial("val/f1").job.folder == "search/gru_3", "ties by the loss"
    assert entry.find_best_trial("val/loss").job.folder == "search/gru_1", "lower is better"


@pytest.fixture
def race(train, kaggle_dir, shared_cache):
    """Return a function that runs a race of two models on the generated reviews."""

    def run(*overrides: str):
        options = [f"dataset.dir={kaggle_dir}", f"paths.cache_dir={shared_cache}"]
        options += ["dataset.batch_size=16", "trainer.max_epochs=2", f"race.entries.gru={GRU}"]
        budget = ["race.only=[gru,tfidf]", "race.trials=2", "race.seeds=2"]
        own = {o.partition("=")[0] for o in overrides}
        return train(
            "experiment=race",
            *options,
            *(option for option in budget if option.partition("=")[0] not in own),
            *overrides,
        )

    return run


@pytest.mark.slow
def test_a_race_as_typed(race, tmp_path):
    status, output, error = race()
    assert status == 0, error
    folder = tmp_path / "outputs" / "race-imdb"
    jobs = {job["folder"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]}
    searched = {"search/gru_0", "search/gru_1", "search/tfidf_0", "search/tfidf_1"}
    assert jobs > searched
    finals = sorted((folder / "final").iterdir())
    assert len(finals) == 3, "two seeds of gru; none changes tfidf"
    assert {f"final/{path.name}" for path in finals} == jobs - searched
    runs = [read_run(path, []) for path in finals]
    assert sorted(run.metrics["settings"]["seed"] for run in runs) == [1, 1, 2]
    trials = {name: read_run(folder / name, []).metrics for name in searched}
    best = max((t["score"], -t["val"]["loss"]) for name, t in trials.items() if "gru" in name)
    assert "optimizer.lr=0.0" in runs[0].metrics["notes"]
    chosen = runs[0].path.name.removesuffix("_seed-1")
    assert chosen == "gru_1"
    assert trials[f"search/{chosen}"]["score"] == best[0]
    found, run = trials[f"search/{chosen}"]["settings"], runs[0].metrics["settings"]
    assert find_first_difference(found | {"seed": 1}, run) is None, "all that was searched"
    for name, trial in trials.items():
        assert trial["settings"]["seed"] == 0
        assert trial["settings"]["trainer"]["max_epochs"] == 2, f"typed, so not searched: {name}"
    report = (folder / "report" / "report.md").read_text()
    assert "\n| *tfidf* |" in report
    assert "\n| gru |" in report
    assert "ms/text" in report
    assert re.search(rf"gru: the best of 2 trials in .* s, with val/macro_f1 {best[0]:.4f}", report)
    assert "In test macro_f1" in output
    assert {run.path for run in read_runs([folder]).runs} == {run.path for run in runs}
    assert len(read_runs([folder / "search"]).runs) == len(trials)
    best_run, _ = find_best_run(str(folder), "run")
    assert best_run.folder.parent.name == "final"
    before = {path: path.stat().st_ino for path in folder.rglob("metrics.json")}
    status, output, error = race("race.only=[gru,tfidf,missing]", MISSING)
    assert status == 1, "one entry fails"
    assert error.count("nowhere.txt") == 1
    assert "search  gru  val" in output
    assert output.count("earlier") == len(before)
    assert before == {path: path.stat().st_ino for path in folder.rglob("metrics.json")}
    report = (folder / "report" / "report.md").read_text()
    assert "## Without a result" in report
    assert "search/missing_0" in report


DOCUMENTED = re.findall(
    r"^python train\.py (.*experiment=race[^#\n]*)",
    (ROOT / "README.md").read_text() + (ROOT / "docs" / "race.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.slow
@pytest.mark.parametrize("command", DOCUMENTED)
def test_documented_commands(train, kaggle_dir, shared_cache, reviews, tmp_path, command):
    rows = [(text, "15"[label == "positive"]) for text, label in reviews]
    Path("my.csv").write_text(csv_of(rows, header=("review", "stars")))
    options = [] if "my.csv" in command else [f"dataset.dir={kaggle_dir}"]
    options += [f"paths.cache_dir={shared_cache}", "race.trials=1", "race.seeds=1"]
    status, output, error = train(*shlex.split(command), *options, "race.only=[tfidf]")
    assert status == 0, error
    (report,) = (tmp_path / "outputs").glob("race-*/report/report.html")
    assert str(report) in output


@pytest.mark.slow
def test_a_run_that_takes_longer_is_repeated_with_the_steps_that_suffice(race, tmp_path):
    status, _, error = race(
        "race.only=[gru]", "race.minutes=0.01", "trainer.max_epochs=9999", "patience=null"
    )
    assert status == 0, error
    folder = tmp_path / "outputs" / "race-imdb"
    (trial,) = (folder / "search").iterdir()
    assert trial.name == "gru_0_1-seconds", "the time is spent by the first"
    steps = {
        read_run(path, []).metrics["settings"]["trainer"]["max_steps"]
        for path in (folder / "final").iterdir()
    }
    assert len(steps) == 1
    assert steps.pop() > 10


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            "race.only=[grus]",
            "no option race.entries.grus: did you mean race.entries.gru?",
        ),
        ("race.trials=0", "race.trials=0 is not possible: it must be a whole number at least 1."),
        ("race.minutes=-1", "race.minutes=-1 is not possible: it must be a number more than 0"),
        ("mode=describe", "mode=describe is not possible in a race"),
        ("model=gru", "model=gru is not possible in a race, whose entries set and search"),
        (
            "~race.entries",
            "race.entries=null is not possible: it must be a list of options for",
        ),
        (
            "+race.entries.m=null",
            "race.entries.m=null is not possible: it must be a list of options.",
        ),
        ("optimizer.lr=1,2", "optimizer.lr=1,2 is not possible in a race"),
        (
            'race.entries.gru=["model=gru","monitor=val/loss"]',
            "race.entries.gru sets monitor=val/loss, which must be equal for all entries",
        ),
    ],
)
def test_unusable_options_are_refused(race, tmp_path, typed, sentence):
    status, _, error = race(typed)
    assert status == 2
    assert sentence in error
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_both_ends_of_each_search_are_valid():
    with initialize_config_dir(str(ROOT / "conf")):
        config = compose("config", ["experiment=race"], return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    config.name = None
    entries = check_options(config)["entries"]
    assert len(entries) == 12
    set_command_line([ROOT / "conf"], {})
    for name, own in entries.items():
        space, _, _ = build_search_space(OverridesParser.create().parse_overrides(own))
        assert space, name
        fixed = [option for option in own if "(" not in option]
        for end in (None, 0, -1):
            drawn = {} if end is None else {n: get_bounds(d)[end] for n, d in space.items()}
            overrides = [f"{option}={value}" for option, value in drawn.items()]
            keys = {option.partition("=")[0] for option in overrides}
            kept = [option for option in fixed if option.partition("=")[0] not in keys]
            settings = settings_of(*allow_unlisted_options([*kept, *overrides]))
            validate_config(settings)


@pytest.mark.parametrize("name", ["../outside", "a b", "", "."])
def test_names_of_entries_are_folders(name):
    options = {"trials": 1, "minutes": None, "seeds": 1, "only": None}
    with pytest.raises(UserError, match="use only letters, digits, - and _"):
        check_options(OmegaConf.create({"race": options | {"entries": {name: ["model=gru"]}}}))


def test_the_sweeper_belongs_to_the_experiment(train):
    status, _, error = train("-m", "hydra/sweeper=race")
    assert status == 2
    assert error == BELONG
    status, _, error = train("experiment=race", "hydra/sweeper=basic")
    assert (status, error) == (2, BELONG)


BELONG = "hydra/sweeper=race and experiment=race belong together: leave hydra/sweeper out.\n"


@pytest.mark.parametrize(("base", "is_sweep"), [("race", True), ("imdb/best", False)])
def test_an_experiment_that_extends_a_race_is_a_sweep(tmp_path, base, is_sweep):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\ndefaults: [{base}]\n")
    arguments = ["--config-dir", str(tmp_path), "experiment=mine"]
    assert (MULTIRUN in add_implied_overrides(arguments, ROOT / "conf")) is is_sweep
    add_implied_overrides([], ROOT / "conf")  # without the folder
