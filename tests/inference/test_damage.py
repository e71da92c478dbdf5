"""Damaged input files are written with labels, or refused with a one-line message."""

import random

import pyarrow as pa
import pytest

from seqtext.data.table_reader import TableReader, join_texts
from seqtext.errors import UserError
from seqtext.inference.predict_file import find_text_columns
from seqtext.inference.table_writer import open_writer
from tests.data.damage import ENCODINGS, SEPARATORS, generate_files
from tests.data.test_damage import check_refusal

OUTPUTS = ["b.csv", "b.tsv", "b.jsonl", "b.parquet", "b.CSV.GZ", "b.jsonl.ZIP"]


def copy_rows(path, target, columns: list[str] | None, options: dict) -> int:
    """Read a file as predict.py does, write it with a further column, and return the rows."""
    source, count = TableReader(path, **options), 0
    columns = find_text_columns(columns and ",".join(columns), ["review"], source)
    label = "predicted_label" if "label" in source.names else "label"
    with open_writer(target) as output:
        for block in source.blocks():
            texts = join_texts(source.select_strings(block, columns, count))
            assert texts.null_count == 0
            count += len(texts)
            output.write(block, {label: pa.array(["a"] * len(texts))})
    return count


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_inputs(tmp_path, seed):
    chance = random.Random(seed)
    written = 0
    for name, content in generate_files(300, 10 + seed):
        path = tmp_path / name
        path.write_bytes(content)
        target = tmp_path / "out" / chance.choice(OUTPUTS)
        options = {
            "separator": chance.choice(SEPARATORS) if chance.random() < 0.2 else None,
            "encoding": chance.choice(ENCODINGS) if chance.random() < 0.2 else "utf-8",
            "header": chance.random() < 0.9,
            "quoting": chance.choice(["auto"] * 6 + ["none"]),
        }
        columns = chance.choice(
            [None, None, None, None, ["text", "label"], ["text", "txet"], ["0"]]
        )
        try:
            copy_rows(path, target, columns, options)
        except UnicodeEncodeError:  # half of a pair of surrogates: predict_file tells it
            assert "json" in name.lower() or options["encoding"] != "utf-8"
        except (UserError, OSError) as error:
            check_refusal(error)
        else:
            written += 1
            assert target.is_file()
    assert written > 20
