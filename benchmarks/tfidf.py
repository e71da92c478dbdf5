"""Compare the CPU seconds of model=tfidf with those of plain scikit-learn, on the same words.

    python benchmarks/tfidf.py [folder with IMDB files] [--analyzer both]

Without a folder, 4,000 generated texts are used. The last line is the largest difference of
probabilities.
"""

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from scipy import sparse
from scipy.special import expit
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


def build_sklearn_features(texts: TokenizedTexts, analyzer: str) -> sparse.csr_matrix:
    words = np.array(texts.dictionary.to_pylist(), object)
    tokens = [words[codes].tolist() for codes in texts.split(texts.codes)]
    of_words = TfidfVectorizer(
        tokenizer=lambda words: words,
        preprocessor=lambda words: words,
        token_pattern=None,
        ngram_range=(1, 2),
        min_df=2,
    )
    features = [of_words.fit_transform(tokens)] if analyzer != "chars" else []
    if analyzer != "words":
        of_characters = TfidfVectorizer(
            analyzer="char_wb", lowercase=False, ngram_range=(2, 5), min_df=2
        )
        features.append(of_characters.fit_transform(map(" ".join, tokens)))
    return sparse.hstack(features, "csr")


def fit_with_sklearn(texts: TokenizedTexts, labels: np.ndarray, analyzer: str) -> np.ndarray:
    features = build_sklearn_features(texts, analyzer)
    # Its default tolerance stops far from the minimum: probabilities differ by 0.1.
    regression = LogisticRegression(C=10.0, solver="newton-cg", max_iter=500, tol=1e-6)
    return regression.fit(features, labels).decision_function(features)


def fit_ours(texts: TokenizedTexts, labels: np.ndarray, analyzer: str) -> np.ndarray:
    model = TfIdf(analyzer=analyzer, sublinear_tf=False, weighting="tfidf", C=10.0)
    model.fit(texts, labels)
    return model.predict_logits(texts).numpy()


def measure(name: str, function: Callable, *arguments: object) -> np.ndarray:
    start, cpu_start = time.perf_counter(), time.process_time()
    result = function(*arguments)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    print(f"{name}: fit and prediction in {seconds:.1f} s, {cpu_seconds:.1f} s of CPU time")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--analyzer", choices=("words", "chars", "both"), default="words")
    options = parser.parse_args()
    texts, labels = read_imdb(options.folder) if options.folder else invent_texts(4_000)
    ours = measure("seqtext", fit_ours, texts, labels, options.analyzer)
    theirs = measure("scikit-learn", fit_with_sklearn, texts, labels, options.analyzer)
    print(f"difference: {np.abs(expit(ours) - expit(theirs)).max():.1e}")
