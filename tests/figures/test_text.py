"""Class names in figures are drawn literally."""

import warnings

import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from seqtext.figures.files import to_png
from seqtext.figures.text import draw_text_literally, label_classes, make_drawable

NO_FONT_HAS = "\U000f0000"  # for private use


def has(font: str) -> set[int]:
    return set(get_font(findfont(font)).get_charmap())


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["$5_$10", "\\frac{", "_a"], ["$5_$10", "\\frac{", "_a"]),
        (["été", "مرحبا"], ["été", "مرحبا"]),
        ([f"a{NO_FONT_HAS}", "b"], ["a\ufffd", "b"]),
        ([NO_FONT_HAS, NO_FONT_HAS * 2, "b"], ["class 0 (\ufffd)", "class 1 (\ufffd\ufffd)", "b"]),
        (["a\u202eb\x1b", "line\nbreak"], ["a\ufffdb\ufffd", "line break"]),
        (["y" * 99, "y" * 98], [f"class {n} ({'y' * 30} ...)" for n in range(2)]),
    ],
)
def test_labels(names, shown):
    assert label_classes(names) == shown


def test_another_font_serves_where_it_has_the_character():
    others = has("STIXGeneral") - has("DejaVu Sans")
    character = chr(min(code for code in others if chr(code).isprintable()))
    assert make_drawable(character, 9) == character
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with draw_text_literally(character):
            figure = Figure((2, 1))
            figure.text(0.5, 0.5, f"$_{{{character}")
        assert to_png(figure).startswith(b"\x89PNG")


def test_outside_formulas_are_as_usual():
    with draw_text_literally("$x$"):
        inside = Figure().text(0, 0, "$x$")
    assert not inside.get_parse_math()
    assert Figure().text(0, 0, "$x$").get_parse_math()
