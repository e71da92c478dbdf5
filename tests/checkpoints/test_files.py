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
