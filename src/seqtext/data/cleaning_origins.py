"""Find where each character of a cleaned text comes from in the original text."""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from seqtext.data.cleaning import RegexReplace, Strip, TextCleaner

GROUP = re.compile(r"\\(\d)")  # in a replacement


def find_origins(cleaner: TextCleaner, text: str) -> tuple[str, np.ndarray]:
    """Clean a text, and find the origin of each character.

    Returns:
        The cleaned text, and [characters, 2] first character and last + 1 of the original text that
        each comes from. If a step cannot be followed, each character comes from the whole text.
    """
    cleaned, origins = text, np.stack([np.arange(len(text)), np.arange(len(text)) + 1], axis=1)
    for operation in cleaner.operations():
        if isinstance(operation, RegexReplace):
            cleaned, origins = _replace(operation, cleaned, origins)
        elif isinstance(operation, Strip):
            first = len(cleaned) - len(cleaned.lstrip(" "))
            cleaned = cleaned.strip(" ")
            origins = origins[first : first + len(cleaned)]
        else:
            cleaned = operation(pa.array([cleaned]))[0].as_py()
    (wanted,) = cleaner(pa.array([text])).to_pylist()
    if cleaned != wanted or len(origins) != len(cleaned):
        return wanted, np.tile([0, len(text)], (len(wanted), 1))
    return cleaned, origins


def _replace(operation: RegexReplace, text: str, origins: np.ndarray) -> tuple[str, np.ndarray]:
    """Replace all matches in a text; what a group repeats keeps its origins."""
    parts, sources, position = [], [np.zeros((0, 2), np.int64)], 0
    for match in re.finditer(operation.python or operation.pattern, text):
        parts.append(text[position : match.start()])
        sources.append(origins[position : match.start()])
        position = match.end()
        for part, start, stop in _iter_parts(operation.by, match):
            parts.append(part)
            if start < 0:  # characters of the replacement come from the whole match
                matched = origins[match.start() : position]
                ends = [matched[0, 0], matched[-1, 1]] if len(matched) else [0, 0]
                sources.append(np.tile(ends, (len(part), 1)))
            else:
                sources.append(origins[start:stop])
    parts.append(text[position:])
    sources.append(origins[position:])
    return "".join(parts), np.concatenate(sources)


def _iter_parts(replacement: str, match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the parts of a replacement with the span of a group in the text, or -1 twice."""
    for number, part in enumerate(GROUP.split(replacement)):
        if number % 2 == 0:
            yield part, -1, -1
        elif match[int(part)]:
            yield match[int(part)], *match.span(int(part))
