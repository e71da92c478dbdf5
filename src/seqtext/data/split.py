"""Train/validation/test splits and cross-validation folds."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge

from seqtext.data.split_checks import Part, SplitRows
from seqtext.display import count_noun
from seqtext.errors import OptionError, UserError, format_reason
from seqtext.validation import Fraction, NonNegativeInt, PositiveInt, Seed, validate_args

PARTS: tuple[Part, ...] = ("train", "val", "test")
Duplicates = Literal["group", "drop", "keep"]


class Split:
    """Splits the rows into a training, a validation and a test part.

    Args:
        test_size: share (or number) of all texts for the final test
        val_size: share (or number) of the other texts for model selection
        stratify: keep the class proportions in every part
        seed: seed of the split, independent of the training seed
        use_official_split: use the source's test part, and its validation part if there is one,
            instead of `test_size` and `val_size`; None: the data set's default
        folds: number of folds that replace `test_size`; None: no cross-validation
        fold: index of the fold that is the test part, from 0
        max_train_examples: maximum share (or number) of the training rows to use, for a quick
            experiment or a learning curve; other parts do not change; None: all
    """

    @validate_args
    def __init__(
        self,
        test_size: Fraction | PositiveInt = 0.2,
        val_size: Fraction | PositiveInt = 0.1,
        stratify: bool = True,
        seed: Seed = 42,
        use_official_split: bool | None = None,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: NonNegativeInt = 0,
        max_train_examples: Fraction | PositiveInt | None = None,
    ):
        if folds is not None and use_official_split:
            raise UserError(
                "split.folds and split.use_official_split cannot both be set: choose one."
            )
        if fold >= (folds or 1):
            expected = f"less than split.folds={folds}"
            if not folds:
                expected = f"0, unless split.folds is set too, to {fold + 1} or more"
            raise OptionError("fold", fold, expected)
        self.test_size, self.val_size, self.stratify = test_size, val_size, stratify
        self.seed, self.use_official_split = seed, use_official_split
        self.folds, self.fold, self.max_train_examples = folds, fold, max_train_examples

    def __repr__(self) -> str:
        return f"Split({', '.join(f'{name}={value}' for name, value in vars(self).items())})"

    def settings(self) -> dict:
        """Return all settings that determine the parts, as plain values."""
        return dict(vars(self))

    def parts(self, *args: Any, **kwargs: Any) -> dict[Part, np.ndarray]:
        """Return only the parts of `split_rows`."""
        return self.split_rows(*args, **kwargs)[0]

    def split_rows(
        self,
        labels: np.ndarray,
        text_ids: np.ndarray,
        class_names: Sequence[str],
        official: np.ndarray | None = None,
        duplicates: Duplicates = "group",
    ) -> tuple[dict[Part, np.ndarray], list[str]]:
        """Return sorted row numbers of each part, and notes about the parts.

        Args:
            labels: [rows] class numbers
            text_ids: [rows] equal for equal texts
            class_names: names for messages
            official: [rows] index in `PARTS` of the source's part; None: the source has no parts
            duplicates: "group": rows with the same text are in the same part; "drop": only the
                first of them is used; "keep": they are treated like other rows

        Raises:
            UserError: if a class or a part is too small, or a class has no training rows.
        """
        rows = np.arange(len(labels))
        if duplicates == "keep":
            text_ids = rows
        elif duplicates == "drop":
            rows = np.sort(np.unique(text_ids, return_index=True)[1])
        return self._cut(rows, SplitRows(labels, text_ids, class_names), official)

    def _cut(
        self, rows: np.ndarray, texts: SplitRows, official: np.ndarray | None
    ) -> tuple[dict[Part, np.ndarray], list[str]]:
        """Split the rows that remain after dropping duplicates, see `split_rows`."""
        named = {} if official is None else _select_named_parts(rows, official)
        notes = [] if official is None else self._describe_official_changes(named, official)
        rest, test = self._test_split(named.get("train", rows), texts, named.get("test"))
        texts.check_learnable(rest, {"test": test, "val": named.get("val", test[:0])})
        if "val" in named:
            train, val = rest, named["val"]
        else:
            train, val = self._split_holdout(rest, texts, self.val_size, "split.val_size")
        parts: dict[Part, np.ndarray] = {"train": train, "val": val, "test": test}
        texts.check_learnable(train, parts)
        if self.max_train_examples is not None:
            train = parts["train"] = self._limit_training_rows(
                train, texts, self.max_train_examples
            )
            texts.check_learnable(
                train, parts, "; or use split.stratify=true with split.max_train_examples"
            )
        for part, chosen in parts.items():
            texts.check_classes_of_part(part, chosen, is_named=part in named)
        return parts, notes

    def _describe_official_changes(
        self, named: dict[Part, np.ndarray], official: np.ndarray
    ) -> list[str]:
        """Return notes on how the source's parts are changed.

        Raises:
            UserError: if no row of an official part is left.
        """
        notes = []
        for number, part in enumerate(PARTS):
            count = int((official == number).sum())
            left = len(named.get(part, ()))
            if count and not left:
                raise UserError(
                    f"All {count} rows of the source's {part} part repeat texts of earlier rows, "
                    f"and dataset.duplicates=drop leaves them out: use dataset.duplicates=group."
                )
            if left < count:
                notes.append(
                    f"{count - left} of {count} rows of the source's {part} part repeat an earlier "
                    f"text and are left out (duplicates=drop)."
                )
            if not count and part != "train":
                size = f"split.{part}_size={self.test_size if part == 'test' else self.val_size}"
                notes.append(f"The source names no {part} part: {size} cuts it from train.")
        return notes

    def _limit_training_rows(self, train: np.ndarray, texts: SplitRows, limit: float) -> np.ndarray:
        """Return a sorted subset of at most `limit` rows; larger subsets contain smaller ones.

        Raises:
            UserError: if there are fewer rows than classes.
        """
        count = limit if isinstance(limit, int) else max(1, round(limit * len(train)))
        if count >= len(train):
            return train
        mixed = np.random.default_rng(self.seed).permutation(train)
        if not self.stratify:
            return np.sort(mixed[:count])
        labels = texts.labels[mixed]
        available = np.bincount(labels, minlength=len(texts.class_names))
        classes = int((available > 0).sum())
        if count < classes:
            raise UserError(
                f"split.max_train_examples={limit} is not possible: {count} "
                f"training rows cannot hold each of {classes} classes; choose {classes} or more."
            )
        chosen = [
            mixed[labels == number][:wanted]
            for number, wanted in enumerate(_allocate_per_class(count, available))
        ]
        return np.sort(np.concatenate(chosen))

    def _test_split(
        self, rows: np.ndarray, texts: SplitRows, test: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows for training and validation, and the test rows."""
        if test is not None:
            return rows, test
        if self.folds is not None:
            return self._split_kfold(rows, texts, self.folds)
        return self._split_holdout(rows, texts, self.test_size, "split.test_size")

    def _split_holdout(
        self, rows: np.ndarray, texts: SplitRows, size: float, option: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return two sorted arrays of rows: the rest, and the held-out part."""
        from sklearn.model_selection import train_test_split

        text_of_row, classes = texts.distinct(rows)
        if isinstance(size, int) and size >= len(classes):
            raise UserError(
                f"{option}={size} is not possible: "
                f"{count_noun(len(classes), 'different text is', 'different texts are')} there "
                f"to cut from; choose a smaller number, or a share below 1."
            )
        if self.stratify:
            texts.check_classes(rows, classes)
            count = size if isinstance(size, int) else int(np.ceil(size * len(classes)))
            if count < (each := len(np.unique(classes))):
                raise UserError(
                    f"{option}={size} is not possible: {count_noun(count, 'text')} cannot hold "
                    f"each of {each} classes; choose {each} or more, or split.stratify=false."
                )
        try:
            _, cut = train_test_split(
                np.arange(len(classes)),
                test_size=size,
                random_state=self.seed,
                stratify=classes if self.stratify else None,
            )
        except ValueError as error:
            raise UserError(
                f"{option}={size} is not possible with "
                f"{count_noun(len(classes), 'different text')}: {error}"
            ) from error
        is_cut = np.isin(text_of_row, cut)
        return rows[~is_cut], rows[is_cut]

    def _split_kfold(
        self, rows: np.ndarray, texts: SplitRows, folds: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return sorted rows: the rest, and those of the selected cross-validation fold."""
        from sklearn.model_selection import KFold, StratifiedKFold

        text_of_row, classes = texts.distinct(rows)
        if self.stratify:
            texts.check_classes(rows, classes, at_least=folds)
        kind = StratifiedKFold if self.stratify else KFold
        splitter = kind(folds, shuffle=True, random_state=self.seed)
        try:
            cut = list(splitter.split(classes, classes))[self.fold][1]
        except ValueError as error:
            raise UserError(
                f"split.folds={folds} is not possible: {format_reason(error)}."
            ) from error
        is_cut = np.isin(text_of_row, cut)
        return rows[~is_cut], rows[is_cut]


def _select_named_parts(rows: np.ndarray, official: np.ndarray) -> dict[Part, np.ndarray]:
    """Return the rows of each official part."""
    each = {part: rows[official[rows] == number] for number, part in enumerate(PARTS)}
    return {part: named for part, named in each.items() if len(named) or part == "train"}


def _allocate_per_class(count: int, available: np.ndarray) -> np.ndarray:
    """Allocate `count` rows to classes in proportion to `available`, at least one to each.

    Args:
        available: [classes] available rows, in total more than `count`
    """
    exact = count * available / available.sum()
    shares = np.maximum(np.floor(exact).astype(int), available > 0)
    while (missing := count - shares.sum()) > 0:  # largest remainder method
        behind = np.argsort(shares - exact, kind="stable")
        behind = behind[shares[behind] < available[behind]][:missing]
        shares[behind] += 1
    while (excess := shares.sum() - count) > 0:  # take from the most over-represented
        ahead = np.argsort(exact - shares, kind="stable")
        ahead = ahead[shares[ahead] > 1][:excess]
        shares[ahead] -= 1
    return shares
