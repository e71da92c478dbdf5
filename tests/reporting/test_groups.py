"""Grouping of runs, group labels, and order."""

from pathlib import Path
from statistics import fmean, stdev

import pytest

from seqtext.reporting.groups import choose_main_metric, group_runs
from seqtext.reporting.runs import Run


def run(name: str = "run", model: str = "gru", score: float = 0.5, **settings) -> Run:
    """Build a run. settings: by group, or flat; `choices` and `overrides` of the run."""
    choices = settings.pop("choices", {})
    overrides = tuple(settings.pop("overrides", ()))
    metrics = {
        "model": model,
        "monitor": "val/f1",
        "settings": {"paths": {"cache_dir": name}, **settings},
        "val": {"f1": score, "loss": score},
        "test": {"f1": score},
    }
    return Run(Path(name), metrics, choices, overrides)


def labels(*runs: Run) -> set[str]:
    return {group.label for group in group_runs(runs, "f1")[0]}


def test_seeds_and_folds_belong_together():
    runs = [
        run(f"{seed} {fold}", seed=seed, split={"fold": fold, "seed": 42}, score=seed + fold / 10)
        for seed in (0, 1)
        for fold in range(3)
    ]
    ((group,), repeated) = group_runs(runs, "f1")
    scores = [0, 0.1, 0.2, 1, 1.1, 1.2]
    assert group.values("val", "f1") == pytest.approx(scores)
    assert group.mean("val", "f1") == pytest.approx(fmean(scores))
    assert group.std("val", "f1") == pytest.approx(stdev(scores))
    assert repeated == 0


def test_one_run_has_no_spread():
    ((group,), _) = group_runs([run()], "f1")
    assert group.std("val", "f1") is None
    assert group.mean("val", "unknown") is None
    assert group.label == "gru"


def test_a_repeated_run_counts_once():
    runs = [run("a", seed=1, score=0.1), run("b", seed=1, score=0.2), run("c", seed=2, score=0.4)]
    ((group,), repeated) = group_runs(runs, "f1")
    assert group.values("val", "f1") == [0.2, 0.4]
    assert repeated == 1


def test_labels_say_what_differs():
    found = labels(
        run(model="gru", dataset={"batch_size": 32, "length": None}),
        run(model="gru", dataset={"batch_size": 64, "length": None}),
        run(model="lstm", dataset={"batch_size": 64, "length": None}),
    )
    assert found == {"gru batch_size=32", "gru batch_size=64", "lstm batch_size=64"}


def test_what_a_choice_brings_along_is_not_said():
    """Models differ in an option that was not set by the user, embeddings in their size."""
    found = labels(
        run(model="gru", embedding={"dim": 50}, choices={"embedding": "random"}),
        run(model="attention", embedding={"dim": 50}, choices={"embedding": "random"}),
        run(model="gru", embedding={"dim": 100}, choices={"embedding": "glove"}),
    )
    assert found == {
        "gru embedding=random",
        "gru embedding=glove",
        "attention embedding=random",
    }


def test_what_was_typed_is_said():
    """Each model has one number of units, but the user set it."""
    gru = run(model="gru", overrides=["model.units=64"], **{"lr": 1})
    gru.metrics["settings"]["model"] = {"units": 64}
    lstm = run(model="lstm", overrides=["model.units=32"], **{"lr": 1})
    lstm.metrics["settings"]["model"] = {"units": 32}
    assert labels(gru, lstm) == {"gru units=64", "lstm units=32"}


def test_equal_last_names_are_told_apart():
    found = labels(
        run(model="gru", optimizer={"name": 1}, model_={"name": 1}),
        run(model="gru", optimizer={"name": 2}, model_={"name": 1}),
        run(model="gru", optimizer={"name": 2}, model_={"name": 2}),
    )
    assert "gru optimizer.name=2 model_.name=1" in found


def test_long_fractions_are_shortened_while_they_stay_apart():
    assert labels(run(lr=0.0123456), run(lr=0.5)) == {"gru lr=0.0123", "gru lr=0.5"}
    assert labels(run(lr=0.0123456), run(lr=0.0123457)) == {"gru lr=0.0123456", "gru lr=0.0123457"}


def test_experiments_are_called_by_name():
    found = labels(
        run(lr=1, choices={"experiment": "imdb/best"}),
        run(lr=2, choices={"experiment": "imdb/grid"}),
        run(lr=2, units=[64, 32], choices={"experiment": "imdb/grid"}),
    )
    assert found == {"gru best", "gru grid", "gru grid units=[64,32]"}


def test_the_reference_is_told_apart_by_its_own_options():
    found = labels(
        run(model="gru", units=8, overrides=["units=8"]),
        run(model="gru", units=9, overrides=["units=9"]),
        run(model="tfidf", units=10),
    )
    assert found == {"gru units=8", "gru units=9", "tfidf"}


def test_where_files_lie_makes_no_difference():
    assert labels(run("a"), run("b", seed=1, dataset={"dir": "/x"})) == {"gru"}


def read(run_: Run, data: str, vectors: str | None = None) -> Run:
    """Return the run with another data fingerprint."""
    files = {"data": f"file of {data}", "vectors": vectors and f"file of {vectors}"}
    run_.metrics["fingerprints"] = {"data": data, "vectors": vectors, "files": files}
    return run_


def test_other_content_is_another_run():
    same = [read(run(name, dataset={"dir": name}), "1") for name in ("a", "b")]
    groups, repeated = group_runs(same, "f1")
    assert (len(groups), repeated) == (1, 1)
    assert labels(*same, read(run("c", dataset={"dir": "c"}), "2")) == {"gru dir=b", "gru dir=c"}
    edited = [read(run("a", dataset={"dir": "a"}), data) for data in ("111", "222")]
    assert labels(*edited) == {"gru data=111", "gru data=222"}
    vectors = [read(run(v, embedding={"path": v}), "1", v) for v in ("x", "y")]
    assert labels(*vectors) == {"gru path=x", "gru path=y"}
    chosen = [run(name, choices={"embedding": name}) for name in ("random", "glove")]
    without, with_vectors = read(chosen[0], "1"), read(chosen[1], "1", "v")
    assert labels(without, with_vectors) == {"gru embedding=random", "gru embedding=glove"}


@pytest.mark.parametrize(("metric", "first"), [("f1", 3), ("loss", 1)])
def test_validation_decides_the_order(metric, first):
    runs = [run(units=units, score=units) for units in (1, 2, 3)]
    runs.append(run(units=4, score=float("nan")))
    groups, _ = group_runs(runs, metric)
    assert groups[0].settings["units"] == first
    assert groups[-1].settings["units"] == 4  # what has no score is last


def test_main_metric_is_what_most_monitored():
    assert choose_main_metric([run(), run()]) == "f1"


def test_main_metric_is_one_that_all_test_parts_have():
    """A test set without rows of a class has no recall of it."""
    runs = [run("a"), run("b")]
    del runs[1].metrics["test"]["f1"]
    assert choose_main_metric(runs) == "accuracy"


def test_equal_scores_are_ordered_by_the_validation_loss():
    runs = [run("a", model="gru"), run("b", model="lstm")]
    runs[1].metrics["val"]["loss"] = 0.1
    assert [group.model for group in group_runs(runs, "f1")[0]] == ["lstm", "gru"]


def test_labels_name_classes_of_ones_own():
    own = [
        "++loss._target_=my_project.my_loss",
        "++optimizer._target_=my_project.Lion",
        "~optimizer",
        "++model.pooling._target_=my_project.TopK",
    ]
    pooling = {"_target_": "my_project.TopK", "k": 5}
    choices = {"model": "gru", "loss": "cross_entropy", "optimizer": "adam", "metrics": "none"}
    mine = {
        "model": {"_target_": "seqtext.models.rnn.GRU", "pooling": pooling},
        "loss": {"_target_": "my_project.my_loss"},
        "optimizer": {"_target_": "my_project.Lion"},
        "callbacks": {"ema": {"decay": 0.9}, "none": None},
    }
    theirs = {"model": {"pooling": "max"}, "loss": {}, "optimizer": {}, "callbacks": {}}
    runs = [
        _with_settings("a", mine, {**choices, "metrics": "kappa"}, own),
        _with_settings("b", theirs, choices, []),
    ]
    found = labels(*runs)
    assert "gru loss=my_loss optimizer=Lion callbacks=ema pooling=TopK" in " ".join(found)
    assert "gru loss=cross_entropy optimizer=adam pooling=max" in found


def _with_settings(name: str, settings: dict, choices: dict, overrides: list[str]) -> Run:
    built = run(name, choices=choices, overrides=overrides)
    built.metrics["settings"] |= settings
    return built
