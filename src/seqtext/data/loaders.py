"""Length-bucketed batches, each gathered in one vectorised step."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from seqtext.distributed import ProcessInfo
from seqtext.errors import UserError

RESIDENT_SHARE = 0.1  # of a GPU's free memory: other runs may share it
EVALUATION_TEXTS = 256  # in a batch: no gradients to keep, and no result depends on it
WORDS_PER_TEXT = 400  # most words of a batch, by its most texts: long ones come in smaller ones
BUCKET_BATCHES = 50  # batches sorted by length together: more wastes less padding, but mixes less


class Batch(NamedTuple):
    """B texts, padded with id 0 to the longest of them.

    ids: [B, T] int64
    lengths: [B] int64, words in each text, at least 1
    labels: [B] int64
    rows: [B] int64, positions in the prepared data set
    weight: of their mean loss; other than 1 where processes share a batch unevenly
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    weight: float = 1.0


class EncodedDataset:
    """Encoded texts with their labels; the ids of text i are ``ids[offsets[i]:offsets[i + 1]]``."""

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, labels: np.ndarray):
        self.ids, self.offsets, self.labels = ids, offsets, labels
        self.lengths = np.diff(offsets)

    def batch(self, positions: np.ndarray) -> Batch:
        """Gather the texts at these positions into one padded batch."""
        starts = self.offsets[positions]
        lengths = self.offsets[positions + 1] - starts
        columns = np.arange(lengths.max())
        inside = columns < lengths[:, None]  # [B, T]
        where = np.where(inside, starts[:, None] + columns, 0)
        ids = self.ids[where].astype(np.int64) * inside  # padding is id 0
        parts = (ids, lengths, self.labels[positions], positions)
        return Batch(*(torch.from_numpy(np.ascontiguousarray(part, np.int64)) for part in parts))

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[Batch]:
        """A batch of the texts at each of these positions."""
        return map(self.batch, parts)


class DeviceDataset:
    """`EncodedDataset` in a device's own memory: batches are made there, and nothing is sent to it
    but the order of an epoch.

    Args:
        texts: to copy
        device: where to
    """

    def __init__(self, texts: EncodedDataset, device: torch.device):
        self._counts = texts.lengths  # on the host: a batch's width is asked of no device
        ids = np.asarray(texts.ids).astype(np.int32)  # torch has few operations for uint16
        self._ids = torch.from_numpy(ids).to(device)
        self._starts = torch.from_numpy(np.array(texts.offsets[:-1])).to(device)
        self._lengths = torch.from_numpy(np.array(texts.lengths)).to(device)
        self._labels = torch.from_numpy(np.array(texts.labels, np.int64)).to(device)

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[Batch]:
        """A batch of the texts at each of these positions."""
        order = np.concatenate([*parts, np.zeros(0, np.int64)])
        on_device = torch.from_numpy(order).to(self._ids.device)
        for part, rows in zip(parts, on_device.split([len(p) for p in parts]), strict=True):
            columns = torch.arange(int(self._counts[part].max()), device=rows.device)
            lengths = self._lengths[rows]
            inside = columns < lengths[:, None]  # [B, T]
            where = (self._starts[rows, None] + columns) * inside
            ids = self._ids[where].long() * inside  # padding is id 0
            yield Batch(ids, lengths, self._labels[rows], rows)


def batches_by_length(
    lengths: np.ndarray, most_texts: int = EVALUATION_TEXTS, most_words: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the positions of all texts in batches, short ones first.

    A text that is longer than `most_words` has a batch of its own.

    Args:
        lengths: [N] words in each text
        most_texts: in a batch
        most_words: in a batch, padding included; None: `WORDS_PER_TEXT` for each of `most_texts`
    """
    if most_words is None:
        most_words = most_texts * WORDS_PER_TEXT
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        sizes = np.arange(1, min(most_texts, len(order) - start) + 1)
        fits = sizes * lengths[order[start : start + len(sizes)]] <= most_words
        stop = start + max(1, int(fits.sum()))  # words grow with the size: the first ones fit
        yield order[start:stop]
        start = stop


def to_device_if_it_fits(
    texts: EncodedDataset, device: torch.device
) -> EncodedDataset | DeviceDataset:
    """Copy the texts to a GPU if they take a small share of its free memory."""
    if device.type != "cuda":
        return texts
    needed = 4 * len(texts.ids) + 24 * len(texts.lengths)  # bytes
    free, _ = torch.cuda.mem_get_info(device)
    return DeviceDataset(texts, device) if needed < RESIDENT_SHARE * free else texts


class BucketBatchSampler:
    """Batches of texts of similar length, in an order drawn from seed and epoch."""

    def __init__(self, positions: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int):
        self.positions, self.lengths = positions, lengths
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def __len__(self) -> int:
        return math.ceil(len(self.positions) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order `batches` returns."""
        self.epoch = epoch

    def batches(self) -> list[np.ndarray]:
        """Every position once: shuffle, sort by length within buckets, shuffle the batches."""
        rng = np.random.default_rng((self.seed, self.epoch))
        shuffled = self.positions[rng.permutation(len(self.positions))]
        bucket = self.batch_size * BUCKET_BATCHES
        batches = []
        for start in range(0, len(shuffled), bucket):
            part = shuffled[start : start + bucket]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]


class ClassBalancedBatchSampler:
    """Batches with equally many texts of each class (±1), of similar length.

    An epoch has as many batches as without balance. Texts of a rare class come several times;
    of a frequent one each epoch sees another part, in an order drawn from seed and epoch.

    Raises:
        UserError: if a batch is too small to hold every class.
    """

    def __init__(
        self,
        positions: np.ndarray,
        labels: np.ndarray,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
    ):
        self.of_class = [positions[labels == number] for number in np.unique(labels)]
        if batch_size < len(self.of_class):
            raise UserError(
                f"dataset.batch_size={batch_size} is too small for sampling=balanced_batches: "
                f"each batch holds all of the {len(self.of_class)} classes."
            )
        self.count = math.ceil(len(positions) / batch_size)
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order `batches` returns."""
        self.epoch = epoch

    def batches(self) -> list[np.ndarray]:
        """A part of each class in every batch, sorted by length within buckets, then shuffled."""
        rng = np.random.default_rng((self.seed, self.epoch))
        smallest, larger = divmod(self.batch_size, len(self.of_class))
        parts = [
            self._parts(rng, positions, smallest + (number < larger))
            for number, positions in enumerate(self.of_class)
        ]
        batches = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _parts(
        self, rng: np.random.Generator, positions: np.ndarray, size: int
    ) -> list[np.ndarray]:
        """One class's part of each batch, `size` texts each."""
        wanted = size * self.count
        rounds = [rng.permutation(positions) for _ in range(math.ceil(wanted / len(positions)))]
        drawn = np.concatenate(rounds)[:wanted]
        for start in range(0, wanted, size * BUCKET_BATCHES):
            part = drawn[start : start + size * BUCKET_BATCHES]
            part[:] = part[np.argsort(self.lengths[part], kind="stable")]
        return np.split(drawn, self.count)


class LengthSortedBatchSampler:
    """Batches from short to long texts, always in the same order: for validation and test.

    Batches are bounded in words too (see `batches_by_length`): one very long text costs what it
    costs, not as much padding for all others.

    Args:
        batch_size: texts in a batch, at most
        process: of this process among those that share the positions, each of which one of them has
    """

    def __init__(
        self,
        positions: np.ndarray,
        lengths: np.ndarray,
        batch_size: int,
        process: ProcessInfo = ProcessInfo(),  # noqa: B008
    ):
        by_length = positions[np.argsort(lengths[positions], kind="stable")]
        own = by_length[process.rank :: process.world_size]
        self.batch_size = batch_size
        self._batches = [own[at] for at in batches_by_length(lengths[own], batch_size)]

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self) -> list[np.ndarray]:
        """Every position once."""
        return self._batches


Sampler = BucketBatchSampler | ClassBalancedBatchSampler | LengthSortedBatchSampler


class BucketDataLoader:
    """Iterates over batches; remembers how far it came, so that a killed epoch can go on.

    Lightning calls ``sampler.set_epoch`` before each epoch, and `state_dict` for a checkpoint.

    Args:
        process: of this process among those that share every batch
    """

    batch_sampler = None  # torch's DataLoader has it, and Lightning looks for it

    def __init__(
        self,
        texts: EncodedDataset | DeviceDataset,
        sampler: Sampler,
        process: ProcessInfo = ProcessInfo(),  # noqa: B008
    ):
        self.texts, self.sampler, self.process = texts, sampler, process
        self._start = self._done = 0

    @property
    def batch_size(self) -> int:
        """Texts in a batch."""
        return self.sampler.batch_size

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        shares = [self._share(positions) for positions in self.sampler.batches()[start:]]
        batches = self.texts.batches([own for own, _ in shares])
        for self._done, batch in enumerate(batches, start + 1):
            yield batch._replace(weight=shares[self._done - start - 1][1])

    def _share(self, positions: np.ndarray) -> tuple[np.ndarray, float]:
        """Every so many-th text, and their weight: texts of like length go to all processes.

        The mean over processes of their weighted mean losses is the mean of the whole batch. Where
        there are too few texts, one counts nothing, since every process must take part.
        """
        rank, count = self.process
        own = positions[rank::count]
        return own if len(own) else positions[:1], len(own) * count / len(positions)

    def state_dict(self) -> dict[str, int]:
        """How many batches of the current epoch were handed out."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration go on after that many batches; a finished epoch starts over."""
        self._start = state["done"] % len(self)
