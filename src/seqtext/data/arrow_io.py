"""Write arrays and tables to disk, and memory-map them or read them in blocks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc


def open_array(path: Path, dtype: type | str) -> np.ndarray:
    """Memory-map a file written by `numpy.ndarray.tofile`."""
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")


def write_table(table: pa.Table, path: Path) -> None:
    """Write an Arrow IPC file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def open_table(path: Path) -> pa.Table:
    """Memory-map an Arrow IPC file."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def read_blocks(path: Path, column: str) -> Iterator[pa.Array]:
    """Yield a column of an Arrow IPC file in blocks: mapped pages would count as memory."""
    with pa.OSFile(str(path)) as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).column(column)
