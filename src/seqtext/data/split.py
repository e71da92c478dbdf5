"""Which rows train, which choose, which judge."""

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np

from seqtext.options import Count, Seed, Share, UserError, checked

log = logging.getLogger(__name__)

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")


class Split:
    """Cuts the rows into a training, a validation and a test part.

    Rows with the same text always come into the same part.

    Args:
        test: share of all texts (or their number) that judges, once, at the end
        val: share of the remaining texts (or their number) that chooses: early stopping, best epoch
        stratify: keep the class shares in every part
        seed: of the rows; the training seed is another one
        official: use the test part that the source defines, instead of `test`
    """

    @checked
    def __init__(
        self,
        test: Share | Count = 0.2,
        val: Share | Count = 0.1,
        stratify: bool = True,
        seed: Seed = 42,
        official: bool = False,
    ):
        self.test, self.val, self.stratify = test, val, stratify
        self.seed, self.official = seed, official

    def __repr__(self) -> str:
        return f"Split({', '.join(f'{name}={value}' for name, value in vars(self).items())})"

    def settings(self) -> dict:
        """Everything that decides the parts, as plain values."""
        return dict(vars(self))

    def parts(
        self,
        labels: np.ndarray,
        text_ids: np.ndarray,
        class_names: Sequence[str],
        official_test: np.ndarray | None = None,
    ) -> dict[Part, np.ndarray]:
        """Sorted row numbers of each part.

        Args:
            labels: [rows] class numbers
            text_ids: [rows] equal where the texts are equal
            class_names: for messages
            official_test: [rows] True where the source says so; None: it does not say

        Raises:
            UserError: if a class or a part would be too small, or no official test part exists.
        """
        rows = np.arange(len(labels))
        if self.official:
            if official_test is None:
                raise UserError(
                    "split.official=true is not possible: this source has no official test part; "
                    "use split.official=false, or a source that has one."
                )
            rest, test = rows[~official_test], rows[official_test]
            self._warn_of_shared_texts(text_ids[rest], text_ids[test])
        else:
            rest, test = self._cut(rows, labels, text_ids, self.test, "split.test", class_names)
        train, val = self._cut(rest, labels, text_ids, self.val, "split.val", class_names)
        parts = {"train": train, "val": val, "test": test}
        for part, chosen in parts.items():
            if len(np.unique(labels[chosen])) < 2:
                raise UserError(
                    f"The {part} part has rows of one class only ({len(chosen)} in all): choose "
                    f"other sizes split.test and split.val, or give rows of every class."
                )
        return parts

    def _cut(self, rows, labels, text_ids, size, option, class_names):
        """Two sorted arrays of rows: those that stay, and those cut off."""
        from sklearn.model_selection import train_test_split

        _, first, text_of_row = np.unique(text_ids[rows], return_index=True, return_inverse=True)
        classes = labels[rows[first]]
        if isinstance(size, int) and size >= len(first):
            raise UserError(
                f"{option}={size} is not possible: only {len(first)} different texts are there "
                f"to cut from; choose a smaller number, or a share below 1."
            )
        if self.stratify:
            self._check_classes(classes, class_names)
        try:
            _, cut = train_test_split(
                np.arange(len(first)),
                test_size=size,
                random_state=self.seed,
                stratify=classes if self.stratify else None,
            )
        except ValueError as error:
            raise UserError(
                f"{option}={size} is not possible with {len(first)} different texts: {error}"
            ) from error
        is_cut = np.isin(text_of_row, cut)
        return rows[~is_cut], rows[is_cut]

    @staticmethod
    def _check_classes(classes: np.ndarray, class_names: Sequence[str]) -> None:
        counts = np.bincount(classes, minlength=len(class_names))
        rarest = int(counts.argmin())
        if counts[rarest] < 2:
            raise UserError(
                f"Class {class_names[rarest]!r} has too few rows for a stratified split "
                f"({counts[rarest]} left to divide): give it at least 3 different texts."
            )

    @staticmethod
    def _warn_of_shared_texts(rest: np.ndarray, test: np.ndarray) -> None:
        shared = np.isin(test, rest).sum()
        if shared:
            log.warning(
                "%d texts of the official test part also stand in its training part.", shared
            )
