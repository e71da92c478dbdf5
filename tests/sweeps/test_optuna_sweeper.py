"""Optuna searches: stored, resumed, pruned, cross-validated."""

import json
import sys
from pathlib import Path

import optuna
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.sweeps.optuna_components import build_search_space
from tests.sweeps.test_grid import Killed, inodes, sweep_of

SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1")
RATE = "optimizer.lr=tag(log, interval(1e-3, 1e-1))"


@pytest.fixture
def base(small) -> list[str]:
    """Options of a run of one epoch, without the learning rate."""
    changed = ("optimizer.lr", "trainer.max_epochs")
    return [o for o in small if not o.startswith(changed)] + [
        "trainer.max_epochs=1",
        "model.pooling=max",  # so that scores differ
    ]


def study_of(folder: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    return optuna.load_study(study_name=folder.name, storage=storage)


@pytest.mark.slow
def test_a_search_goes_on_to_its_number_of_trials(train, base, tmp_path):
    command = (*SEARCH, "name=lr", *base, RATE)
    assert train(*command, "hydra.sweeper.n_trials=2")[0] == 0
    folder = tmp_path / "outputs" / "lr"
    first = inodes(folder)
    assert len(first) == 2
    status, output, error = train(*command, "hydra.sweeper.n_trials=3")
    assert status == 0, error
    assert "3 trials in" in output
    assert "2 done, 1 to do" in output
    assert first.items() < inodes(folder).items()
    study = study_of(folder)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    assert len({t.params["optimizer.lr"] for t in study.trials}) == 3
    for trial in study.trials:
        metrics = RunDir(folder / trial.user_attrs["folder"]).read_metrics()
        assert metrics["score"] == trial.value
        assert metrics["settings"]["optimizer"]["lr"] == trial.params["optimizer.lr"]
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert best["best_value"] == study.best_value
    status, output, _ = train(*command, "hydra.sweeper.n_trials=3")
    assert status == 0
    assert "3 done, 0 to do" in output
    place = folder / study.best_trial.user_attrs["folder"]
    assert f"Best by val/auroc, {study.best_value:.4f}: {place}" in output
    status, _, error = train(*command, "hydra.sweeper.n_trials=4", "monitor=val/loss")
    assert status == 2
    assert "another name=" in error


@pytest.mark.slow
def test_a_grid_in_sqlite_by_a_metric_that_is_to_fall(train, base, tmp_path):
    storage = f"hydra.sweeper.storage=sqlite:///{tmp_path}/study.db"
    options = ("hydra/sweeper/sampler=grid", storage, "monitor=val/loss")
    status, _, error = train(*SEARCH, "name=g", *base, "model.units=4,8", *options)
    assert status == 0, error
    study = optuna.load_study(study_name="g", storage=f"sqlite:///{tmp_path}/study.db")
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert sorted(t.params["model.units"] for t in study.trials) == [4, 8]
    assert all(t.state == TrialState.COMPLETE for t in study.trials)


def test_options_keep_their_names():
    """Those that no configuration file lists are given to Hydra with ++."""
    overrides = OverridesParser.create().parse_overrides(
        ["++trainer.max_steps=5,10", "++trainer.min_steps=5", "++mine.x=1,2", "seed=1,2"]
    )
    space, fixed, _ = build_search_space(overrides)
    assert [*space] == ["trainer.max_steps", "++mine.x", "seed"]
    assert [*fixed] == ["trainer.min_steps"]


@pytest.mark.slow
def test_failed_trials_are_told(train, base, tmp_path):
    command = (*SEARCH, "hydra/sweeper/sampler=grid", "name=f", *base, "model.units=8,-1,-2,-3,-4")
    status, output, error = train(*command, "hydra.sweeper.n_jobs=5")
    assert status == 1
    assert "4 of 5 trials failed: the search ends." in error
    study = study_of(tmp_path / "outputs" / "f")
    states = {t.params["model.units"]: t.state for t in study.trials}
    assert states == {8: TrialState.COMPLETE} | dict.fromkeys([-1, -2, -3, -4], TrialState.FAIL)
    reasons = [t.user_attrs["reason"] for t in study.trials if t.state == TrialState.FAIL]
    assert all("at least 1" in reason for reason in reasons)
    assert "1 finished, 4 failed" in output


@pytest.mark.slow
def test_a_killed_trial_goes_on(train, small, tmp_path, monkeypatch):
    options = [o for o in small if "optimizer.lr" not in o]
    command = (*SEARCH, "name=k", *options, RATE, "hydra.sweeper.n_trials=1")
    original = TextClassifier.training_step

    def dying(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise Killed
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "training_step", dying)
        with pytest.raises(Killed):
            train(*command)
    steps = []
    monkeypatch.setattr(TextClassifier, "training_step", lambda *a: steps.append(1) or original(*a))
    status, _, error = train(*command)
    assert status == 0, error
    assert len(steps) == 11, "one epoch was left"
    killed, again = study_of(tmp_path / "outputs" / "k").trials
    assert (killed.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert killed.params == again.params
    assert killed.user_attrs["folder"] == again.user_attrs["folder"]


@pytest.mark.slow
def test_trials_of_earlier_commands_can_be_the_best(train, base, tmp_path):
    command = (*SEARCH, "hydra/sweeper/sampler=grid", "name=b", *base, "optimizer.lr=0.05,1e-7")
    assert train(*command, "hydra.sweeper.n_trials=1")[0] == 0
    folder = tmp_path / "outputs" / "b"
    (first,) = folder.rglob("metrics.json")
    metrics = json.loads(first.read_text())
    first.write_text(json.dumps(metrics | {"score": 1.0, "val": metrics["val"] | {"loss": 0.0}}))
    status, output, error = train(*command)
    assert status == 0, error
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert best["best_params"] == {"optimizer.lr": metrics["settings"]["optimizer"]["lr"]}
    assert f"Best by val/auroc, 1.0000: {first.parent}" in output
    assert "best 1.0000" in output
    assert len({t.params["optimizer.lr"] for t in study_of(folder).trials}) == 2
    for removed in folder.rglob("metrics.json"):
        removed.unlink()
    status, output, error = train(*command)
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert status == 0, error
    assert f"Best by val/auroc, {best['best_value']:.4f}: " in output


PRUNER = "{_target_: optuna.pruners.ThresholdPruner, lower: 0.8}"


@pytest.mark.slow
def test_bad_trials_are_pruned(train, small, tmp_path):
    """A trial whose learning rate is too small to learn ends after its first epoch."""
    options = [o for o in small if "optimizer.lr" not in o]
    grid = ("hydra/sweeper/sampler=grid", "optimizer.lr=0.05,1e-7")
    command = (*SEARCH, "name=p", *options, *grid, f"hydra.sweeper.pruner={PRUNER}")
    status, output, error = train(*command)
    assert status == 0, error
    folder = tmp_path / "outputs" / "p"
    trials = study_of(folder).trials
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    assert [t.params["optimizer.lr"] for t in pruned] == [1e-7]
    jobs = sweep_of(folder)
    for trial in pruned:
        assert set(trial.intermediate_values) == {1}
        job = jobs[trial.user_attrs["folder"]]
        assert job["status"] == "pruned"
        assert job["score"] == trial.intermediate_values[1]
        assert not (folder / trial.user_attrs["folder"] / "metrics.json").exists()
    assert "1 finished, 1 pruned" in output
    assert "pruned at val/auroc" in output
    status, output, error = train(*command)  # it is done too
    assert (status, "2 done, 0 to do" in output) == (0, True)
    status, _, error = train(*command, "optimizer.lr=0.05,1e-7,0.1")
    assert (status, "optimizer.lr is swept over other values" in error) == (2, True)


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_pruners_by_name(pruner):
    from seqtext.sweeps.optuna_components import build_pruner

    study = optuna.create_study(pruner=build_pruner(pruner), direction="maximize")
    scores = [0.9, 0.8, 0.7, 0.95, 0.85, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]

    def run(trial: optuna.Trial) -> float:
        for epoch in range(1, 10):
            trial.report(scores[trial.number], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return scores[trial.number]

    study.optimize(run, n_trials=len(scores))
    states = [t.state for t in study.trials]
    assert TrialState.PRUNED in states
    assert states[0] == TrialState.COMPLETE


def test_unlike_options_are_refused(train, base, tmp_path):
    status, _, error = train(*SEARCH, *base, RATE, "hydra.sweeper.pruner=best")
    assert (status, "median, asha, hyperband" in error) == (2, True)
    options = ("hydra.sweeper.pruner=asha", "hydra.sweeper.folds=2")
    status, _, error = train(*SEARCH, *base, RATE, *options)
    assert (status, "cannot be combined" in error) == (2, True)
    for option in ("split.folds=3", "split.fold=1", "split.fold=0,1", "split={folds: 3}"):
        status, _, error = train(*SEARCH, *base, RATE, "hydra.sweeper.folds=2", option)
        name = "split.fold" if option.startswith("split.fold=") else "split.folds"
        assert (status, error.count("\n")) == (2, 1)
        assert f"hydra.sweeper.folds and {name} cannot be combined" in error
    assert not list((tmp_path / "outputs").glob("*"))


@pytest.mark.filterwarnings("ignore:WilcoxonPruner is experimental")
def test_a_package_that_a_sampler_or_pruner_needs(train, base, tmp_path, monkeypatch):
    from seqtext.sweeps.optuna_components import build_pruner

    monkeypatch.setitem(sys.modules, "cmaes", None)  # as if it were not installed
    status, _, error = train(*SEARCH, *base, RATE, "hydra/sweeper/sampler=cmaes")
    assert (status, "pip install cmaes" in error, error.count("\n")) == (2, True, 1)
    assert not list((tmp_path / "outputs").glob("*")), "nothing has run"
    pruner = {"_target_": "optuna.pruners.WilcoxonPruner"}
    build_pruner(OmegaConf.create(pruner))
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UserError, match="WilcoxonPruner needs the package scipy"):
        build_pruner(OmegaConf.create(pruner))


@pytest.mark.slow
def test_folds_in_two_processes(train, base, tmp_path):
    """A trial's value is the mean over its folds, each with a run folder in the trial's."""
    options = ("hydra.sweeper.folds=2", "hydra.sweeper.n_trials=2")
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    units = ("model.units=4,-1", "hydra/sweeper/sampler=grid")
    status, output, error = train(*SEARCH, "name=cv", *base, *units, *options, *launcher)
    assert status == 1
    folder = tmp_path / "outputs" / "cv"
    study = study_of(folder)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.FAIL}
    best = study.best_trial
    runs = [folder / best.user_attrs["folder"] / f"fold-{fold}" for fold in range(2)]
    metrics = [json.loads((run / "metrics.json").read_text()) for run in runs]
    assert [m["settings"]["split"]["fold"] for m in metrics] == [0, 1]
    assert best.value == pytest.approx(sum(m["score"] for m in metrics) / 2)
    assert best.user_attrs["std"] >= 0
    place = folder / best.user_attrs["folder"] / "fold-*"
    score = f"{best.value:.4f} ± {best.user_attrs['std']:.4f} over 2 folds"
    assert f"Best by val/auroc, {score}: {place}" in output
    assert error.count("failed: ") == 1, "one reason for both of its folds"
    assert "failed: 2 jobs: model.units=-1" in error
    assert "epoch 1/1" not in output
    assert "Traceback" not in output + error
