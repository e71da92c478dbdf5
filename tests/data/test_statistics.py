"""Statistics of a data set equal a plain Python reference."""

import json
import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from seqtext.data import statistics as description
from seqtext.data.statistics import (
    DatasetStatistics,
    compute_histogram_edges,
    compute_statistics,
    log_odds,
)

WORDS = [
    "film",
    "good",
    "bad",
    "plot",
    *(f"plain{n}" for n in range(8)),
]  # what a model knows, from frequent to rare


def described(
    rows: list[tuple[str, int]], train: list[int] | None = None, **options
) -> DatasetStatistics:
    """Compute statistics of (text, label) rows in two chunks; other rows are the test set."""
    options = {"words": WORDS, "class_names": ["worse", "better"], "parts": {}, **options}
    texts = [text for text, _ in rows]
    number = {word: place + 2 for place, word in enumerate(options["words"])}
    encoded = [[number.get(word, 1) for word in text.split()] or [1] for text in texts]
    train = np.array(range(len(rows)) if train is None else train)
    rest = np.setdiff1d(np.arange(len(rows)), train)
    options["parts"] = {"train": train, "val": rest[:0], "test": rest, **options["parts"]}
    return compute_statistics(
        texts=pa.chunked_array([texts[: len(rows) // 3], texts[len(rows) // 3 :]], pa.string()),
        ids=np.array([i for ids in encoded for i in ids], np.uint16),
        offsets=np.cumsum([0, *map(len, encoded)]),
        labels=np.array([label for _, label in rows]),
        numbers=np.arange(len(rows)) + 1000,
        **options,
    )


def invented(count: int, classes: int = 2, seed: int = 0) -> list[tuple[str, int]]:
    rng = random.Random(seed)
    return [
        (" ".join(rng.choices([*WORDS, f"w{label}", "rare"], k=rng.randint(0, 40))), label)
        for label in (rng.randrange(classes) for _ in range(count))
    ]


def fightin_words(own: Counter, rest: Counter) -> dict[str, float]:
    """Compute the z-scores of Monroe, Colaresi and Quinn (2008) word by word."""
    prior = own + rest
    a, n, m = prior.total(), own.total(), rest.total()
    z = {}
    for word, p in prior.items():
        y, x = own[word] + p, rest[word] + p
        z[word] = (math.log(y / (n + a - y)) - math.log(x / (m + a - x))) / math.sqrt(1 / y + 1 / x)
    return z


def test_log_odds_by_hand():
    """3 + 4 against 1 + 4, of 12: log(7/5) - log(5/7) = 0.6729, variance 1/7 + 1/5 = 0.3429."""
    z = log_odds(np.array([3, 1]), np.array([1, 3]), np.array([4, 4]))
    assert z == pytest.approx([1.14927, -1.14927], abs=1e-5)


def test_log_odds_where_there_is_nothing_to_compare():
    some, none = np.array([3, 1, 0]), np.zeros(3, int)
    assert log_odds(some, none, some).tolist() == log_odds(none, some, some).tolist() == [0, 0, 0]
    assert log_odds(some, some[::-1], np.array([3, 2, 0]))[1] == 0
    assert log_odds(np.array([2]), np.array([5]), np.array([7])).tolist() == [0]  # the only word
    assert log_odds(some, np.array([1, 3, 0]), np.array([4, 4, 0]))[2] == 0  # never seen


@pytest.mark.parametrize("block", [1 << 22, 7])
@pytest.mark.parametrize("classes", [2, 3, 30])
def test_words_of_classes(classes, block, monkeypatch):
    monkeypatch.setattr(description, "BLOCK_WORDS", block)
    words = [*WORDS, *(f"w{label}" for label in range(classes))]
    rows = invented(60 * classes, classes)
    train = list(range(0, len(rows), 2))
    found = described(
        rows, train, words=words, class_names=[f"class {label}" for label in range(classes)]
    )
    counts = [Counter() for _ in range(classes)]
    for text, label in (rows[row] for row in train):
        counts[label].update(word for word in text.split() if word in words)
    total = sum(counts, Counter())
    sizes = Counter(rows[row][1] for row in train)
    shown = sorted(sorted(range(classes), key=lambda label: (-sizes[label], label))[:20])
    assert [one.number for one in found.classes] == shown
    for one in found.classes:
        own = counts[one.number]
        z = fightin_words(own, total - own)
        best = sorted((word for word in words if z.get(word, 0) > 0), key=lambda word: -z[word])
        assert one.name == f"class {one.number}"
        assert list(one.distinctive_words) == best[:10]
        assert one.distinctive_words == pytest.approx({word: z[word] for word in best[:10]})
        assert next(iter(one.distinctive_words)) == f"w{one.number}"
        frequent = sorted(own, key=lambda word: (-own[word], words.index(word)))[:10]
        assert list(one.frequent.items()) == [(word, own[word]) for word in frequent]


def test_lengths_equal_those_of_split():
    rows = [(f"  {text.replace(' ', chr(0x2003) + chr(10))} ", n) for text, n in invented(300)]
    train = list(range(100, 300))
    found = described(rows, train)
    for label in (0, 1):
        lengths = [len(rows[row][0].split()) for row in train if rows[row][1] == label]
        one = found.classes[label]
        assert one.before.rows == one.after.rows == len(lengths)
        assert one.before.mean == pytest.approx(sum(lengths) / len(lengths))
        assert one.before.longest == max(lengths)
        assert one.before.quartiles == np.percentile(lengths, [25, 50, 75]).tolist()
        bins = [sum(a <= n < b for n in lengths) for a, b in pairwise(found.edges)]
        assert one.before.counts == bins
        read = [max(n, 1) for n in lengths]  # an empty text is one unknown word
        assert one.after.mean == pytest.approx(sum(read) / len(read))
        assert sum(one.after.counts) == len(read)
    assert found.before.rows == found.after.rows == 200


def test_all_lengths_are_in_the_histogram():
    rng = np.random.default_rng(0)
    for lengths in ([0], [1], [1, 1, 1], [40], [41], range(39), rng.geometric(0.01, 5000)):
        edges = compute_histogram_edges(np.array(lengths))
        widths = np.diff(edges)
        assert np.histogram(lengths, edges)[0].sum() == len(lengths)
        assert edges[0] == 0
        assert edges[-1] > max(lengths)
        assert len(widths) <= description.MAX_BINS + 1
        assert len(set(widths[:-1])) <= 1
    assert widths[-1] > widths[0], "few long texts share a bin"
    assert (np.asarray(lengths) >= edges[-2]).mean() < 0.01


def test_rows_and_shares_of_classes():
    rows = [("film", label) for label in (0, 0, 0, 1, 1, 1, 1, 0)]
    found = described(rows, train=[0, 1, 2, 3])
    assert found.rows == {"train": [3, 1], "val": [0, 0], "test": [1, 3]}
    assert found.shares() == {"train": [0.75, 0.25], "val": [0, 0], "test": [0.25, 0.75]}


def test_known_share_and_vocabulary():
    found = described(
        [("film good nonsense", 0), ("", 1), ("bad bad bad bad", 1), ("x x x", 0)], [0, 1, 2]
    )
    assert (found.vocabulary, found.words) == (12, 8)
    assert found.known == 6 / 8  # the empty text is an unknown word


def test_as_many_words_as_are_asked_for():
    rows = invented(100)
    few, many = (described(rows, most_words=most).classes for most in (3, 11))
    for one, other in zip(few, many, strict=True):
        assert len(one.frequent) == 3
        assert list(one.frequent) == list(other.frequent)[:3]
        assert len(other.frequent) == 11
        assert list(one.distinctive_words) == list(other.distinctive_words)[:3]


def test_other_parts_change_nothing():
    rows = invented(100)
    train, changed = list(range(50)), rows[:50] + [("plot " * 500, 1)] * 50
    one, other = described(rows, train).to_dict(), described(changed, train).to_dict()
    for part in ("rows", "shares"):
        assert one.pop(part) != other.pop(part)
    assert one == other


def test_examples_are_of_different_classes_and_decoded():
    rows = [("film  Good film", 0)] * 97 + [("bad nonsense", 1), ("plot", 2), ("good", 2)]
    found = described(rows, train=list(range(99)), class_names=["a", "b", "c"])
    assert [one.label for one in found.examples] == ["a", "b", "c"]
    assert [(one.row, one.text, one.tokens) for one in found.examples[1:]] == [
        (1097, "bad nonsense", "bad <unk>"),
        (1098, "plot", "plot"),
    ]
    assert found.examples[0].text == "film  Good film"
    assert found.examples[0].tokens == "film <unk> film"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_examples_are_different_rows(count):
    found = described([("film", 0)] * (count - 1) + [("bad", 1)])
    chosen = [one.row for one in found.examples]
    assert len(set(chosen)) == len(chosen) == min(count, 3)
    assert 1000 + count - 1 in chosen


def test_sample_is_bounded_and_follows_the_seed(monkeypatch):
    monkeypatch.setattr(description, "SAMPLE_SIZE", 20)
    rows = [(f"film {'x ' * n}", n % 2) for n in range(300)]
    first, again, other = (described(rows, list(range(200)), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.before != other.before
    assert [one.row for one in first.examples] != [one.row for one in other.examples]
    assert first.before.rows == sum(one.before.rows for one in first.classes) == 20
    assert first.before.longest <= 200
    assert first.after.rows == 200


def test_class_without_training_rows():
    rows = [*invented(40), ("good", 2)]
    found = described(rows, train=list(range(40)), class_names=["a", "b", "c"])
    assert found.rows["train"][2] == 0
    none = found.classes[2]
    assert (none.frequent, none.distinctive_words) == ({}, {})
    for lengths in (none.before, none.after):
        assert (lengths.rows, lengths.mean, lengths.quartiles, lengths.longest) == (0, *[None] * 3)
        assert lengths.counts == [0] * (len(found.edges) - 1)
    json.dumps(found.to_dict(), allow_nan=False)


def test_texts_of_one_word():
    found = described([("good", 1), ("bad", 0), ("good", 1), ("bad", 0)])
    assert (found.after.mean, found.after.longest, found.after.quartiles) == (1, 1, [1, 1, 1])
    assert [one.frequent for one in found.classes] == [{"bad": 2}, {"good": 2}]
    assert [list(one.distinctive_words) for one in found.classes] == [["bad"], ["good"]]


def test_plain_values():
    found = described(invented(50)).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["shares"]["train"] == [n / 50 for n in found["rows"]["train"]]
