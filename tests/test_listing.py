"""Lists of choices, in Python and on the help page."""

from typing import get_args

import pytest

import seqtext
from seqtext import listing
from seqtext.choices import ACTIVATIONS, INITIALIZERS, POOLINGS, SAMPLINGS
from seqtext.config.available_options import set_command_line
from seqtext.data.class_balance import Sampling
from seqtext.layers import activations
from seqtext.layers.initializers import Init
from seqtext.layers.pooling import PoolingName
from seqtext.losses import LOSSES
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def forget_the_command_line():
    set_command_line([], {})
    yield
    set_command_line([], {})


def test_lists():
    assert {"gru", "cnn", "tfidf"} <= set(seqtext.list_models())
    assert {"imdb", "table"} <= set(seqtext.list_datasets())
    assert set(seqtext.list_losses()) == set(LOSSES)
    assert "imdb/grid" in seqtext.list_experiments()
    assert seqtext.list_poolings() == list(POOLINGS)
    assert seqtext.list_activations() == list(activations.ACTIVATIONS) == list(ACTIVATIONS)
    assert seqtext.list_initializers() == list(INITIALIZERS)
    assert {"loss", "f1", "macro_f1", "weighted_f1", "auroc"} <= set(seqtext.list_metrics())


def test_every_list_and_every_group():
    for name in dir(listing):
        if name.startswith("list_") and name != "list_choices":
            assert name in seqtext.__all__
            names = getattr(seqtext, name)()
            assert names, name
            assert not any(each.startswith("_") for each in names)
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()} - {"hydra"}
    assert set(seqtext.list_groups()) == groups
    assert all(map(seqtext.list_choices, groups))


def test_wrong_names():
    with pytest.raises(AttributeError, match="list_pets"):
        _ = seqtext.list_pets
    with pytest.raises(ValueError, match=r"There is no group pet: known are .*model"):
        seqtext.list_choices("pet")


def test_types_have_the_same_names():
    assert get_args(PoolingName) == POOLINGS
    assert get_args(Init) == INITIALIZERS
    assert get_args(Sampling) == SAMPLINGS


def test_the_help_page_lists_the_named_values(train):
    status, page, _ = train("--help")
    assert status == 0
    listed = " ".join(page.split())
    for names in listing.NAMED_VALUES.values():
        assert ", ".join(names) in listed
