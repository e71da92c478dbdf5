"""Batches contain every text once, are padded to the longest, and are ordered by the seed."""

import itertools

import numpy as np
import pytest
import torch

from seqtext.data import loaders as module
from seqtext.data.loaders import (
    EVALUATION_TEXTS,
    WORDS_PER_TEXT,
    BucketBatchSampler,
    BucketDataLoader,
    ClassBalancedBatchSampler,
    DeviceDataset,
    EncodedDataset,
    LengthSortedBatchSampler,
    iter_batches_by_length,
    to_device_if_it_fits,
)
from seqtext.errors import UserError


@pytest.fixture
def texts() -> EncodedDataset:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, size=101)
    ids = rng.integers(1, 500, size=lengths.sum()).astype(np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return EncodedDataset(ids, offsets, labels=np.arange(101) % 2)


def loader_of(texts: EncodedDataset, epoch: int = 0, seed: int = 0) -> BucketDataLoader:
    loader = BucketDataLoader(texts, BucketBatchSampler(np.arange(101), texts.lengths, 8, seed))
    loader.sampler.set_epoch(epoch)
    return loader


def rows_of(loader: BucketDataLoader) -> list[list[int]]:
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
    assert batch.rows.tolist() == [7, 3, 50]
    assert {part.dtype for part in batch[:-1]} == {torch.int64}
    assert batch.weight == 1


def test_every_text_once_an_epoch(texts):
    batches = rows_of(loader_of(texts))
    assert sorted(itertools.chain(*batches)) == list(range(101))
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


def balanced(texts: EncodedDataset, labels: np.ndarray, size: int = 8) -> ClassBalancedBatchSampler:
    return ClassBalancedBatchSampler(np.arange(101), labels, texts.lengths, size, seed=0)


def test_balanced_batches_hold_each_class_alike(texts):
    labels = np.arange(101) % 10 // 8  # eight rows of class 0 to two of class 1
    sampler = balanced(texts, labels)
    batches = sampler.batches()
    assert len(batches) == len(sampler) == 13
    assert all(np.bincount(labels[batch]).tolist() == [4, 4] for batch in batches)
    seen = np.concatenate(batches)
    assert np.isin(np.flatnonzero(labels), seen).all(), "every text of the rare class is met"
    frequent = seen[labels[seen] == 0]
    assert len(frequent) == len(set(frequent)), "no text of the frequent class comes twice"
    assert (np.concatenate(sampler.batches()) == seen).all()
    sampler.set_epoch(1)
    assert set(np.concatenate(sampler.batches())) != set(seen), "another part of it each epoch"


def test_balanced_batches_of_three_classes_and_like_lengths(texts):
    labels = np.arange(101) % 3
    batches = balanced(texts, labels).batches()
    for batch in batches:
        assert sorted(np.bincount(labels[batch])) == [2, 3, 3]
    spread = np.mean([np.ptp(texts.lengths[batch]) for batch in batches])
    assert spread < 0.5 * np.ptp(texts.lengths)


def test_batch_too_small_for_all_classes(texts):
    with pytest.raises(UserError, match=r"batch_size=8 is too small .* 9 classes"):
        balanced(texts, np.arange(101) % 9)


def test_evaluation_order_is_always_the_same(texts):
    loader = BucketDataLoader(texts, LengthSortedBatchSampler(np.arange(50), texts.lengths, 16))
    assert rows_of(loader) == rows_of(loader)
    assert sorted(itertools.chain(*rows_of(loader))) == list(range(50))


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


def test_batches_made_on_a_device_are_those_made_on_the_host(texts):
    of_host, of_device = loader_of(texts), loader_of(texts)
    of_device.texts = DeviceDataset(texts, torch.device("cpu"))
    for each in (of_host, of_device):
        each.process = module.ProcessInfo(1, 3)
        each.load_state_dict({"done": 4})
    pairs = list(zip(of_host, of_device, strict=True))
    assert len(pairs) == 13 - 4
    for host, device in pairs:
        assert host.weight == device.weight
        for name in ("ids", "lengths", "labels", "rows"):
            one, other = getattr(host, name), getattr(device, name)
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
    assert of_device.state_dict() == {"done": 13}


@pytest.mark.parametrize(("free", "moves"), [(10**9, True), (10**4, False)])
def test_texts_move_to_a_gpu_that_has_room(texts, monkeypatch, free, moves):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**10))
    monkeypatch.setattr(module, "DeviceDataset", lambda texts, device: device)
    gpu = torch.device("cuda", 3)
    assert to_device_if_it_fits(texts, torch.device("cpu")) is texts
    assert to_device_if_it_fits(texts, gpu) is (gpu if moves else texts)


MAX_WORDS = EVALUATION_TEXTS * WORDS_PER_TEXT


def test_batches_by_length_hold_every_text_once_and_not_too_many_words():
    lengths = np.array([3] * 700 + [10_000] * 30 + [2 * MAX_WORDS])
    batches = list(iter_batches_by_length(lengths))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) == EVALUATION_TEXTS
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= MAX_WORDS


@pytest.mark.parametrize("count", [1, 3])
def test_one_long_text_is_not_evaluated_with_others(count):
    """Each process has a part of the texts, and all processes together have every text once."""
    lengths = np.array([30_000, *range(1, 400)])
    positions = np.random.default_rng(0).permutation(len(lengths))
    samplers = [
        LengthSortedBatchSampler(positions, lengths, 256, module.ProcessInfo(rank, count))
        for rank in range(count)
    ]
    seen = np.concatenate([batch for sampler in samplers for batch in sampler.batches()])
    assert sorted(seen) == list(range(len(lengths)))
    for sampler in samplers:
        assert len(sampler) == len(sampler.batches())
        for batch in sampler.batches():
            assert len(batch) == 1 or len(batch) * lengths[batch].max() <= MAX_WORDS


def test_usual_texts_are_evaluated_in_batches_of_the_usual_size():
    lengths = np.random.default_rng(0).integers(1, WORDS_PER_TEXT + 1, size=1000)
    sizes = [
        len(b)
        for b in LengthSortedBatchSampler(np.arange(1000), lengths, EVALUATION_TEXTS).batches()
    ]
    assert sizes == [256, 256, 256, 232]
