"""Options are validated by type hints, in all classes."""

from typing import Annotated, Any, Literal

import pytest
import torch
from annotated_types import Interval

from seqtext.errors import OptionError, build_unknown_option_error
from seqtext.models.rnn import GRU
from seqtext.validation import (
    DropoutRate,
    PositiveInt,
    describe_type,
    find_type_error,
    get_option_hints,
    validate_args,
)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -5], [1.0, True, "1", None]),
        (float, [0, 0.5], [True, "x", None]),
        (bool, [True, False], [0, 1, "true"]),
        (str, ["", "a"], [1, None]),
        (PositiveInt, [1, 10**9], [0, -1, 1.5, True]),
        (DropoutRate, [0, 0.99], [1, 1.0, -0.1, "0.5"]),
        (PositiveInt | None, [None, 3], [0, "3"]),
        (Literal["a", "b"], ["a", "b"], ["c", None]),
        (list[str], [[], ["a"]], ["a", [1], None]),
        (list[PositiveInt] | PositiveInt, [3, [1, 2]], [0, [1, 0]]),
        (Annotated[float, Interval(gt=0, le=1)], [1, 0.1], [0, 1.01]),
        (tuple[float | torch.Tensor, float], [[0.9, 1], (0, 1)], [3, [1], [1, "a"], [1, 2, 3]]),
    ],
)
def test_fits(hint, good, bad):
    assert all(find_type_error(value, hint) is None for value in good)
    assert all(find_type_error(value, hint) for value in bad)


def test_checked_constructor():
    class Layer:
        @validate_args
        def __init__(self, width: PositiveInt, rate: DropoutRate = 0.0):
            self.width = width

    assert Layer(3).width == 3
    with pytest.raises(OptionError, match=r"width=0 is not possible: .* at least 1"):
        Layer(0)
    with pytest.raises(OptionError, match="rate=null"):
        Layer(1, rate=None)


def test_error_within_a_group():
    error = OptionError("units", [1, 0], "a list").within("model")
    assert str(error) == "model.units=[1, 0] is not possible: it must be a list."


def test_hints_that_are_not_imported():
    class Layer:
        def __init__(self, width: "NotImported", depth: int = 1): ...  # noqa: F821

    assert get_option_hints(Layer) == {"width": Any, "depth": Any}


def test_types_of_code_are_not_named():
    hint = tuple[float | torch.Tensor, float | torch.Tensor]
    assert describe_type(hint) == "a list of 2, each item a number"


def test_nearest_option_is_offered():
    sentence = str(build_unknown_option_error("pct", ["pct_start", "lr"], "scheduler"))
    assert sentence.endswith("did you mean scheduler.pct_start?")
    sentence = str(build_unknown_option_error("x", [], "logger.csv"))
    assert sentence.endswith("logger.csv has no options.")
    assert "did you mean model.units?" in str(
        build_unknown_option_error("unit", ["units", "layers"], "model")
    )
    assert "known are layers, units." in str(build_unknown_option_error("zzz", ["units", "layers"]))


class Focal:
    """A mixin that takes an option and passes on the others."""

    def __init__(self, gamma: float = 2.0, **others):
        super().__init__(**others)


class Named:
    """A mixin without a constructor."""


class FocalGRU(Focal, GRU):
    pass


class NamedGRU(Named, GRU):
    pass


class DeepGRU(Named, FocalGRU):
    def __init__(self, depth: PositiveInt = 1, **others):
        super().__init__(**others)


class Closed(Focal):
    def __init__(self, width: PositiveInt = 1):
        super().__init__()


def test_a_mixin_has_the_options_of_the_class_that_it_is_put_over():
    assert get_option_hints(NamedGRU) == get_option_hints(GRU)
    assert get_option_hints(FocalGRU) == {"gamma": float, **get_option_hints(GRU)}
    assert get_option_hints(DeepGRU) == {
        "depth": PositiveInt,
        "gamma": float,
        **get_option_hints(GRU),
    }
    assert {"units", "word_dropout"} <= get_option_hints(FocalGRU).keys()
    assert get_option_hints(Closed) == {"width": PositiveInt}
    assert get_option_hints(Focal) == {"gamma": float}
