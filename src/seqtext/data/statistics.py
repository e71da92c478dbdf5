"""Compute statistics of a data set before training: classes, lengths, words, examples.

For the test part, only the rows of each class are counted; for the validation part, also the known
words. All other statistics use the training part only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from seqtext.data.split import Part
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS, KnownIds

Ids = np.ndarray | KnownIds  # [sum of lengths] encoded texts
SAMPLE_SIZE = 20_000  # training texts sampled to count original words
MAX_CLASSES = 20  # classes described individually
WORDS_PER_CLASS = 10  # words of each class in tables and figures
MAX_EXAMPLES = 3
MAX_BINS = 40
BLOCK_WORDS = 1 << 22  # words counted at once, to limit memory use


@dataclass(frozen=True)
class LengthStatistics:
    """Summary of the numbers of words per text; None values if there are no texts.

    rows: number of texts
    quartiles: 25 %, 50 % and 75 % quantiles
    counts: [bins] number of texts by length, with the bins of `DatasetStatistics.edges`
    """

    rows: int
    mean: float | None
    quartiles: list[float] | None
    longest: int | None
    counts: list[int]


@dataclass(frozen=True)
class ClassStatistics:
    """Statistics of the training texts of one class; `number` is its index in the class names.

    before, after: see `DatasetStatistics`
    frequent: most frequent known words, with their counts
    distinctive_words: most distinctive known words, with their z-scores
    """

    number: int
    name: str
    before: LengthStatistics
    after: LengthStatistics
    frequent: dict[str, int]
    distinctive_words: dict[str, float]


@dataclass(frozen=True)
class Example:
    """A training text as written and as a model reads it; `row` is its number in the source."""

    row: int
    label: str
    text: str
    tokens: str


@dataclass(frozen=True)
class DatasetStatistics:
    """The result of `compute_statistics`.

    rows: number of rows of each class, by part
    edges: [bins + 1] edges of all histograms of lengths in words; bin i is edges[i] <= length <
        edges[i + 1]; the last bin is wider if a few texts are much longer than the others
    before: white-space words per original text, for at most `SAMPLE_SIZE` training texts
    after: words per training text after cleaning and truncation
    classes: at most `MAX_CLASSES` largest classes, in the order of `class_names`
    vocabulary: number of known words
    words: number of words of the training part after cleaning and truncation; an empty text counts
        as one unknown word
    known: share of these words that are in the vocabulary
    known_val: the same share for the validation part; None if it has no texts
    """

    class_names: list[str]
    rows: dict[str, list[int]]
    edges: list[int]
    before: LengthStatistics
    after: LengthStatistics
    classes: list[ClassStatistics]
    vocabulary: int
    words: int
    known: float
    examples: list[Example]
    known_val: float | None = None

    def shares(self) -> dict[str, list[float]]:
        """Return the share of each class by part; zeros for an empty part."""
        return {
            part: [count / max(sum(counts), 1) for count in counts]
            for part, counts in self.rows.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-serializable values."""
        return {**asdict(self), "shares": self.shares()}


def compute_statistics(
    *,
    texts: pa.ChunkedArray,
    numbers: np.ndarray,
    ids: Ids,
    offsets: np.ndarray,
    labels: np.ndarray,
    parts: Mapping[Part, np.ndarray],
    words: Sequence[str],
    class_names: Sequence[str],
    most_words: int = WORDS_PER_CLASS,
    seed: int = 0,
) -> DatasetStatistics:
    """Compute statistics of a data set.

    Original texts are sampled; all token ids are counted in blocks.

    Args:
        texts: [rows] texts before cleaning
        numbers: [rows] row numbers in the source
        ids: [sum of lengths] encoded texts; text i is ``ids[offsets[i]:offsets[i + 1]]``
        offsets: [rows + 1]
        labels: [rows] class numbers
        parts: sorted row numbers of each part; "train" has some
        words: words of the vocabulary; words[k] has id k + 2
        most_words: number of words listed for each class
        seed: seed of the sample and the examples
    """
    rng = np.random.default_rng(seed)
    train = np.asarray(parts["train"])
    classes = len(class_names)
    rows = {part: np.bincount(labels[of], minlength=classes) for part, of in parts.items()}
    sample = np.sort(rng.choice(train, min(SAMPLE_SIZE, len(train)), replace=False, shuffle=False))
    before = np.array([len(texts[int(row)].as_py().split()) for row in sample])
    after = offsets[train + 1] - offsets[train]
    edges = compute_histogram_edges(np.concatenate([before, after]))
    shown = find_largest(rows["train"], MAX_CLASSES)
    counts = count_words_per_class(
        ids, offsets, labels, train, shown, len(SPECIAL_TOKENS) + len(words)
    )
    total = counts.sum(axis=0)
    frequent, distinctive = _select_top_words(counts[:, len(SPECIAL_TOKENS) :], words, most_words)
    return DatasetStatistics(
        class_names=list(class_names),
        rows={part: of_part.tolist() for part, of_part in rows.items()},
        edges=edges.tolist(),
        before=summarize_lengths(before, edges),
        after=summarize_lengths(after, edges),
        classes=[
            ClassStatistics(
                number=int(number),
                name=class_names[number],
                before=summarize_lengths(before[labels[sample] == number], edges),
                after=summarize_lengths(after[labels[train] == number], edges),
                frequent=frequent[place],
                distinctive_words=distinctive[place],
            )
            for place, number in enumerate(shown)
        ],
        vocabulary=len(words),
        words=int(total.sum()),
        known=float(1 - total[UNKNOWN] / total.sum()),
        examples=[
            Example(
                row=int(numbers[row]),
                label=class_names[labels[row]],
                text=texts[int(row)].as_py(),
                tokens=decode(ids[offsets[row] : offsets[row + 1]], words),
            )
            for row in choose_examples(train, labels, rng)
        ],
        known_val=compute_known_share(ids, offsets, np.asarray(parts.get("val", train[:0]))),
    )


def compute_known_share(ids: Ids, offsets: np.ndarray, rows: np.ndarray) -> float | None:
    """Return the share of known words in these rows, or None if there are no rows."""
    if not len(rows):
        return None
    chosen = np.zeros(len(offsets) - 1, bool)
    chosen[rows] = True
    words = known = 0
    for start, stop in _iter_blocks(offsets):
        of_rows = np.repeat(chosen[start:stop], np.diff(offsets[start : stop + 1]))
        words += int(of_rows.sum())
        known += int((of_rows & (ids[offsets[start] : offsets[stop]] != UNKNOWN)).sum())
    return known / words


def _iter_blocks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of blocks of rows with similar numbers of words."""
    cuts = np.searchsorted(offsets, np.arange(0, offsets[-1], BLOCK_WORDS))
    return pairwise(np.unique(np.append(cuts, len(offsets) - 1)).tolist())


def find_largest(counts: Sequence[int] | np.ndarray, most: int) -> np.ndarray:
    """Return the positions of the `most` largest counts, in ascending order."""
    return np.sort(np.argsort(-np.asarray(counts), kind="stable")[:most])


def compute_histogram_edges(lengths: np.ndarray) -> np.ndarray:
    """Return [bins + 1] edges: at most `MAX_BINS` equal bins for 99 % of the lengths, plus one."""
    top, longest = int(np.quantile(lengths, 0.99)), int(lengths.max())
    edges = np.arange(0, top + 1, top // MAX_BINS + 1)
    edges = np.append(edges, edges[-1] + top // MAX_BINS + 1)
    return edges if longest < edges[-1] else np.append(edges, longest + 1)


def summarize_lengths(lengths: np.ndarray, edges: np.ndarray) -> LengthStatistics:
    """Compute mean, quartiles, maximum and histogram of [texts] lengths."""
    counts = np.histogram(lengths, edges)[0].tolist()
    if not len(lengths):
        return LengthStatistics(0, None, None, None, counts)
    quartiles = np.quantile(lengths, [0.25, 0.5, 0.75]).tolist()
    return LengthStatistics(
        len(lengths), float(lengths.mean()), quartiles, int(lengths.max()), counts
    )


def count_words_per_class(
    ids: Ids,
    offsets: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    classes: np.ndarray,
    size: int,
) -> np.ndarray:
    """Return [classes + 1, size] counts of each id per class; all other classes are the last."""
    group_of_class = np.full(max(labels.max(), classes.max()) + 1, len(classes))
    group_of_class[classes] = np.arange(len(classes))
    group = np.full(len(labels), -1, np.int16)
    group[rows] = group_of_class[labels[rows]]
    counts = np.zeros((len(classes) + 1) * size, np.int64)
    for start, stop in _iter_blocks(offsets):
        groups = np.repeat(group[start:stop], np.diff(offsets[start : stop + 1]))
        kept = groups >= 0
        words = ids[offsets[start] : offsets[stop]][kept]
        keys = groups[kept].astype(np.int64) * size + words
        counts += np.bincount(keys, minlength=len(counts))
    return counts.reshape(-1, size)


def log_odds(own: np.ndarray, rest: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Compute [words] z-scores of a word being more frequent in some texts than in the rest.

    The log-odds ratio with an informative Dirichlet prior, divided by its standard deviation
    (Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16, 2008).

    Args:
        own, rest: [words] counts in the texts and in all others
        prior: [words] pseudo-counts added to both; the score of a word without any is 0
    """
    own, rest = own + prior, rest + prior
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(own / (own.sum() - own)) - np.log(rest / (rest.sum() - rest))
        return np.nan_to_num(ratio / np.sqrt(1 / own + 1 / rest))


def decode(ids: np.ndarray, words: Sequence[str]) -> str:
    """Decode token ids to words separated by spaces."""
    special = len(SPECIAL_TOKENS)
    return " ".join(SPECIAL_TOKENS[i] if i < special else words[i - special] for i in ids.tolist())


def choose_examples(rows: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose at most `MAX_EXAMPLES` rows, if possible of different classes, ordered by class."""
    mixed = rng.permutation(rows)
    _, first = np.unique(labels[mixed], return_index=True)
    others = np.setdiff1d(np.arange(min(len(mixed), 2 * MAX_EXAMPLES)), first)
    chosen = mixed[np.append(np.sort(first), others)[:MAX_EXAMPLES]]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _select_top_words(
    counts: np.ndarray, words: Sequence[str], most: int
) -> tuple[list[dict[str, int]], list[dict[str, float]]]:
    """Return the most frequent and the most distinctive words of each class except the last."""
    total = counts.sum(axis=0)
    frequent = [_select_top(own, words, most) for own in counts[:-1]]
    surely = [log_odds(own, total - own, prior=total) for own in counts[:-1]]
    distinctive = [_select_top(scores, words, most) for scores in surely]
    return frequent, distinctive


def _select_top(values: np.ndarray, words: Sequence[str], most: int) -> dict:
    """Return the largest positive values by word; of equal values, the more frequent word's."""
    best = np.argsort(-values, kind="stable")[:most]
    return {words[number]: values[number].item() for number in best if values[number] > 0}
