"""JSON Lines and JSON arrays: names, numbers and values."""

import json

import pytest

from seqtext.data import formats, json_reader
from tests.data.test_csv_reader import read, refused

ROWS = [{"text": f"text {n}", "label": "ab"[n % 2], "more": {"x": [1]}} for n in range(9)]
TEXTS, LABELS = ([row[name] for row in ROWS] for name in ("text", "label"))


def lines_of(rows) -> str:
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("characters", [1, 7, 1 << 16])
def test_arrays(tmp_path, monkeypatch, indent, characters):
    monkeypatch.setattr(json_reader, "CHARACTERS", max(characters, 2))
    monkeypatch.setattr(formats, "BLOCK_ROWS", 4)
    for name in ("a.json", "a.jsonl"):
        content = " \n" + json.dumps(ROWS, indent=indent) + "\n" if characters > 7 else ""
        content = content or json.dumps(ROWS, indent=indent)
        assert read(tmp_path, content, name)[:2] == (TEXTS, LABELS)
    assert read(tmp_path, "[]", "a.json")[0] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"text": "a"}, {"text": ', "row 2: no JSON object"),
        ('[{"text": "a"}', "row 1: no comma and no ] follows"),
        ('[{"text": "a"}, 5]', "row 2: '5]' is no JSON object"),
        ('[{"text": "a"},]', "row 1: a comma follows"),
        ('[{"text": "a"}] x', "more follows the end of the array"),
        ('[{"text": ' + "[" * 90_000, "row 1: no JSON object"),
        ('{"text": ' + "[" * 90_000 + "]" * 90_000 + "}", "nested too deeply"),
        ('{\n"text": "a"\n}', "line 1: no JSON object .* array holds objects"),
        ('{"text": {"a": 1}, "label": "a"}', "line 1, column 'text' holds an object of JSON"),
        ('{"text": "x", "label": ["a"]}', "line 1, column 'label' holds a list of JSON"),
        ('{"text": "x \\ud800", "label": "a"}', r"row 1, holds '\\ud800', no whole character"),
    ],
)
def test_malformed(tmp_path, content, words):
    import re

    told = refused(tmp_path, content, "a.json")
    assert re.search(words, told), told


def test_a_name_that_no_object_has(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 4)
    for columns in (["title", "text", "label"], ["txet", "label"], ["text", "labl"]):
        wrong = next(name for name in columns if name not in ROWS[0])
        told = refused(tmp_path, lines_of(ROWS), "a.jsonl", columns=columns)
        assert f"has no column '{wrong}': name one of its columns 'text', 'label', 'more'" in told
    rows = [*ROWS, {"title": "the only one"}]
    texts, _, _ = read(tmp_path, lines_of(rows), "a.jsonl", columns=["title", "text"])
    assert texts == [""] * 9 + ["the only one"]


def test_numbers_count_the_names_of_all_objects(tmp_path):
    rows = [{"text": "a", "label": "x"}, {"title": "t", "text": "b", "label": "y"}, {"label": "z"}]
    found = read(tmp_path, lines_of(rows), "a.jsonl", columns=[1, 2])
    assert found[:2] == (["a", "b", ""], ["x", "y", "z"])
    assert read(tmp_path, lines_of(rows), "a.jsonl", columns=[0, -1])[0] == ["", "t", ""]
    told = refused(tmp_path, lines_of(rows), "a.jsonl", columns=[1, 3])
    assert "has no column 3: its columns are 0 to 2" in told


def test_null_is_empty(tmp_path):
    rows = [{"text": None, "label": None}, {"text": 5, "label": True}]
    assert read(tmp_path, lines_of(rows), "a.jsonl")[:2] == (["", "5"], ["", "true"])
