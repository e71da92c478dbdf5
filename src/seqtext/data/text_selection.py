"""Select and join encoded texts, in memory."""

import numpy as np

from seqtext.data.loaders import EncodedDataset


def select_texts(texts: EncodedDataset, rows: np.ndarray) -> EncodedDataset:
    """Return the texts of some rows."""
    lengths = texts.lengths[rows]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = np.repeat(texts.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return EncodedDataset(np.asarray(texts.ids)[places], offsets, texts.labels[rows])


def concatenate_texts(first: EncodedDataset, second: EncodedDataset) -> EncodedDataset:
    """Return the texts of two data sets with the same vocabulary."""
    offsets = np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]])
    ids, labels = ([first.ids, second.ids], [first.labels, second.labels])
    return EncodedDataset(np.concatenate(ids), offsets, np.concatenate(labels))
