"""Summarize a prepared data set for the log."""

import logging
from typing import Any

from seqtext.data.coverage import describe_coverage
from seqtext.display import count_noun, name_classes

log = logging.getLogger("seqtext.datasets.base")

MAX_CLASSES = 20  # classes in a log line


def log_summary(data: Any) -> None:
    """Log notes, duplicates, coverage and class counts of a `TextDataModule` after `setup`.

    Warnings are also appended to `data.warnings`.
    """

    def warn(warning: str) -> None:
        data.warnings.append(warning)
        log.warning("  %s", warning)

    dataset = data.dataset
    for note in dataset.rows.notes:
        log.info("  %s", note)
    for warning in dataset.rows.warnings:
        warn(warning)
    for note in dataset.notes:
        log.info("  %s", note)
    duplicates = dataset.duplicate_stats
    if duplicates.rows or duplicates.cleaned:
        log.info(
            "  %s an earlier text as written, %s more after cleaning (duplicates=%s); "
            "%s different labels.",
            count_noun(duplicates.rows, "row repeats", "rows repeat"),
            f"{duplicates.cleaned:,}",
            data.duplicates,
            count_noun(duplicates.conflicting, "text has", "texts have"),
        )
    if data.reads_vocabulary:
        train, val = dataset.coverage["train"].unknown, dataset.coverage["val"].unknown
        log.info(
            "  %s: %s; unknown are %.1f %% of the tokens of the training part and %.1f %% of those "
            "of the validation part.",
            type(data.tokenizer).__name__,
            count_noun(len(data.vocabulary), "token"),
            100 * train,
            100 * val,
        )
    reads_vocabulary = data.reads_vocabulary and not data.keep_unknown
    for warning in describe_coverage(dataset.coverage, data.cleaning.steps, reads_vocabulary):
        warn(warning)
    if duplicates.in_test:
        rows = count_noun(duplicates.in_test, "test row has", "test rows have")
        warn(f"{rows} a text that is also in the training or validation part.")
    if len(data.training_rows) != len(dataset.parts["train"]):
        log.info(
            "  sampling=%s trains on %s.",
            data.sampling,
            count_noun(len(data.training_rows), "row"),
        )
    for part, counts in data.rows().items():
        names = [name if any(map(str.isalpha, name)) else f"'{name}'" for name in counts]
        named = zip(name_classes(names), counts.values(), strict=True)
        shown = [f"{count} {name}" for name, count in named][:MAX_CLASSES]
        shown += ["…"] * (len(counts) > MAX_CLASSES)
        total = sum(counts.values())
        noun = "row: " if total == 1 else "rows:"
        log.info("  %-5s %6d %s %s", part, total, noun, ", ".join(shown))
