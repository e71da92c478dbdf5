"""Attributions in the terminal: colored words or plain lines; control characters are escaped."""

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from seqtext.inference.attribution import Explanation
from seqtext.inference.attribution_page import render_explanations
from seqtext.inference.attribution_terminal import (
    AGAINST,
    FOR,
    ExplanationPrinter,
    find_strongest,
    scale_weights,
)
from tests.inference.conftest import explanation_of

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img/src=x/onerror=alert(1)>',
    "[red]",
    "[/]",
    ":smile:",
    "x" * 5000,
    "\x1b[31mred\x00",
    "\u202eesrever",
    "&amp;",
    "{self}",
]
MARK = "\N{REPLACEMENT CHARACTER}"


def explanation(words: list[str], weights: list[float], **others) -> Explanation:
    usual = {"class_name": "good", "probability": 0.75, "method": "integrated gradients"}
    known = np.array([word != "zzz" for word in words], bool)
    return explanation_of(words, np.array(weights), known=known, **{**usual, **others})


ONE = explanation(["a", "fine", "zzz", "dull"], [0.0, 2.5, 0.0, -1.0])
ATTENDED = explanation(["a", "fine", "zzz"], [0.25, 0.5, 0.25], method="attention")


def terminal(**options) -> tuple[ExplanationPrinter, io.StringIO]:
    stream = io.StringIO()
    usual = {"color_system": "truecolor", "width": 60, "highlight": False}
    return ExplanationPrinter(Console(file=stream, **{**usual, **options})), stream


def test_strength_is_beside_the_strongest():
    assert scale_weights(ONE).tolist() == [0, 1, 0, 0.4]
    assert find_strongest(ONE) == [1, 3]
    assert find_strongest(ONE, 1) == [1]
    nothing = explanation(["a"], [0.0])
    assert (scale_weights(nothing).tolist(), find_strongest(nothing)) == ([0], [])
    assert (scale_weights(explanation([], [])).tolist(), find_strongest(explanation([], []))) == (
        [],
        [],
    )


def rgb(colour: str) -> str:
    return ";".join(str(int(colour[n : n + 2], 16)) for n in (1, 3, 5))


def test_words_in_colours():
    one, stream = terminal(force_terminal=True)
    for _ in range(2):
        one.show(ONE)
    shown = stream.getvalue()
    assert shown.count("integrated gradients") == 1, "the legend comes once"
    assert f"\x1b[1;7;38;2;{rgb(FOR)}mfine\x1b[0m" in shown
    assert f"\x1b[1;38;2;{rgb(AGAINST)}mdull\x1b[0m" in shown
    assert "\x1b[2;3mzzz\x1b[0m" in shown
    assert "\x1b[1mgood\x1b[0m  0.7500\na " in shown


def test_attention_has_one_colour():
    one, stream = terminal(force_terminal=True)
    one.show(ATTENDED)
    shown = stream.getvalue()
    assert rgb(AGAINST) not in shown
    assert "against" not in shown
    assert f"\x1b[1;3;38;2;{rgb(FOR)}mzzz\x1b[0m" in shown, "unknown, and yet attended to"


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "no_color": True}], ids=str)
def test_plain_lines(options):
    one, stream = terminal(**options)
    one.show(ONE)
    one.show(ATTENDED)
    one.show(explanation([], []))
    assert stream.getvalue().splitlines() == [
        "good\t0.7500\ta fine zzz dull",
        "  integrated gradients, for (+) and against (-) good: fine +2.50, dull -1.00",
        "good\t0.7500\ta fine zzz",
        "  attention: fine 0.500, a 0.250, zzz 0.250",
        "good\t0.7500\t",
        "  integrated gradients, for (+) and against (-) good: -",
    ]


@pytest.mark.parametrize("forced", [True, False])
def test_hostile_words_are_text_in_the_terminal(forced):
    hostile = explanation(HOSTILE, [0.0] * len(HOSTILE), class_name="[bold]\x1b[2J")
    one, stream = terminal(force_terminal=forced, width=10_000)
    one.show(hostile)
    shown = stream.getvalue()
    for word in HOSTILE[:6] + HOSTILE[8:]:
        assert word in shown
    assert f"{MARK}[31mred{MARK} {MARK}esrever" in shown
    assert f"[bold]{MARK}[2J" in shown
    assert "\x1b[31m" not in shown
    assert "\x1b[2J" not in shown


class Parsed(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and "title" in self.tags[-1][1] and data.strip():
            self.words.append((data, self.tags[-1][1]))


def test_a_page():
    parsed = Parsed(render_explanations([ONE, explanation([], [])], "two texts"))
    words = dict(parsed.words)
    assert list(words) == ONE.words
    assert words["fine"] == {"class": "for", "style": "--s:1.00", "title": "+2.50"}
    assert words["dull"] == {"class": "against", "style": "--s:0.40", "title": "-1.00"}
    assert words["a"] == {"title": "+0.00"}
    assert words["zzz"] == {"class": "unknown", "title": "+0.00, unknown to the model"}
    whole = render_explanations([ONE, explanation([], [])], "two <texts>")
    assert all(said in whole for said in ("prefers-color-scheme: dark", "(no words)", "0.7500"))
    assert all(said in whole for said in ("integrated gradients", "against it", "&lt;texts&gt;"))


def test_a_page_of_attention():
    whole = render_explanations([ATTENDED], "")
    assert "against it" not in whole
    assert "attention" in whole
    assert Parsed(whole).words[1] == (
        "fine",
        {"class": "for", "style": "--s:1.00", "title": "0.500"},
    )


def test_hostile_words_are_text_on_a_page():
    hostile = explanation(HOSTILE, [1.0] * len(HOSTILE), class_name="<i>")
    parsed = Parsed(render_explanations([hostile], "<b>"))
    shown = [word for word, _ in parsed.words]
    assert shown[:6] == HOSTILE[:6]
    assert shown[6:] == [f"{MARK}[31mred{MARK}", f"{MARK}esrever", "&amp;", "{self}"]
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "img", "link", "b" * 2}
    assert all(not {"src", "href"} & {*attributes} for _, attributes in parsed.tags)
