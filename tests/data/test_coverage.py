"""Warnings about texts without known words, and about texts with equal ids."""

import numpy as np
import pytest

from seqtext.data.coverage import Coverage, describe_coverage, measure_coverage
from seqtext.data.duplicates import count_repeats
from seqtext.data.split import Split
from seqtext.datasets.table import TableDataset
from seqtext.tokenizers.words import WordTokenizer
from seqtext.training.describe_data import compute_data_statistics
from tests.conftest import csv_of, invented_reviews

CHINESE = ["这部电影非常好看", "太糟糕了", "演员很差劲", "我喜欢这个故事"]


def loaded(tmp_path, rows: list, **options) -> TableDataset:
    (tmp_path / "my.csv").write_text(csv_of(rows, ("text", "label")))
    data = TableDataset(path=str(tmp_path / "my.csv"), cache=str(tmp_path / "cache"), **options)
    data.setup()
    return data


def test_coverage_of_parts():
    ids = np.array([1, 2, 3, 1, 1, 2, 5])
    lengths, empty = np.array([1, 3, 1, 2]), np.array([True, False, False, False])
    train, val = measure_coverage(ids != 1, lengths, empty, np.array([0, 0, 1, 2]), 2)
    assert train == Coverage(texts=2, empty=1, words=3, known=2)
    assert val == Coverage(texts=1, empty=0, words=1, known=0)
    assert train + val == Coverage(3, 1, 4, 2)


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (Coverage(100, 0, 900, 900), Coverage(10, 0, 90, 81), []),
        (Coverage(100, 0, 900, 900), Coverage(), []),
        (Coverage(990, 1, 900, 900), Coverage(10, 0, 90, 90), ["1 of 1,000 texts (0.1%)"]),
        (Coverage(100, 0, 900, 890), Coverage(10, 0, 90, 72), ["1.1% of the tokens of the train"]),
        (Coverage(100, 0, 900, 800), Coverage(10, 0, 90, 90), ["and 0.0% of the validation part"]),
        (Coverage(100, 100, 0, 0), Coverage(10, 10, 0, 0), ["110 of 110 texts (100.0%)"]),
        (Coverage(100, 11, 9, 0), Coverage(10, 0, 90, 0), ["may not suit", "100.0% of the tok"]),
    ],
)
def test_warnings(train, val, expected):
    warnings = describe_coverage({"train": train, "val": val}, ["lower"])
    assert [part in warning for part, warning in zip(expected, warnings, strict=True)] == [
        True for _ in expected
    ]
    without = describe_coverage({"train": train, "val": val}, [], reads_vocabulary=False)
    assert len(without) == bool(train.empty)


def test_texts_without_spaces_between_words(tmp_path, caplog):
    rows = [(f"{CHINESE[n % 4]}{chr(0x4E00 + n)}", "ab"[n % 2]) for n in range(80)]
    whole = WordTokenizer(split_unspaced=False)
    for _ in range(2):  # from a cold and from a warm cache
        caplog.clear()
        data = loaded(tmp_path, rows, tokenizer=whole)
        (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
        assert "100.0% of the validation part are not in the vocabulary" in record.message
    assert compute_data_statistics(data).known_val == 0
    data = loaded(tmp_path, rows)
    assert compute_data_statistics(data).known_val > 0.5
    assert "演" in data.vocabulary.tokens


def test_texts_of_which_cleaning_leaves_nothing_are_not_one_text(tmp_path, caplog):
    rows = [(f"Хороший фильм, номер {chr(0x430 + n % 32)}{chr(0x430 + n // 32)}", "ab"[n % 2])
            for n in range(80)]  # fmt: skip
    data = loaded(tmp_path, rows, cleaning=["keep_letters", "lower"])
    assert "80 of 80 texts (100.0%) have no words left after cleaning" in caplog.text
    assert [len(part) for part in data.dataset.parts.values()] == [57, 7, 16]


def test_texts_that_are_the_same_after_cleaning_stand_in_one_part(tmp_path, caplog):
    caplog.set_level("INFO")
    reviews = invented_reviews(60)
    rows = reviews + [(text.upper().replace("!", "?!"), label) for text, label in reviews]
    rows.append(rows[0])
    data = loaded(tmp_path, rows)
    assert data.dataset.duplicate_stats == (1, 0, 0, 60)
    assert "1 row repeats an earlier text as written, 60 more after cleaning" in caplog.text
    texts = [{tuple(words(data, row)) for row in part} for part in data.dataset.parts.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 60
    dropped = loaded(tmp_path, rows, duplicates="drop")
    assert sum(map(len, dropped.dataset.parts.values())) == 60
    kept = loaded(tmp_path, rows, duplicates="keep", split=Split(seed=1))
    assert kept.dataset.duplicate_stats.in_test > 0
    assert "a text that is also in the training or validation part" in caplog.text


def words(data: TableDataset, row: int) -> list[int]:
    return data.corpus.read_word_codes(row, row + 1).tolist()


def test_counted_repeats():
    written, read = np.array([0, 1, 2, 3, 1]), np.array([0, 1, 0, 2, 1])
    parts = {"train": [0], "val": [3], "test": [1, 2, 4]}
    assert count_repeats(written, read, np.array([0, 1, 1, 0, 1]), parts) == (1, 1, 1, 1)


def test_advice_follows_the_cause():
    """A larger vocabulary helps only if words of the training part are left out of it."""
    limited = {"train": Coverage(9, 0, 100, 80), "val": Coverage(9, 0, 100, 70)}
    (warning,) = describe_coverage(limited, ["lower"])
    assert "20.0% of the tokens of the training part and 30.0%" in warning
    assert "raise tokenizer.vocab_size, or choose tokenizer=bpe" in warning
    (warning,) = describe_coverage(limited | {"train": Coverage(9, 0, 100, 100)}, ["lower"])
    assert "vocab_size" not in warning
    assert describe_coverage({"train": Coverage(9, 0, 100, 95)}, ["lower"]) == []
