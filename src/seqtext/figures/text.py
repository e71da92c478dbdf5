"""Texts of users in figures: drawn as they are written, each class under a name of its own.

A text is no formula, whatever dollars it has. What matplotlib's own font lacks is taken from a font
of the system; what no font has is drawn as U+FFFD.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from seqtext.display import NAME_LENGTH, REPLACEMENT, make_distinct, make_printable, shorten

TITLE_LENGTH = 60  # characters
CHARACTER = 0.08  # inches, of a name beside an axis
NORMAL_WEIGHTS = (400, "normal", "regular")
NOT_FOR_TEXT = re.compile(r"Last ?Resort|Colou?r|^STIX(NonUnicode|Size)|^cm[a-z]+10$")  # families


def label_classes(class_names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Return class names for a figure: short, drawable, and all distinct.

    Names that would look alike, or like nothing, get the number of the class.
    """
    return make_distinct([make_drawable(name, length) for name in class_names])


def describe_omission(shown: int, classes: int) -> str:
    """Return what to say where not all classes are shown, or an empty string."""
    return f"The {shown} largest of {classes:,} classes." if shown < classes else ""


def make_drawable(text: str, length: int) -> str:
    """Return a text on one line, cut, with U+FFFD where no font has a character."""
    line = make_printable(shorten(text, length))
    drawn_by = _find_fonts(_find_missing(_find_default_font(), line))
    return "".join(c if drawn_by.get(c, True) else REPLACEMENT for c in line)


@contextmanager
def draw_text_literally(*texts: str) -> Iterator[None]:
    """Make the figures that are built within draw all text as it is written.

    Args:
        texts: those that are drawn, for which fonts are chosen
    """
    found = _find_fonts(_find_missing(_find_default_font(), "".join(texts))).values()
    families = [*rcParams["font.family"], *dict.fromkeys(family for family in found if family)]
    options: Any = {"text.parse_math": False, "text.usetex": False, "font.family": families}
    with rc_context(options):
        yield


@cache
def _find_fonts(characters: frozenset[str]) -> dict[str, str | None]:
    """Return for each character the family of a font of the system that has it, or None."""
    found: dict[str, str | None] = dict.fromkeys(characters)
    for family in _list_families() if characters else ():
        missing = [c for c in characters if found[c] is None]
        if not missing:
            break
        font = findfont(FontProperties(family=family), fallback_to_default=False)
        found |= dict.fromkeys(set(missing) - _find_missing(font, missing), family)
    return found


@cache
def _list_families() -> list[str]:
    """Return the names of all upright fonts, those without serifs first."""
    usual = [f for f in fontManager.ttflist if f.style == "normal" and f.weight in NORMAL_WEIGHTS]
    names = {font.name for font in usual}
    suitable = [name for name in names if not NOT_FOR_TEXT.search(name)]
    return sorted(suitable, key=lambda name: ("Sans" not in name, name))


def _find_default_font() -> str:
    return findfont(FontProperties())


def _find_missing(font: str, characters: Iterable[str]) -> frozenset[str]:
    """Return those of the characters that a font file does not have."""
    known = _read_code_points(font)
    return frozenset(c for c in set(characters) if not known[ord(c) >> 3] >> (ord(c) & 7) & 1)


@cache
def _read_code_points(font: str) -> bytes:
    """Return a bit for each code point that a font file can draw: fonts of CJK have many."""
    bits = np.zeros(sys.maxunicode + 1, np.uint8)
    try:
        face = get_font(font)
        if face.scalable:  # bitmaps, as of coloured emoji, have sizes of their own
            bits[list(face.get_charmap())] = 1
    except (OSError, RuntimeError):  # no font that FreeType can read
        pass
    return np.packbits(bits, bitorder="little").tobytes()
