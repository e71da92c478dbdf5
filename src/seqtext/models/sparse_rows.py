"""Build and select sparse matrices with a row per text."""

import numpy as np
from scipy import sparse
from torch import Tensor

from seqtext.models.term_table import TermTable
from seqtext.token_ids import PAD


def build_rows(entries: list[tuple[Tensor, Tensor]]) -> sparse.csr_array:
    """Build rows from columns [B, M] and their values [B, M]; 0 is no column."""
    used = [columns != PAD for columns, _ in entries]
    counts = np.concatenate([is_used.sum(dim=1).numpy() for is_used in used])
    columns, values = (
        np.concatenate([each[n][of].numpy() for each, of in zip(entries, used, strict=True)])
        for n in (0, 1)
    )
    starts = np.concatenate([[0], np.cumsum(counts)])
    shape = len(counts), int(columns.max(initial=0)) + 1
    return sparse.csr_array((values.astype(np.float64), columns, starts), shape=shape)


def select_columns(matrix: sparse.csr_array, table: TermTable) -> sparse.csr_array:
    """Keep the columns of the known terms only."""
    rows = table.list_rows()
    numbers = np.full(len(table.hashes), -1)
    numbers[rows] = np.arange(len(rows))
    columns = numbers[matrix.indices]
    is_known = columns >= 0
    counts = np.add.reduceat(np.append(is_known, False), matrix.indptr[:-1])
    counts[np.diff(matrix.indptr) == 0] = 0
    starts = np.concatenate([[0], np.cumsum(counts)])
    shape = matrix.shape[0], len(rows)
    return sparse.csr_array((matrix.data[is_known], columns[is_known], starts), shape=shape)


def repeat_norms(matrix: sparse.csr_array, squares: np.ndarray) -> np.ndarray:
    """Return the root of the sum of each row's `squares` at each entry of the row."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    sums = np.bincount(rows, squares, matrix.shape[0])
    return np.sqrt(np.where(sums > 0, sums, 1))[rows]
