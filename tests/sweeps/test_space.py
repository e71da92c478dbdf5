"""Invalid search spaces and sweeper options: a one-line message each."""

from types import SimpleNamespace

import pytest
from hydra.core.object_type import ObjectType

from seqtext.errors import UserError
from seqtext.sweeps.space import join_arguments, parse_overrides
from tests.config.test_error_messages import told

SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.lr=tag(log,interval(0,0.1))", ["optimizer.lr=tag(log", "low > 0"]),
        ("optimizer.lr=tag(log,interval(-1,1))", ["low > 0"]),
        ("optimizer.lr=interval(0.1,0.01)", ["optimizer.lr=interval(0.1,0.01)", "low <= high"]),
        ("optimizer.lr=interval(0,inf)", ["optimizer.lr=interval(0,inf)", "finite"]),
        ("optimizer.lr=interval(-1e308,1e308)", ["finite"]),
        ("model.units=range(9,1)", ["model.units=range(9,1)"]),
        ("trainer.gradient_clip_val=choice(null,1.0)", ["trainer.gradient_clip_val=null,1"]),
        ("model=glob(zz*)", ["model=glob(zz*)", "matches nothing", "gru"]),
        ("seed=glob(*)", ["seed=glob(*)", "no group"]),
        ("model=null", ["model=null", "gru"]),
    ],
)
def test_spaces(train, small, override, words):
    sentence = told(train(*SEARCH, *small, "seed=1,2", override))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("hydra.sweeper.n_trials=0", ["hydra.sweeper.n_trials=0", "at least 1"]),
        ("hydra.sweeper.n_trials=many", ["hydra.sweeper.n_trials=many", "whole number"]),
        ("hydra.sweeper.n_jobs=-1", ["hydra.sweeper.n_jobs=-1", "at least 1"]),
        ("hydra.sweeper.folds=1", ["hydra.sweeper.folds=1", "at least 2"]),
        ("hydra.sweeper.max_failure_rate=2", ["hydra.sweeper.max_failure_rate=2", "at most 1"]),
        ("hydra.sweeper.direction=up", ["hydra.sweeper.direction=up", "minimize, maximize"]),
        ("hydra.sweeper.storage=nowhere://x", ["nowhere://x", "cannot be used"]),
        ("hydra.sweeper.storage=5", ["hydra.sweeper.storage=5", "text"]),
        ("hydra.sweeper.sampler=null", ["hydra.sweeper.sampler=null"]),
        ("hydra.sweeper.sampler=random", ["chosen by hydra/sweeper/sampler=random"]),
        ("hydra.sweeper.sampler.seed=x", ["hydra.sweeper.sampler.seed=x"]),
        ("+hydra.sweeper.sampler.speed=9", ["hydra.sweeper.sampler", "speed"]),
        ("hydra.sweeper.pruner=best", ["hydra.sweeper.pruner=best", "median, asha, hyperband"]),
        ("hydra.sweeper.pruner=5", ["hydra.sweeper.pruner=5"]),
        ("hydra.sweeper.pruner={}", ["hydra.sweeper.pruner", "_target_"]),
        ("hydra.sweeper.pruner={_target_: os.system}", ["hydra.sweeper.pruner"]),
        ("hydra.sweeper.pruner={_target_: optuna.pruners.No}", ["hydra.sweeper.pruner"]),
        ("hydra.sweeper.params=5", ["hydra.sweeper.params=5", "a dictionary"]),
        ("+hydra.sweeper.speed=9", ["no option hydra.sweeper.speed"]),
        ("hydra.sweeper.custom_search_space=no.such", ["no.such"]),
        ("hydra.sweeper.max_trials=3", ["max_trials"]),
    ],
)
def test_options_of_a_search(train, small, tmp_path, override, words):
    sentence = told(train(*SEARCH, *small, "seed=1,2", override))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.lr=interval(0,1)", ["optimizer.lr=interval(0,1)", "hydra/sweeper=optuna"]),
        ("seed=range(3,3)", ["seed=range(3,3) has no values"]),
        ("hydra.sweeper.max_batch_size=0", ["hydra.sweeper.max_batch_size=0", "at least 1"]),
        ("hydra.sweeper.max_batch_size=x", ["hydra.sweeper.max_batch_size=x", "whole number"]),
        ("hydra.sweeper.params=5", ["hydra.sweeper.params=5"]),
        ("experiment=glob(x*)", ["experiment=glob(x*) matches nothing", "amazon/best"]),
        ("callbacks=glob(zz*)", ["callbacks=glob(zz*) matches nothing", "ema"]),
        ("dataset=null", ["dataset=null", "imdb"]),
        ("model=gru,_base", ["There is no model=_base: known are attention, char_cnn"]),
        ("resume=a,b", ["resume=", "leave out -m"]),
        ("resume=a", ["resume="]),
        ("model.units=choice(null,3)", ["model.units=null,1"]),
    ],
)
def test_grids(train, small, tmp_path, override, words):
    sentence = told(train("-m", "name=g", *small, "seed=1,2", override))
    assert all(word in sentence for word in words), sentence
    assert not list((tmp_path / "outputs").glob("*")), "nothing is left of it"


def group_of(names: list[str]) -> SimpleNamespace:
    """Return Hydra's configuration loader for a group with these files."""

    def options(group: str, kind: ObjectType = ObjectType.CONFIG) -> list[str]:
        below = [n.removeprefix(f"{group}/") for n in names if n.startswith(f"{group}/")]
        folders = {n.split("/")[0] for n in below if "/" in n}
        return sorted(folders) if kind is ObjectType.GROUP else [n for n in below if "/" not in n]

    return SimpleNamespace(get_group_options=options)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("glob(imdb/*)", ["imdb/best", "imdb/grid"]),
        ("glob(*/best)", ["imdb/best", "spam/best"]),
        ("glob(*/*, exclude=spam/*)", ["imdb/best", "imdb/grid"]),
        ("glob([spam/*, imdb/g*])", ["imdb/grid", "spam/best"]),
        ("glob(spam/tuning/*)", ["spam/tuning/a"]),
        ("glob(d*)", ["default"]),
    ],
)
def test_patterns_are_those_of_a_shell(pattern, found):
    names = ["imdb/best", "imdb/grid", "spam/best", "spam/tuning/a", "spam/_base", "default"]
    loader = group_of([f"experiment/{name}" for name in names])
    (override,) = parse_overrides([f"experiment={pattern}"], loader)
    values = [*override.sweep_string_iterator()] if override.is_sweep_override() else found
    assert values == found
    assert override.input_line == f"experiment={','.join(found)}"
    with pytest.raises(UserError, match="matches nothing"):
        parse_overrides(["experiment=glob(*x*)"], loader)


def test_typed_options_replace_the_values_of_an_experiment():
    params = ["model=gru,lstm", "model.units=32,64", "dataset.batch_size=32,64"]
    typed = ["experiment=imdb/grid", "++model.units=16", "dataset.batch_size=8", "seed=1", "seed=2"]
    joined = ["model=gru,lstm", "++model.units=16", "dataset.batch_size=8"]
    assert join_arguments(params, typed) == [*joined, "experiment=imdb/grid", "seed=1", "seed=2"]
