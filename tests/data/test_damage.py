"""Damaged files are read, or refused with a one-line message."""

import random

import pytest

from seqtext.config.error_messages import format_error
from seqtext.data.table_reader import TableReader
from seqtext.errors import UserError
from tests.data.damage import COLUMNS, ENCODINGS, SEPARATORS, generate_files


def check_refusal(error: Exception) -> None:
    """Check that the message is informative and fits on a line."""
    told = format_error(error)
    assert told.endswith((".", "?")), told
    assert "\n" not in told, told
    assert len(told) > 20, told
    assert not told.startswith("None"), told


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_tables(tmp_path, seed):
    chance = random.Random(seed)
    read = 0
    for name, content in generate_files(400, seed):
        path = tmp_path / name
        path.write_bytes(content)
        columns = chance.choice([["text", "label"]] * 3 + [chance.sample(COLUMNS, 2)])
        options = {
            "header": chance.random() < 0.9,
            "separator": chance.choice(SEPARATORS) if chance.random() < 0.15 else None,
            "encoding": chance.choice(ENCODINGS) if chance.random() < 0.15 else "utf-8",
            "quoting": chance.choice(["auto"] * 6 + ["minimal", "none"]),
            "escapechar": chance.choice([None] * 6 + ["\\", "backslash", "ab"]),
        }
        warnings = []
        try:
            blocks = list(TableReader(path, **options, warn=warnings.append).read_columns(columns))
        except (UserError, OSError) as error:
            check_refusal(error)
        else:
            read += 1
            assert all(block.num_columns == 3 for block in blocks)
            for block in blocks:
                block.validate(full=True)
        assert all(warning.endswith(".") for warning in warnings)
    assert read > 30
