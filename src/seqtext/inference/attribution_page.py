"""Render explanations as a self-contained HTML page: coloured words, numbers as tooltips."""

from collections.abc import Sequence
from typing import Any

from seqtext.html_templates import read_asset, render_page
from seqtext.inference.attribution import ATTENTION, LINEAR, Explanation, iter_segments
from seqtext.inference.attribution_terminal import find_strongest, format_weight, scale_weights

PACKAGE = "seqtext.inference"
MAX_NAMED = 6
MIN_COLOURED_STRENGTH = 0.02  # minimum share of the strongest word's weight for a colour
METHOD_DESCRIPTIONS = {
    ATTENTION: "The attention weight of each word: the weights of a text add up to 1, and show "
    "where the model attends, not for or against which class.",
    LINEAR: "The contribution of each word, with half of each bigram's, to the score (logit) of "
    "the predicted class. The model is linear, so this is exact.",
}
GRADIENTS_DESCRIPTION = (
    "The contribution of each word to the score (logit) of the predicted class, relative to a "
    "text of as many unknown words, by integrated gradients (Sundararajan et al., 2017)."
)
COLOUR_DESCRIPTION = (
    "The strength of a colour is relative to the strongest word of the text; point at a word for "
    "its number."
)


def render_explanations(explanations: Sequence[Explanation], about: str) -> str:
    """Render the HTML page.

    Args:
        explanations: at least one
        about: description of model and texts in one line
    """
    method = explanations[0].method
    return render_page(
        PACKAGE,
        "explanations.html.j2",
        style=read_asset(PACKAGE, "page.css"),
        about=about,
        method=METHOD_DESCRIPTIONS.get(method, GRADIENTS_DESCRIPTION),
        scale=COLOUR_DESCRIPTION,
        legend=_build_legend(method),
        explanations=map(_describe, explanations),
    )


def _build_legend(method: str) -> list[tuple[str, float, str]]:
    """Return kind, strength and text of each sample in the legend."""
    kinds = [("for", "for the predicted class"), ("against", "against it")]
    if method == ATTENTION:
        kinds = [("for", "attention")]
    return [
        (kind, strength, words)
        for kind, most in kinds
        for strength, words in ((0.35, "a little"), (1, most))
    ]


def _describe(explanation: Explanation) -> dict[str, Any]:
    """Return the template's values of an explanation."""
    sizes = scale_weights(explanation)
    return {
        "class_name": explanation.class_name,
        "probability": explanation.probability,
        "has_words": bool(explanation.words),
        "parts": [
            _describe_part(explanation, n, 0 if n is None else sizes[n], part)
            for part, n in iter_segments(explanation)
        ],
        "strongest": [  # text alternative to tooltips
            (explanation.words[n], format_weight(explanation, n))
            for n in find_strongest(explanation, MAX_NAMED)
        ],
    }


def _describe_part(
    explanation: Explanation, position: int | None, strength: float, text: str
) -> dict[str, str]:
    if position is None:
        kind = "" if text.isspace() else "unread"
        return {"kinds": kind, "strength": "", "title": "", "text": text}
    kinds = []
    if is_coloured := strength >= MIN_COLOURED_STRENGTH:
        kinds.append("for" if explanation.weights[position] > 0 else "against")
    title = format_weight(explanation, position)
    if not explanation.known[position]:
        kinds.append("unknown")
        title += ", unknown to the model"
    return {
        "kinds": " ".join(kinds),
        "strength": f"{strength:.2f}" if is_coloured else "",
        "title": title,
        "text": text,
    }
