"""Draw user texts in figures literally, with distinct names for classes.

Dollar signs do not start formulas. Characters missing in matplotlib's font are drawn with a system
font, or as U+FFFD if no font has them.
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
CHARACTER_WIDTH = 0.08  # inches per character of a name beside an axis
NORMAL_WEIGHTS = (400, "normal", "regular")
NOT_FOR_TEXT = re.compile(r"Last ?Resort|Colou?r|^STIX(NonUnicode|Size)|^cm[a-z]+10$")  # families


def label_classes(class_names: Sequence[str], length: int = NAME_LENGTH) -> list[str]:
    """Return class names for a figure: short, drawable and distinct.

    Names that would look alike or blank get the number of the class.
    """
    return make_distinct([make_drawable(name, length) for name in class_names])


def describe_omission(shown: int, classes: int) -> str:
    """Return a note if not all classes are shown, or an empty string."""
    return f"The {shown} largest of {classes:,} classes." if shown < classes else ""


def make_drawable(text: str, length: int) -> str:
    """Shorten a text to one line, with U+FFFD for characters that no font has."""
    line = make_printable(shorten(text, length))
    drawn_by = _find_fonts(_find_missing(_find_default_font(), line))
    return "".join(c if drawn_by.get(c, True) else REPLACEMENT for c in line)


@contextmanager
def draw_text_literally(*texts: str) -> Iterator[None]:
    """Draw all text of figures built within the context literally.

    Args:
        texts: texts to draw, for which fonts are selected
    """
    found = _find_fonts(_find_missing(_find_default_font(), "".join(texts))).values()
    families = [*rcParams["font.family"], *dict.fromkeys(family for family in found if family)]
    options: Any = {"text.parse_math": False, "text.usetex": False, "font.family": families}
    with rc_context(options):
        yield


@cache
def _find_fonts(characters: frozenset[str]) -> dict[str, str | None]:
    """Map each character to the family of a system font that has it, or None."""
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
    """Return the names of all upright fonts, sans-serif fonts first."""
    usual = [f for f in fontManager.ttflist if f.style == "normal" and f.weight in NORMAL_WEIGHTS]
    names = {font.name for font in usual}
    suitable = [name for name in names if not NOT_FOR_TEXT.search(name)]
    return sorted(suitable, key=lambda name: ("Sans" not in name, name))


def _find_default_font() -> str:
    return findfont(FontProperties())


def _find_missing(font: str, characters: Iterable[str]) -> frozenset[str]:
    """Return the characters that a font file does not have."""
    known = _read_code_points(font)
    return frozenset(c for c in set(characters) if not known[ord(c) >> 3] >> (ord(c) & 7) & 1)


@cache
def _read_code_points(font: str) -> bytes:
    """Return a bit set of a font file's code points, compact for large CJK fonts."""
    bits = np.zeros(sys.maxunicode + 1, np.uint8)
    try:
        face = get_font(font)
        if face.scalable:  # bitmap fonts, as of coloured emoji, have fixed sizes
            bits[list(face.get_charmap())] = 1
    except (OSError, RuntimeError):  # FreeType cannot read the file
        pass
    return np.packbits(bits, bitorder="little").tobytes()
