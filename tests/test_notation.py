"""Shapes in comments and docstrings use the letters of docs/notation.md."""

import re
import tokenize
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "notation.md").read_text()
LETTERS = set(re.findall(r"^\| ([A-Z]) \|", PAGE, re.MULTILINE))
SHAPE = re.compile(r"\[((?:[\w.+*/×-]+(?: [\w.+*/×-]+)*)(?:, [\w.+*/×-]+(?: [\w.+*/×-]+)*)*)\]")
SOURCES = ROOT / "src"


def read_prose(file: Path) -> str:
    """Return the comments and, of Python, the strings of a source file."""
    if file.suffix != ".py":
        return "\n".join(re.findall(r"//.*", file.read_text()))
    with tokenize.open(file) as lines:
        tokens = list(tokenize.generate_tokens(lines.readline))
    kinds = (tokenize.COMMENT, tokenize.STRING)
    return "\n".join(token.string for token in tokens if token.type in kinds)


def find_letters(text: str) -> set[str]:
    """Return the single capital letters in shapes."""
    return {
        letter
        for shape in SHAPE.findall(text)
        for letter in re.findall(r"(?<![A-Za-z-])([A-Z])(?![A-Za-z-])", shape)
    }


def test_letters_are_found():
    assert find_letters("[B, T - 1], [G U, E], [0-9A-Z], [2 F], [INPUT], [N]") == set("BTGUEFN")
    assert set("BTEUDCNF") <= LETTERS


def test_letters_are_those_of_the_page():
    unknown = {
        str(file.relative_to(SOURCES)): letters
        for file in SOURCES.rglob("*")
        if file.suffix in (".py", ".cpp", ".h")
        and (letters := find_letters(read_prose(file)) - LETTERS)
    }
    assert unknown == {}
