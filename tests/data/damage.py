"""Generates valid and damaged tables in every format."""

import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = [
    "a good film",
    'so "so", they say',
    "",
    "two\nlines",
    "tab\tand é 🎬",
    "a;b|c",
    "NA",
    "x" * 300,
]
ROWS = [{"id": n, "text": text, "label": "ab"[n % 2]} for n, text in enumerate(TEXTS * 3)]
ENCODINGS = ["utf-8", "cp1252", "utf-16", "utf-16-le", "utf-32", "utf-7", "shift_jis", "ascii"]
ENCODINGS += [
    "rot13",
    "base64",
    "hex",
    "idna",
    "punycode",
    "undefined",
    "unicode_escape",
    "a\0b",
    "",
]
SEPARATORS = [
    None,
    ",",
    ";",
    "\t",
    r"\t",
    "tab",
    "||",
    r"\s+",
    "|",
    " ",
    '"',
    "\n",
    "\0",
    "é",
    "",
    "t",
]
COLUMNS = ["text", "label", 0, 1, -1, -9, 99, "row", "txet", ""]
ODD_VALUES = [
    pa.array([[1], None, []] * 2),
    pa.array([{"a": 1}, None] * 3),
    pa.array(["x", "y", None] * 2).dictionary_encode(),
    pa.array([b"x", b"\xff", None] * 2),
    pa.array([date(2020, 2, 29), None] * 3),
    pa.array([Decimal("1.50"), None] * 3),
    pa.array(["x", None] * 3, pa.large_string()),
    pa.array(["x", None] * 3, pa.string_view()),
    pa.nulls(6),
    pa.array([True, None] * 3),
    pa.array([1.5, float("nan"), None] * 2),
    pa.array([2**62, None] * 3, pa.timestamp("ns", "Europe/Paris")),
    pa.array([2**48, None] * 3, pa.timestamp("s")),
    pa.array([1, None] * 3, pa.duration("ms")),
    pa.array([1, None] * 3, pa.time64("us")),
    pa.array([[("k", 1)], None] * 3, pa.map_(pa.string(), pa.int32())),
]
PACKERS = {
    "": bytes,
    ".gz": partial(gzip.compress, mtime=0),
    ".bz2": bz2.compress,
    ".XZ": lzma.compress,
}


def generate_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of files, most of them damaged; deterministic for a seed."""
    chance = random.Random(seed)
    for _ in range(count):
        suffix, content = chance.choice(_MAKERS)(chance)
        if chance.random() < 0.5:
            content = damage(content, chance)
        packing = chance.choice([*PACKERS, ".zip", "", ""])
        packed = _zip(content, suffix) if packing == ".zip" else PACKERS[packing](content)
        if packing and chance.random() < 0.6:
            packed = damage(packed, chance)
        yield f"a{suffix}{packing}", packed


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return the content with bytes cut off, changed, inserted or removed."""
    changed = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        place = chance.randrange(len(changed) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            del changed[place:]
        elif kind == 1 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            pieces = [
                b"\0",
                b'"',
                b"\r",
                b"\n",
                b"\t",
                b",",
                b"\xff\xfe",
                b"\\",
                b"\\ud800",
                b"[" * 3000,
            ]
            changed[place:place] = chance.choice(pieces)
        elif kind == 3:
            del changed[place : place + chance.randrange(1, 9)]
        elif kind == 4:
            changed[place:place] = changed[: chance.randrange(1, 99)]
        elif place < len(changed):  # any of the numbers in a header
            changed[place : place + 4] = b"\xff" * 4
    return bytes(changed)


def _csv(chance: random.Random) -> tuple[str, bytes]:
    suffix, separator = chance.choice([(".csv", ","), (".TXT", ","), (".tsv", "\t"), (".csv", ";")])
    quote = chance.choice(["always", "always", "never", "backslash"])
    lines = [separator.join(ROWS[0])]
    for row in ROWS[: chance.randrange(len(ROWS))]:
        fields = map(str, row.values())
        if quote != "never":
            double = '""' if quote == "always" else '\\"'
            fields = ['"{}"'.format(field.replace('"', double)) for field in fields]
        lines.append(separator.join(fields))
    text = chance.choice(["\n", "\r\n", "\r", "\n\n"]).join([*lines, ""])
    encoding = chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    return suffix, text.encode(encoding, "replace")


def _json(chance: random.Random) -> tuple[str, bytes]:
    odd = [None, 1.5, {"a": [1]}, ["x"], "\ud800", True, float("nan"), 10**30]
    rows = [dict(row) for row in ROWS]
    for row in chance.sample(rows, chance.choice([0, 1, 3])):
        row[chance.choice(["text", "label", "more"])] = chance.choice(odd)
        row.pop(chance.choice(["id", "text", "none"]), None)
    if chance.random() < 0.1:
        text = '{"text":' + "[" * 50_000 + "]" * 50_000 + "}"
    elif chance.random() < 0.5:
        text = json.dumps(rows, indent=chance.choice([None, 2]))
    else:
        text = "\n".join(map(json.dumps, rows))
    encoding = chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
    return chance.choice([".jsonl", ".json", ".NDJSON"]), text.encode(encoding)


def _parquet(chance: random.Random) -> tuple[str, bytes]:
    columns = {"text": pa.array(TEXTS[:6]), "label": pa.array(["a", "b"] * 3)}
    for name in chance.sample(["text", "label", "more"], chance.randrange(3)):
        columns[name] = chance.choice(ODD_VALUES)
    names = list(columns)
    if chance.random() < 0.1:
        names[-1] = names[0]
    sink = io.BytesIO()
    table = pa.table(list(columns.values()), names=names)
    pq.write_table(table.select([]) if chance.random() < 0.05 else table, sink)
    return ".parquet", sink.getvalue()


def _zip(content: bytes, suffix: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"a{suffix}"), content)  # without the time of day
    return sink.getvalue()


_MAKERS = [_csv, _csv, _json, _parquet]
