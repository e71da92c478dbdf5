"""The best run of a sweep, and training with its settings."""

import json
from pathlib import Path

import pytest

from seqtext.best_run import (
    find_best_run,
    iterate_finished_runs,
    read_best_run,
    select_best_settings,
)
from seqtext.errors import UserError
from seqtext.run_dir import RunDir


def write_run(folder: Path, score: float, monitor: str = "val/f1", **settings: object) -> None:
    folder.mkdir(parents=True)
    settings = {"split": {"folds": None, "fold": 0}, **settings}
    metrics = {"score": score, "monitor": monitor, "settings": settings}
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.parametrize(("monitor", "best"), [("val/f1", 2), ("val/loss", 0)])
def test_direction(tmp_path, monitor, best):
    for number, score in enumerate([0.1, 0.5, 0.9]):
        write_run(tmp_path / str(number), score, monitor, seed=number)
    assert read_best_run(str(tmp_path)).settings["seed"] == best


def test_equal_scores_are_told_apart_by_the_validation_loss(tmp_path):
    for number, loss in enumerate([0.5, 0.3, 0.4]):
        write_run(tmp_path / str(number), 0.9, seed=number)
        file = tmp_path / str(number) / "metrics.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"val": {"loss": loss}}))
    assert read_best_run(str(tmp_path)).settings["seed"] == 1


def test_folds_count_by_their_mean_and_incomplete_ones_not(tmp_path):
    for name, scores in {"lucky": [0.9, 0.1], "steady": [0.6, 0.6], "broken": [0.99]}.items():
        for fold, score in enumerate(scores):
            split = {"folds": 2, "fold": fold}
            write_run(tmp_path / name / f"fold-{fold}", score, model=name, split=split)
    settings = read_best_run(str(tmp_path)).settings
    assert settings["model"] == "steady"
    assert settings["split"] == {"folds": None, "fold": 0}
    run, description = find_best_run(str(tmp_path), "run")
    assert run.folder == tmp_path / "steady" / "fold-0"
    assert "by val/f1, 0.6000 ± 0.0000 over 2 folds" in description
    assert str(run.folder) in description


def test_seeds_count_by_their_mean(tmp_path):
    """Of the best settings' seeds, which have the same validation rows, the best is used."""
    for name, scores in {"lucky": [0.9, 0.1], "steady": [0.6, 0.7]}.items():
        for seed, score in enumerate(scores):
            write_run(tmp_path / f"{name}-{seed}", score, model=name, seed=seed)
    run, description = find_best_run(str(tmp_path), "run")
    assert run.folder == tmp_path / "steady-1"
    assert "0.6500 ± 0.0707 over 2 seeds" in description


def test_settings_with_all_folds_go_before_others(tmp_path):
    """Also if every fold but one has finished with another seed."""
    for name, repetitions in {"part": [(0, 0), (0, 1), (1, 1)], "all": [(0, 0), (0, 1)]}.items():
        for seed, fold in repetitions:
            folder, split = f"{name}-{seed}-{fold}", {"folds": 2, "fold": fold}
            write_run(tmp_path / folder, 0.9 - len(name) / 10, model=name, seed=seed, split=split)
    (runs,) = [select_best_settings(iterate_finished_runs(tmp_path)).runs]
    assert [run.folder.name for run in runs] == ["all-0-0", "all-0-1"]
    for folder in runs:
        (folder.folder / "metrics.json").unlink()
    assert find_best_run(str(tmp_path), "run")[0].settings["model"] == "part"


def test_folds_with_word_vectors(tmp_path):
    """The vocabulary of each fold, and so the content of its vectors, is another one."""
    for fold in range(2):
        write_run(tmp_path / str(fold), 0.5, split={"folds": 2, "fold": fold})
        file = tmp_path / str(fold) / "metrics.json"
        files = {"data": "d", "vectors": "v"}
        facts = {"fingerprints": {"data": "d", "vectors": f"words of {fold}", "files": files}}
        file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    assert len(select_best_settings(iterate_finished_runs(tmp_path)).runs) == 2


def test_a_repeated_run_and_one_without_a_score(tmp_path):
    """A repeated run is no further fold, and a missing score is never the best."""
    write_run(tmp_path / "a", float("nan"), seed=0)
    write_run(tmp_path / "b", 0.9, seed=1)
    write_run(tmp_path / "c", 0.9, seed=1)
    write_run(tmp_path / "d", 0.5, seed=2)
    assert read_best_run(str(tmp_path)).settings["seed"] == 1


def test_there_must_be_one(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        read_best_run(str(tmp_path / "none"))
    with pytest.raises(UserError, match="no run in this folder has finished"):
        read_best_run(str(tmp_path))
    write_run(tmp_path / "a", 1.0)
    write_run(tmp_path / "b", 1.0, "val/loss")
    with pytest.raises(UserError, match="cannot be compared"):
        read_best_run(str(tmp_path))


@pytest.mark.slow
def test_a_winner_is_trained_anew(train, small, tmp_path):
    """With its settings and the overrides, also for options of another group's choice."""
    options = [o for o in small if not o.startswith(("trainer.", "optimizer."))]
    command = ("-m", "name=search", *options, "model=cnn", "optimizer=sgd", "trainer.max_epochs=1")
    command = [o for o in command if not o.startswith("model.units")]
    assert train(*command, "optimizer.lr=1e-9,0.5", "model.filters=[3,3,3]")[0] == 0
    status, output, error = train(
        "from_best=outputs/search", "seed=7", "model.kernel_sizes=[2,2,2]"
    )
    assert status == 0, error
    (line,) = [line for line in output.splitlines() if line.startswith("from_best=")]
    assert "the best settings by val/auroc, " in line
    (run,) = (tmp_path / "outputs").glob("imdb-cnn_*from_best-search*")
    settings = RunDir(run).read_metrics()["settings"]
    assert settings["model"]["filters"] == [3, 3, 3]
    assert settings["model"]["kernel_sizes"] == [2, 2, 2]
    assert settings["optimizer"]["_target_"].endswith("SGD")
    assert settings["seed"] == 7
    assert settings["trainer"]["max_epochs"] == 1
    scores = {
        m["settings"]["optimizer"]["lr"]: m["score"]
        for f in (tmp_path / "outputs" / "search").rglob("metrics.json")
        for m in [json.loads(f.read_text())]
    }
    assert settings["optimizer"]["lr"] == max(scores, key=scores.get)
    assert "name" not in settings
    status, _, error = train("-m", "name=again", "from_best=outputs/search", "seed=1,2")
    assert status == 0, error
    runs = list((tmp_path / "outputs" / "again").glob("imdb-cnn_*"))
    assert len(runs) == 2
    assert all(RunDir(r).read_metrics()["settings"]["model"]["filters"] == [3, 3, 3] for r in runs)


def test_mistakes_are_told(train, tmp_path):
    assert "no such folder" in train("from_best=outputs/none")[2]
    write_run(tmp_path / "a", 1.0)
    status, _, error = train(f"from_best={tmp_path}", "experiment=imdb/best")
    assert (status, "cannot be combined" in error) == (2, True)
