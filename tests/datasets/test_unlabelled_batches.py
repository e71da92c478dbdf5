"""Batches of unlabelled texts: ids, order, and the shares of processes."""

import numpy as np
import pytest
import torch

from seqtext.data.loaders import EncodedDataset
from seqtext.data.split import Split
from seqtext.datasets.table import TableDataset
from seqtext.datasets.unlabelled_batches import UnlabelledBatches, build_unlabelled_batches
from seqtext.distributed import ProcessInfo
from seqtext.token_ids import UNKNOWN

CPU = torch.device("cpu")


@pytest.fixture
def batches() -> UnlabelledBatches:
    """Return batches of 3 of 10 texts; text n has n words with the id n."""
    lengths = np.arange(1, 11)
    ids = np.repeat(np.arange(1, 11), lengths).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return UnlabelledBatches(EncodedDataset(ids, offsets, np.zeros(10, np.int64)), 3, seed=5)


def read(batches: UnlabelledBatches, steps, process=ProcessInfo()) -> list[list[int]]:  # noqa: B008
    return [batches.draw(step, CPU, process).ids[:, 0].tolist() for step in steps]


def test_all_texts_are_read_before_any_is_repeated(batches):
    for epoch in range(3):
        found = read(batches, range(4 * epoch, 4 * epoch + 4))
        assert sorted(text for batch in found for text in batch) == list(range(1, 11))
    assert read(batches, range(4)) != read(batches, range(4, 8))


def test_a_step_has_the_same_batch_again(batches):
    expected = read(batches, range(9))
    assert read(batches, [7, 2, 8]) == [expected[7], expected[2], expected[8]]


def test_processes_share_a_batch(batches):
    for step, whole in enumerate(read(batches, range(4))):
        shares = [read(batches, [step], ProcessInfo(rank, 2))[0] for rank in (0, 1)]
        together = [text for share in shares for text in share]
        assert sorted(together) == sorted(whole) or len(whole) == 1


@pytest.mark.parametrize("keep_unknown", [False, True])
def test_texts_are_encoded_like_those_of_the_data_set(tmp_path, keep_unknown):
    rows = [f"text number {n},{n % 2}" for n in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "further.txt").write_text("Text of nothing new\nnumber\n\ntext number 3")
    data = TableDataset(
        path=str(tmp_path / "rows.csv"),
        unlabelled=str(tmp_path / "further.txt"),
        split=Split(test_size=5, val_size=5),
        cache=str(tmp_path / "cache"),
    )
    data.keep_unknown = keep_unknown
    data.setup()
    known = len(data.vocabulary)
    batch = build_unlabelled_batches(data).draw(0, CPU, ProcessInfo())
    pairs = zip(batch.ids, batch.lengths.tolist(), strict=True)
    found = {length: ids[:length].tolist() for ids, length in pairs}
    text, number = data.vocabulary.tokens.index("text"), data.vocabulary.tokens.index("number")
    special = known - len(data.vocabulary.tokens)
    assert found == {4: [text + special, *[UNKNOWN] * 3], 1: [number + special]}
    assert len(data.vocabulary) == known


def test_no_unlabelled_texts(tmp_path):
    rows = [f"text number {n},{n % 2}" for n in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    data = TableDataset(path=str(tmp_path / "rows.csv"), cache=str(tmp_path / "cache"))
    data.setup()
    assert build_unlabelled_batches(data) is None
