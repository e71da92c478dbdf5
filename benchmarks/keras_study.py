"""Train a study's network for one epoch as its notebook did, for end_to_end.py.

Uses pandas, Keras' Tokenizer, and Keras on TensorFlow, in its own environment (make
.venv-keras/installed). Reads JSON on standard input: the settings of a run, the data set and its
folder. Prints the seconds from opening the first file to the test score, without imports.
"""

import bz2
import json
import re
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from keras.src.legacy.preprocessing.text import Tokenizer
from keras.utils import pad_sequences
from keras_peer import compiled, network, share_cores
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.model_selection import train_test_split


def imdb(folder: Path) -> tuple[list, list]:
    """Return texts and labels."""
    table = pd.read_csv(folder / "IMDB Dataset.csv.zip")
    texts = table["review"].str.replace("<[^>]*>", " ", regex=True)
    texts = texts.str.replace("[^a-zA-Z]+", " ", regex=True)
    texts = texts.str.replace(r"\b[a-zA-Z]\b", " ", regex=True)
    texts = texts.str.replace(r"\s+", " ", regex=True)
    return texts.tolist(), (table["sentiment"] == "positive").astype(int).tolist()


def spam(folder: Path) -> tuple[list, list]:
    table = pd.read_csv(folder / "emails.csv.zip").drop_duplicates()
    return table["text"].tolist(), table["spam"].tolist()


def tweets(folder: Path) -> tuple[list, list]:
    table = pd.read_csv(folder / "train.csv")
    return table["tweet"].tolist(), table["label"].tolist()


def clothing(folder: Path) -> tuple[list, list]:
    name = "Womens Clothing E-Commerce Reviews.csv"
    with zipfile.ZipFile(folder / f"{name}.zip") as archive, archive.open(name) as file:
        table = pd.read_csv(file).dropna(subset=["Review Text"])
    words = re.compile(r"\b(" + "|".join(sorted(ENGLISH_STOP_WORDS)) + r")\b")
    texts = table["Review Text"].str.lower().str.replace(words, " ", regex=True)
    texts = texts.str.replace(r"[^\w\s]", "", regex=True)
    return texts.tolist(), (table["Rating"] - 1).tolist()


def amazon(folder: Path) -> tuple[list, list]:
    texts, labels = [], []
    for part in ("train", "test"):
        with bz2.open(folder / f"{part}.ft.txt.bz2", "rt", encoding="utf-8") as lines:
            for line in lines:
                label, text = line.split(" ", 1)
                texts.append(text)
                labels.append(int(label == "__label__2"))
    return texts, labels


READ = {each.__name__: each for each in (imdb, spam, tweets, clothing, amazon)}
OFFICIAL = {"amazon": 5_000}  # rows of the training file


def parts(name: str, split: dict, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the indices of the training, validation and test rows."""
    rows = np.arange(len(labels))
    if name in OFFICIAL:
        rest, test = rows[: OFFICIAL[name]], rows[OFFICIAL[name] :]
    else:
        rest, test = cut(rows, labels, split["test_size"], split)
    return *cut(rest, labels, split["val_size"], split), test


def cut(rows: np.ndarray, labels: np.ndarray, share: float, split: dict) -> list[np.ndarray]:
    by = labels[rows] if split["stratify"] else None
    return train_test_split(rows, test_size=share, random_state=split["seed"], stratify=by)


def encoded(texts: list[str], train: np.ndarray, options: dict) -> tuple[np.ndarray, int]:
    """Return ids [N, T] and the size of the vocabulary."""
    tokenizer = Tokenizer(options["vocab_size"])
    tokenizer.fit_on_texts([texts[row] for row in train])
    ids = tokenizer.texts_to_sequences(texts)
    longest = max(len(ids[row]) for row in train)
    length = longest if options["max_length"] == "longest" else options["max_length"]
    known = options["vocab_size"] or len(tokenizer.word_index) + 1
    return pad_sequences(ids, length), known


def main() -> None:
    share_cores()
    asked = json.load(sys.stdin)
    began = time.perf_counter()
    settings, name = asked["settings"], asked["name"]
    texts, labels = READ[name](Path(asked["folder"]))
    labels = np.asarray(labels)
    train, val, test = parts(name, settings["split"], labels)
    ids, known = encoded(texts, train, settings["tokenizer"])
    classes = int(labels.max()) + 1
    model = network(settings, known, ids.shape[1], classes)
    compiled(settings, model, xla=asked["xla"])
    counts = np.bincount(labels[train])
    weighted = settings["sampling"] == "class_weights"
    model.fit(
        ids[train],
        labels[train],
        batch_size=settings["dataset"]["batch_size"],
        validation_data=(ids[val], labels[val]),
        class_weight=dict(enumerate(counts.max() / counts)) if weighted else None,
        verbose=0,
    )
    model.evaluate(ids[test], labels[test], verbose=0)
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
