"""Detect whether quotes of a tab-separated file are a CSV writer's or part of the texts."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Literal

QUOTED = re.compile(r'"(?:[^"]|"")*"')
Quotes = Literal["around fields", "in texts", "none at the start of a field"]


def inspect_quotes(lines: Iterable[str], separator: str, escapechar: str | None = None) -> Quotes:
    """Detect the meaning of the quotes in a file.

    A CSV writer quotes each field that contains a quote, which it doubles, a separator or a line
    end; or it quotes all fields, or all fields of some columns. Quotes in any other place are part
    of the texts, and so are those of a field that would span lines that are complete rows.

    Args:
        lines: lines of the file, with line ends
        separator: separator of the fields
        escapechar: escape character; an escaped quote is treated like a doubled one
    """
    latest = _RecordedLines(lines)
    reader = csv.reader(latest, delimiter=separator, escapechar=escapechar, strict=True)
    is_opening, is_stray = False, False
    width = 0
    plain: set[int] = set()  # columns with a field quoted without need
    bare: set[int] = set()  # columns with an unquoted field
    try:
        for row in reader:
            record, latest.lines = latest.lines, []
            if not row:
                continue
            is_header, width = not width, width or len(row)
            if len(record) > 1:
                is_opening = True
                is_stray |= width > 1 and all(line.count(separator) == width - 1 for line in record)
                continue
            line = record[0].rstrip("\r\n")
            if '"' in line and escapechar:
                line = re.sub(re.escape(escapechar) + "(.)", _normalize_escape, line)
            fields = line.split(separator)
            if len(fields) != len(row):  # a separator within quotes
                is_opening = True
                is_stray |= len(fields) == width
                continue
            if '"' in line:
                quoted = {column for column, field in enumerate(fields) if '"' in field}
                is_opening |= any(fields[column].startswith('"') for column in quoted)
                is_stray |= not all(QUOTED.fullmatch(fields[column]) for column in quoted)
                if not is_header:  # names may be quoted unlike the fields below
                    plain |= {c for c in quoted if fields[c].strip('"') and '""' not in fields[c]}
            if not is_header:
                bare |= {c for c, field in enumerate(fields) if field and field[0] != '"'}
    except csv.Error:
        return "in texts"
    if not is_opening:
        return "none at the start of a field"
    return "in texts" if is_stray or plain & bare else "around fields"


class _RecordedLines:
    """Iterates over lines and records them in `lines` until cleared."""

    def __init__(self, source: Iterable[str]):
        self.source = source
        self.lines: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self.source:
            self.lines.append(line)
            yield line


def _normalize_escape(escaped: re.Match) -> str:
    return '""' if escaped[1] == '"' else "xx"
