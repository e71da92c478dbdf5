"""Checkpoint files as read by resuming and prediction."""

import pytest

from seqtext.checkpoints.files import (
    FORMAT_VERSION,
    METADATA_KEY,
    AtomicCheckpointIO,
    save_checkpoint,
)
from seqtext.errors import UserError


@pytest.mark.parametrize(
    "version", [FORMAT_VERSION - 1, FORMAT_VERSION + 1, None, str(FORMAT_VERSION)]
)
def test_another_format_is_refused_in_one_sentence(version, tmp_path):
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, {METADATA_KEY: {"format": FORMAT_VERSION}})
    assert AtomicCheckpointIO().load_checkpoint(path)[METADATA_KEY] == {"format": FORMAT_VERSION}
    save_checkpoint(path, {METADATA_KEY: {"format": version}})
    with pytest.raises(UserError, match=r"last\.ckpt was written by another version .*\.$"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    io, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    state = {METADATA_KEY: {"format": FORMAT_VERSION}, "callbacks": {"Mine": {"seen": [1, "a"]}}}
    io.save_checkpoint(state, path)
    assert io.load_checkpoint(path) == state
    state["callbacks"]["Mine"]["seen"] = [1, {2}]
    with pytest.raises(UserError, match=r"hold callbacks\.Mine\.seen, a set: it holds plain"):
        io.save_checkpoint(state, path)
