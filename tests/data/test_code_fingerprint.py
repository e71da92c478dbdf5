"""Fingerprint of the code that a prepared data set depends on."""

import importlib
import sys

import pytest

from seqtext.data import code_fingerprint as code
from seqtext.data.code_fingerprint import digest_code
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.spam import Spam
from seqtext.datasets.table import TableDataset


def modules(kind: type) -> set[str]:
    """Return the names of the modules that are followed."""
    own = [
        base.__module__ for base in kind.__mro__ if code._is_own(base.__module__, IMDB.__module__)
    ]
    return {name.rpartition(".")[2] for name, _ in code._iter_sources(own, kind.__module__)}


def test_a_data_set_depends_on_what_reads_and_prepares_it():
    shared = {
        "cleaning",
        "corpus",
        "duplicates",
        "labels",
        "preprocessing",
        "raw_dataset",
        "split",
        "vocabulary",
    }
    assert shared | {
        "imdb",
        "base",
        "compression",
        "readers",
        "table_reader",
        "formats",
    } <= modules(IMDB)
    others = {"spam", "amazon", "table", "statistics", "vectors", "vector_files", "loaders"}
    assert not others & modules(IMDB)
    assert not {"imdb", "spam"} & modules(TableDataset)
    assert digest_code(IMDB) == digest_code(IMDB) != digest_code(Spam)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write a data set module that imports a second module, which imports a third."""
    (tmp_path / "own_set.py").write_text(
        "from seqtext.datasets.imdb import IMDB\n\n\nclass Own(IMDB):\n"
        "    def read_tables(self, paths):\n"
        "        import own_cleaning\n"
        "        return own_cleaning.clean(super().read_tables(paths))\n"
    )
    (tmp_path / "own_cleaning.py").write_text("from own_words import WORDS\n\nclean = list\n")
    (tmp_path / "own_words.py").write_text("WORDS = 1\n")
    (tmp_path / "own_other.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("own_set", "own_cleaning", "own_words"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["own_set", "own_cleaning", "own_words"])
def test_own_modules_are_followed(own, name):
    kind = importlib.import_module("own_set").Own
    before = digest_code(kind)
    (own / "own_other.py").write_text("x = 2\n")
    assert digest_code(kind) == before
    (own / f"{name}.py").write_text((own / f"{name}.py").read_text() + "\n# changed\n")
    assert digest_code(kind) != before


def test_code_that_cannot_be_read_is_never_found_again():
    kind = type("Typed", (IMDB,), {"__module__": "typed_into_an_interpreter"})
    assert digest_code(kind) != digest_code(kind)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d  # e\n", {"a.b", "c"}),
        ("from a.b import (\n    c,\n    d as e,\n)\n", {"a.b", "a.b.c", "a.b.d"}),
        ("def f():\n    from . import x\n    from .y import z\n", {"p", "p.x", "p.y", "p.y.z"}),
    ],
)
def test_imports(source, names):
    assert code._find_imports(source, "p.module") == names
