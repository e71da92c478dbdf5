"""Texts and settings as TensorBoard takes them."""

from seqtext.results.tensorboard import EXCERPT, _excerpt, flattened


def test_excerpt_is_plain_and_short():
    assert _excerpt("a<br />\n b  *c* [d](e)") == r"a b \*c\* \[d\]\(e\)"
    assert len(_excerpt("x" * 10_000)) == EXCERPT + 2


def test_flattened_settings():
    settings = {
        "seed": 1,
        "cache": "/tmp",
        "model": {"_target_": "x", "units": [1, 2], "flag": True},
        "dataset": {"dir": None, "length": None},
    }
    assert flattened(settings) == {
        "seed": 1,
        "model.units": "[1, 2]",
        "model.flag": True,
        "dataset.length": "None",
    }
