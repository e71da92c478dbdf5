"""Settings of a run: extraction from the configuration, and comparison."""

from omegaconf import OmegaConf

from seqtext.config.settings import apply_overrides, to_run_config
from seqtext.identity import find_first_difference


def test_settings_are_what_is_left():
    config = OmegaConf.create(
        {"seed": 1, "name": "a", "resume": None, "from_best": None, "split": {"seed": "${seed}"}}
    )
    assert to_run_config(config) == {"seed": 1, "split": {"seed": 1}}


def test_first_difference():
    stored = {"seed": 1, "dataset": {"dir": "/here", "length": 5}, "model": {"units": [1, 2]}}
    assert find_first_difference(stored, stored | {"paths": {"cache_dir": "/tmp"}}) is None
    moved = stored | {"dataset": {"dir": "/there", "length": 5}}
    assert find_first_difference(stored, moved) is None
    other = stored | {"model": {"units": [1, 3]}}
    assert find_first_difference(stored, other) == ("model.units", [1, 2], [1, 3])
    more = stored | {"trainer": {"limit": 1}}
    assert find_first_difference(stored, more) == ("trainer.limit", "absent", 1)
    assert find_first_difference(more, stored) == ("trainer.limit", 1, "absent")


def test_changed_by_overrides():
    settings = {"seed": 1, "model": {"units": 3, "depth": 2}, "trainer": {"epochs": 1}}
    composed = OmegaConf.create(
        {"seed": 2, "model": {"width": 9}, "trainer": {"epochs": 5, "limit": 4}, "name": "x"}
    )
    overrides = ["model=wide_and_deep", "trainer.epochs=5", "+trainer.limit=4", "name=x"]
    assert apply_overrides(overrides, composed, settings) == {
        "seed": 1,
        "model": {"width": 9},
        "trainer": {"epochs": 5, "limit": 4},
    }
