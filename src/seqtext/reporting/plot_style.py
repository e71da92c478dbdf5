"""Styles, names and escaping shared by all Plotly figures of the report."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from seqtext.display import make_printable
from seqtext.reporting.groups import RunGroup

PALETTE = (
    *("#3b73d1", "#e07b39", "#2f9e77", "#c2457d", "#8367c7"),
    *("#b0892b", "#3aa0c9", "#d1495b", "#6b8e23", "#7d7f8a"),
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "triangle-up", "x", "star", "cross")
PLOTLY_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "%{": "%&#123;"}
MAX_LABEL_LENGTH = 60  # characters of a label
MAX_GROUPS = 40  # groups in figures with a line per group
BAR_HEIGHT = 24  # pixels of a bar


class Style(NamedTuple):
    """Colour, dash and symbol of a group in every figure; the first 60 are distinct."""

    color: str
    dash: str
    symbol: str


def assign_styles(groups: Sequence[RunGroup]) -> list[Style]:
    """Return a style per group: colours vary first, then dashes and symbols."""
    styles = []
    for place, group in enumerate(groups):
        turn, colour = divmod(place, len(PALETTE))
        symbol = "diamond" if group.is_baseline else SYMBOLS[turn % len(SYMBOLS)]
        styles.append(Style(PALETTE[colour], DASHES[turn % len(DASHES)], symbol))
    return styles


def format_group_name(group: RunGroup) -> str:
    """Return a group's label, escaped and shortened for a figure."""
    return escape_plotly(shorten_label(group.label))


def shorten_label(text: str, most: int = MAX_LABEL_LENGTH) -> str:
    """Shorten a text to about `most` characters, distinct from other shortened texts."""
    if len(text) <= most:
        return text
    kept = most - 9
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:4]
    start, end = text[: kept // 2], text[len(text) - kept // 2 :]  # the end often differs
    return f"{start} … {end} ({digest})"


def escape_plotly(text: str) -> str:
    """Escape a text for Plotly: no tags, links, entities or ``%{fields}``."""
    line = make_printable(" ".join(text.split()))
    for character, entity in PLOTLY_ENTITIES.items():
        line = line.replace(character, entity)
    return line


def show_category(figure: go.Figure, axis: str, names: Sequence[str], **at: int) -> None:
    """Make an axis show all of these categories as texts, even if they look like numbers."""
    update = figure.update_xaxes if axis == "x" else figure.update_yaxes
    update(type="category", categoryorder="array", categoryarray=list(names), dtick=1, **at)
