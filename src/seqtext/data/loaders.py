"""Length-bucketed batches, each gathered in one vectorized step."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from seqtext.distributed import ProcessInfo
from seqtext.errors import UserError

RESIDENT_SHARE = 0.1  # share of a GPU's free memory; other runs may use it too
EVALUATION_TEXTS = 256  # batch size without gradients; results do not depend on it
WORDS_PER_TEXT = 400  # limits the words of a batch, so that long texts get smaller batches
BUCKET_BATCHES = 50  # batches sorted by length together: more means less padding but less shuffling


class Batch(NamedTuple):
    """Hold B texts, padded with id 0 to the longest of them.

    ids: [B, T] int64
    lengths: [B] int64, number of words of each text, at least 1
    labels: [B] int64
    rows: [B] int64, positions in the prepared data set
    weight: factor of the batch's mean loss; not 1 if processes share a batch unevenly
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor
    weight: float = 1.0


class EncodedDataset:
    """Encoded texts and labels; the ids of text i are ``ids[offsets[i]:offsets[i + 1]]``."""

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
        arrays = (ids, lengths, self.labels[positions], positions)
        tensors = [torch.from_numpy(np.ascontiguousarray(array, np.int64)) for array in arrays]
        return Batch(tensors[0], tensors[1], tensors[2], tensors[3])

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[Batch]:
        """Yield a batch of the texts at each of these positions."""
        return map(self.batch, parts)


class DeviceDataset:
    """`EncodedDataset` in device memory: batches are built there, only indices are transferred.

    Args:
        texts: data set to copy
        device: target device
    """

    def __init__(self, texts: EncodedDataset, device: torch.device):
        self._counts = texts.lengths  # on the host: no wait for the device
        ids = np.asarray(texts.ids).astype(np.int32)  # torch has few operations for uint16
        self._ids = torch.from_numpy(ids).to(device)
        self._starts = torch.from_numpy(np.array(texts.offsets[:-1])).to(device)
        self._lengths = torch.from_numpy(np.array(texts.lengths)).to(device)
        self._labels = torch.from_numpy(np.array(texts.labels, np.int64)).to(device)

    def batches(self, parts: Sequence[np.ndarray]) -> Iterator[Batch]:
        """Yield a batch of the texts at each of these positions."""
        order = np.concatenate([*parts, np.zeros(0, np.int64)])
        on_device = torch.from_numpy(order).to(self._ids.device)
        for part, rows in zip(parts, on_device.split([len(p) for p in parts]), strict=True):
            columns = torch.arange(int(self._counts[part].max()), device=rows.device)
            lengths = self._lengths[rows]
            inside = columns < lengths[:, None]  # [B, T]
            where = (self._starts[rows, None] + columns) * inside
            ids = self._ids[where].long() * inside  # padding is id 0
            yield Batch(ids, lengths, self._labels[rows], rows)


def iter_batches_by_length(
    lengths: np.ndarray, most_texts: int = EVALUATION_TEXTS, most_words: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the positions of all texts in batches, short ones first.

    A text longer than `most_words` is a batch on its own.

    Args:
        lengths: [N] number of words of each text
        most_texts: maximum number of texts in a batch
        most_words: maximum number of words in a batch including padding; None: `WORDS_PER_TEXT` for
            each of `most_texts`
    """
    if most_words is None:
        most_words = most_texts * WORDS_PER_TEXT
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        sizes = np.arange(1, min(most_texts, len(order) - start) + 1)
        fits = sizes * lengths[order[start : start + len(sizes)]] <= most_words
        stop = start + max(1, int(fits.sum()))  # token count is monotonic in batch size
        yield order[start:stop]
        start = stop


def to_device_if_it_fits(
    texts: EncodedDataset, device: torch.device
) -> EncodedDataset | DeviceDataset:
    """Copy the texts to a GPU if they need only a small share of its free memory."""
    if device.type != "cuda":
        return texts
    needed = 4 * len(texts.ids) + 24 * len(texts.lengths)  # bytes
    free, _ = torch.cuda.mem_get_info(device)
    return DeviceDataset(texts, device) if needed < RESIDENT_SHARE * free else texts


class BucketBatchSampler:
    """Builds batches of texts of similar length, in a random order per seed and epoch.

    Attributes:
        has_fixed_order: whether each epoch has the order of the first one
    """

    has_fixed_order = False

    def __init__(self, positions: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int):
        self.positions, self.lengths = positions, lengths
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def __len__(self) -> int:
        return math.ceil(len(self.positions) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order `batches` returns."""
        self.epoch = 0 if self.has_fixed_order else epoch

    def batches(self) -> list[np.ndarray]:
        """Return batches of all positions: shuffle, sort by length in buckets, shuffle batches."""
        rng = np.random.default_rng((self.seed, self.epoch))
        shuffled = self.positions[rng.permutation(len(self.positions))]
        bucket = self.batch_size * BUCKET_BATCHES
        batches = []
        for start in range(0, len(shuffled), bucket):
            part = shuffled[start : start + bucket]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]


class ClassBalancedBatchSampler(BucketBatchSampler):
    """Builds batches with equally many texts of each class (±1), of similar length.

    An epoch has the same number of batches as without balancing. Texts of a rare class are
    repeated; of a frequent class each epoch uses another part, in random order per seed and epoch.

    Raises:
        UserError: if the batch size is less than the number of classes.
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
        super().__init__(positions, lengths, batch_size, seed)

    def batches(self) -> list[np.ndarray]:
        """Return batches with texts of each class, sorted by length in buckets, then shuffled."""
        rng = np.random.default_rng((self.seed, self.epoch))
        smallest, larger = divmod(self.batch_size, len(self.of_class))
        parts = [
            self._draw_class_parts(rng, positions, smallest + (number < larger))
            for number, positions in enumerate(self.of_class)
        ]
        batches = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _draw_class_parts(
        self, rng: np.random.Generator, positions: np.ndarray, size: int
    ) -> list[np.ndarray]:
        """Return the texts of one class for each batch, `size` texts each."""
        wanted = size * len(self)
        rounds = [rng.permutation(positions) for _ in range(math.ceil(wanted / len(positions)))]
        drawn = np.concatenate(rounds)[:wanted]
        for start in range(0, wanted, size * BUCKET_BATCHES):
            part = drawn[start : start + size * BUCKET_BATCHES]
            part[:] = part[np.argsort(self.lengths[part], kind="stable")]
        return np.split(drawn, len(self))


class LengthSortedBatchSampler:
    """Builds batches from short to long texts, in a fixed order, for validation and test.

    The number of words of a batch is also limited (see `iter_batches_by_length`), so that one very
    long text does not add padding to many others.

    Args:
        batch_size: maximum number of texts in a batch
        process: rank and number of the processes, which share the positions disjointly
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
        self._batches = [own[at] for at in iter_batches_by_length(lengths[own], batch_size)]

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self) -> list[np.ndarray]:
        """Return batches of all positions of this process."""
        return self._batches


Sampler = BucketBatchSampler | LengthSortedBatchSampler


class BucketDataLoader:
    """Iterates over batches, and stores its position so that an interrupted epoch can be resumed.

    Lightning calls ``sampler.set_epoch`` before each epoch, and `state_dict` for a checkpoint.

    Args:
        process: rank and number of the processes, which share every batch
    """

    batch_sampler = None  # an attribute of torch's DataLoader that Lightning reads

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
        """Return the number of texts in a batch."""
        return self.sampler.batch_size

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        shares = [self._select_own_rows(positions) for positions in self.sampler.batches()[start:]]
        batches = self.texts.batches([own for own, _ in shares])
        for self._done, batch in enumerate(batches, start + 1):
            yield batch._replace(weight=shares[self._done - start - 1][1])

    def _select_own_rows(self, positions: np.ndarray) -> tuple[np.ndarray, float]:
        """Return this process's texts of a batch and the weight of their mean loss.

        Texts are dealt out in turn, so that all processes get similar lengths. The mean over
        processes of the weighted mean losses is the mean loss of the whole batch. If a batch has
        fewer texts than processes, a dummy text with weight 0 keeps the processes in sync.
        """
        rank, count = self.process
        own = positions[rank::count]
        return own if len(own) else positions[:1], len(own) * count / len(positions)

    def state_dict(self) -> dict[str, int]:
        """Return the number of batches of the current epoch that were yielded."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make the next iteration continue after those batches; a finished epoch starts again."""
        self._start = state["done"] % len(self)
