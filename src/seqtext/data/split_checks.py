"""Check that each class can be split, trained and tested."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from seqtext.display import count_noun
from seqtext.errors import UserError

Part = Literal["train", "val", "test"]


class SplitRows:
    """Labels and text ids of all rows, with checks of their split.

    Args:
        labels: [rows] class numbers
        ids: [rows] equal for equal texts
        class_names: names of class 0, 1, …, for messages
    """

    def __init__(self, labels: np.ndarray, ids: np.ndarray, class_names: Sequence[str]):
        self.labels, self.ids, self.class_names = labels, ids, class_names

    def distinct(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return [rows] the index of each row's text, and [texts] the class of its first row."""
        _, first, text_of_row = np.unique(self.ids[rows], return_index=True, return_inverse=True)
        return text_of_row, self.labels[rows[first]]

    def check_learnable(
        self, train: np.ndarray, parts: Mapping[Part, np.ndarray], instead: str = ""
    ) -> None:
        """Check that every class of a part has training rows.

        Raises:
            UserError: if a class has none.
        """
        learned = np.unique(self.labels[train])
        for part, rows in parts.items():
            foreign = rows[~np.isin(self.labels[rows], learned)]
            if len(foreign):
                number = self.labels[foreign[0]]
                name = self.class_names[number]
                count = count_noun(int((self.labels[foreign] == number).sum()), "row")
                raise UserError(
                    f"Class {name!r} has {count} in the {part} part and none to train with: "
                    f"give it training rows, or drop it with dataset.drop_labels=[{name}]{instead}."
                )

    def check_classes(self, rows: np.ndarray, classes: np.ndarray, at_least: int = 2) -> None:
        """Check that each class has enough texts to be in every part.

        Args:
            rows: rows to split
            classes: [texts] classes of their texts

        Raises:
            UserError: if a class has too few.
        """
        counts = np.bincount(classes, minlength=len(self.class_names))
        rarest = int(counts.argmin())
        if counts[rarest] >= at_least:
            return
        name = self.class_names[rarest]
        of_class = rows[self.labels[rows] == rarest]
        drop = f"leave it out with dataset.drop_labels=[{name}]"
        if not (self.labels == rarest).any():
            raise UserError(f"Class {name!r} has no rows: give it some, or {drop}.")
        if len(np.unique(self.ids[of_class])) >= at_least:
            raise UserError(
                f"Class {name!r} has {len(of_class)} rows to divide, but the same texts have "
                f"other labels in earlier rows: fix these labels, {drop}, or use "
                f"dataset.duplicates=keep."
            )
        raise UserError(
            f"Class {name!r} has too few rows for a stratified split ({len(of_class)} left to "
            f"divide, {counts[rarest]} different texts): give it at least {at_least + 1} different "
            f"texts, {drop}, or use split.stratify=false."
        )

    def check_classes_of_part(self, part: Part, rows: np.ndarray, is_named: bool) -> None:
        """Check that a part has rows of more than one class.

        Args:
            is_named: whether the source defines the part

        Raises:
            UserError: if all rows have the same class.
        """
        classes = np.unique(self.labels[rows])
        if len(classes) > 1:
            return
        only = f", {self.class_names[classes[0]]!r}" if len(classes) else ""
        instead = (
            "the source names its rows: give it rows of every class"
            if is_named
            else "choose other sizes split.test_size, split.val_size and split.max_train_examples, "
            "or give rows of every class"
        )
        raise UserError(
            f"The {part} part has rows of one class only{only} ({len(rows)} in all): {instead}."
        )
