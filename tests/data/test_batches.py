"""Batches hold every text once, padded to their longest, in an order that a seed decides."""

import itertools

import numpy as np
import pytest
import torch

from seqtext.data.batches import BatchLoader, BucketSampler, EncodedTexts, SortedSampler


@pytest.fixture
def texts() -> EncodedTexts:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, size=101)
    ids = rng.integers(1, 500, size=lengths.sum()).astype(np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedTexts(ids, offsets, labels=np.arange(101) % 2, rows=np.arange(101) + 1000)


def loader_of(texts: EncodedTexts, epoch: int = 0, seed: int = 0) -> BatchLoader:
    loader = BatchLoader(texts, BucketSampler(np.arange(101), texts.lengths, 8, seed))
    loader.sampler.set_epoch(epoch)
    return loader


def rows_of(loader: BatchLoader) -> list[list[int]]:
    return [batch.rows.tolist() for batch in loader]


def test_a_batch_is_what_one_row_at_a_time_would_give(texts):
    positions = np.array([7, 3, 50])
    batch = texts.batch(positions)
    assert batch.ids.shape == (3, texts.lengths[positions].max())
    for row, position in enumerate(positions):
        expected = texts.ids[texts.offsets[position] : texts.offsets[position + 1]].tolist()
        assert batch.lengths[row] == len(expected)
        assert batch.ids[row].tolist() == expected + [0] * (batch.ids.shape[1] - len(expected))
    assert batch.labels.tolist() == [1, 1, 0]
    assert batch.rows.tolist() == [1007, 1003, 1050]
    assert {part.dtype for part in batch} == {torch.int64}


def test_every_text_once_an_epoch(texts):
    batches = rows_of(loader_of(texts))
    assert sorted(itertools.chain(*batches)) == list(range(1000, 1101))
    assert len(batches) == len(loader_of(texts)) == 13
    assert max(map(len, batches)) == 8


def test_order_is_of_seed_and_epoch(texts):
    assert rows_of(loader_of(texts, epoch=3)) == rows_of(loader_of(texts, epoch=3))
    assert rows_of(loader_of(texts, epoch=3)) != rows_of(loader_of(texts, epoch=4))
    assert rows_of(loader_of(texts, seed=0)) != rows_of(loader_of(texts, seed=1))


def test_buckets_save_padding(texts):
    padded = sum(batch.ids.numel() for batch in loader_of(texts))
    random_order = np.random.default_rng(0).permutation(101)
    unsorted = sum(texts.batch(random_order[i : i + 8]).ids.numel() for i in range(0, 101, 8))
    assert texts.lengths.sum() <= padded < 0.8 * unsorted


def test_evaluation_order_is_always_the_same(texts):
    loader = BatchLoader(texts, SortedSampler(np.arange(50), texts.lengths, 16))
    assert rows_of(loader) == rows_of(loader)
    assert sorted(itertools.chain(*rows_of(loader))) == list(range(1000, 1050))


@pytest.mark.parametrize("done", [0, 1, 6, 12])
def test_a_broken_epoch_goes_on_where_it_stopped(texts, done):
    loader = loader_of(texts)
    iterator = iter(loader)
    first = [next(iterator).rows.tolist() for _ in range(done)]
    again = loader_of(texts)
    again.load_state_dict(loader.state_dict())
    assert first + rows_of(again) == rows_of(loader_of(texts))
    assert rows_of(again) == rows_of(loader_of(texts)), "the next epoch is whole again"


def test_a_finished_epoch_starts_over(texts):
    loader = loader_of(texts)
    rows_of(loader)
    again = loader_of(texts)
    again.load_state_dict(loader.state_dict())
    assert rows_of(again) == rows_of(loader_of(texts))


def test_an_abandoned_epoch_is_forgotten(texts):
    loader = loader_of(texts)
    next(iter(loader))
    assert rows_of(loader) == rows_of(loader_of(texts))
