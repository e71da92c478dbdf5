"""A table of known terms with their weights, found by hashes."""

import numpy as np
import torch
from torch import Tensor, nn

from seqtext.embeddings.word_ngrams import MODULUS
from seqtext.errors import UserError
from seqtext.token_ids import PAD

FACTORS = 1, 48_271, 69_621  # of hashes, for three choices of a row
MIN_TEXTS = 2  # training texts with a term


class TermTable(nn.Module):
    """Holds numbers of known terms, found by hashes from 1 to `MODULUS`, 0 for no term.

    A row belongs to one term, whose hash it stores. A term has one of three rows; if all are taken,
    it is not known: with half as many terms as rows, 4 % of the terms.

    Args:
        rows: number of rows
        outputs: K
    """

    hashes: Tensor  # [1 + rows] int64, 0 for an unused row
    idf: Tensor  # [1 + rows]
    weights: Tensor  # [1 + rows, K]

    def __init__(self, rows: int, outputs: int):
        super().__init__()
        self.register_buffer("hashes", torch.zeros(1 + rows, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(1 + rows))
        self.register_buffer("weights", torch.zeros(1 + rows, outputs))
        self.register_load_state_dict_post_hook(_check_loaded)

    def set_terms(self, hashes: np.ndarray, texts: np.ndarray) -> None:
        """Set the known terms to those in `MIN_TEXTS` texts or more.

        Args:
            hashes: distinct hashes
            texts: number of training texts with each
        """
        order = np.argsort(texts, kind="stable")  # the most frequent last
        left = torch.from_numpy(hashes[order[texts[order] >= MIN_TEXTS]])
        self.hashes.zero_()
        for rows in self._choose_rows(left):
            places = torch.arange(1, len(left) + 1)
            is_left = self.find(left) == PAD
            is_free = is_left & (self.hashes[rows] == 0)
            last = torch.zeros_like(self.hashes).scatter_reduce(
                0, rows[is_free], places[is_free], "amax"
            )
            self.hashes[last > 0] = left[last[last > 0] - 1]

    def list_rows(self) -> np.ndarray:
        """Return the rows of the known terms."""
        return self.hashes.nonzero().flatten().cpu().numpy()

    def set_values(self, texts: np.ndarray, count: int) -> np.ndarray:
        """Set the idf values of the known terms, and return them.

        Args:
            texts: number of training texts with each known term
            count: number of all training texts
        """
        idf = np.log((1 + count) / (1 + texts)) + 1
        self.idf[self.list_rows()] = torch.from_numpy(idf.astype(np.float32))
        return idf

    def find(self, hashes: Tensor) -> Tensor:
        """Return the row of each hash, 0 for an unknown term."""
        found = torch.zeros_like(hashes)
        for rows in self._choose_rows(hashes):
            found = torch.where(self.hashes[rows] == hashes, rows, found)
        return found.masked_fill(hashes == 0, PAD)

    def _choose_rows(self, hashes: Tensor) -> list[Tensor]:
        """Return the rows where each term may be, in this order."""
        rows = len(self.hashes) - 1
        return [hashes * factor % MODULUS % rows + 1 for factor in FACTORS]


def _check_loaded(table: TermTable, _: object) -> None:
    """Refuse a state that no training has written.

    Raises:
        UserError: if a term is not in the row where `TermTable.find` finds it.
    """
    hashes, numbers = table.hashes, torch.arange(len(table.hashes), device=table.hashes.device)
    is_used = hashes != 0
    if (
        hashes.min() < 0
        or hashes.max() > MODULUS
        or (table.find(hashes) != numbers * is_used).any()
    ):
        raise UserError("a table of terms has hashes at wrong places.")
    if (table.idf < 0).any() or table.idf[~is_used].any():
        raise UserError("a table of terms has wrong idf values.")
