"""Compare the CPU seconds to fit model=tfidf with scikit-learn's vectorizer, on the same words.

    python benchmarks/tfidf.py [folder with IMDB files]

Without a folder, 4,000 generated texts are used. The last line is the largest difference of logits.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from seqtext.datasets.imdb import IMDB
from seqtext.models.non_neural import TokenizedTexts
from seqtext.models.tfidf import TfIdf
from seqtext.training.fit_non_neural import read_texts


def invent_texts(count: int) -> tuple[TokenizedTexts, np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 400, count)
    codes = np.minimum(rng.zipf(1.3, lengths.sum()), 50_000) - 1
    dictionary = pa.array([f"w{number}" for number in range(50_000)])
    return TokenizedTexts(lengths, codes, dictionary), np.arange(count) % 2


def read_imdb(folder: str) -> tuple[TokenizedTexts, np.ndarray]:
    with tempfile.TemporaryDirectory() as cache:
        data = IMDB(dir=folder, cache=cache)
        data.setup()
        texts = read_texts(data, "train")
        dictionary = pa.array(texts.dictionary.to_pylist())  # the file is deleted
        labels = data.labels[data.dataset.parts["train"]]
        return TokenizedTexts(texts.lengths, texts.codes, dictionary), labels


def fit_with_sklearn(texts: TokenizedTexts, labels: np.ndarray) -> np.ndarray:
    words = np.array(texts.dictionary.to_pylist(), object)

    def list_words() -> Iterator[list[str]]:
        return (words[codes].tolist() for codes in texts.split(texts.codes))

    vectorizer = TfidfVectorizer(
        tokenizer=lambda words: words,
        preprocessor=lambda words: words,
        token_pattern=None,
        ngram_range=(1, 2),
        min_df=2,
        sublinear_tf=True,
    )
    features = vectorizer.fit_transform(list_words())
    regression = LogisticRegression(C=10.0, solver="newton-cg", max_iter=500)
    return regression.fit(features, labels).decision_function(features)


def fit_ours(texts: TokenizedTexts, labels: np.ndarray) -> np.ndarray:
    model = TfIdf()
    model.fit(texts, labels)
    return model.predict_logits(texts).numpy()


def measure(name: str, function: Callable, *arguments: object) -> np.ndarray:
    start = time.process_time()
    result = function(*arguments)
    print(f"{name}: fit and prediction in {time.process_time() - start:.1f} CPU seconds")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    folder = parser.parse_args().folder
    texts_and_labels = read_imdb(folder) if folder else invent_texts(4_000)
    ours = measure("seqtext", fit_ours, *texts_and_labels)
    theirs = measure("scikit-learn", fit_with_sklearn, *texts_and_labels)
    print(f"difference: {np.abs(ours - theirs).max():.1e}")
