"""Texts and settings as TensorBoard takes them."""

from seqtext.results.tensorboard import EXCERPT, _excerpt, extend, flattened


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


def test_a_curve_has_a_place_for_every_epoch():
    """Also for one whose training batches held no rows of a class."""
    curves: dict[str, list] = {}
    extend(curves, {"train/loss": 1.0, "val/loss": 2.0}, epoch=0)
    extend(curves, {"train/loss": 1.0, "train/recall_a": 0.5}, epoch=1)
    assert curves == {"train/loss": [1, 1], "val/loss": [2], "train/recall_a": [None, 0.5]}
