"""The HTML page of attributions: words, class names and run names are escaped."""

import numpy as np

from seqtext.inference.attribution import ATTENTION, LINEAR, Explanation
from seqtext.inference.attribution_page import render_explanations
from tests.inference.conftest import explanation_of
from tests.reporting.markup import PAYLOAD, TAG, parse_page


def explanation(words: list[str], method: str = LINEAR, name: str = "yes") -> Explanation:
    weights = np.array([0.5, -1.0, 0.0][: len(words)])
    known = np.array([True, False, True][: len(words)])
    return explanation_of(words, weights, name, 0.75, method, known)


def test_words_are_never_markup():
    for method in (LINEAR, ATTENTION, PAYLOAD):
        text = render_explanations([explanation([PAYLOAD, "b", "c"], method, PAYLOAD)], PAYLOAD)
        parsed = parse_page(text)
        assert text.count(f"&lt;{TAG} ") >= 3
        assert "script" not in parsed.tags
        assert "Content-Security-Policy" in text


def test_a_word_has_its_colour_and_number():
    text = render_explanations([explanation(["good", "bad", "the"])], "1 text")
    assert '<span class="for" style="--s:0.50" title="+0.50">good</span>' in text
    bad = '<span class="against unknown" style="--s:1.00" title="-1.00, unknown to the model">'
    assert f"{bad}bad</span> " in text
    assert '<span title="+0.00">the</span></p>' in text
    assert "<bdi>bad</bdi> -1.00 · <bdi>good</bdi> +0.50</p>" in text
    assert '<i style="width:75.0%"></i>' in text


def test_a_text_without_words():
    assert "(no words)</p>" in render_explanations([explanation([])], "1 text")
