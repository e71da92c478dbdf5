"""Summarize a comparison in sentences: groups that differ, groups that were not compared."""

from collections.abc import Sequence

from seqtext.display import count_noun
from seqtext.metrics.definitions import get_metric_mode
from seqtext.reporting.pairwise import (
    DIFFERENT,
    NOT_SIGNIFICANT,
    SIGNIFICANCE_LEVEL,
    UNDECIDED,
    Comparison,
    PairwiseResult,
)
from seqtext.reporting.sample_sizes import estimate_sample_sizes, format_rows


def summarize_significance(comparison: Comparison) -> list[str]:
    """Return sentences on significant differences, and on groups that were not compared."""
    sentences = []
    if comparison.pairs:
        best = _summarize_best(comparison)
        sentences = [best, *_summarize_pairs(comparison), *_summarize_needed_samples(comparison)]
    return sentences + _summarize_constant(comparison) + _summarize_excluded(comparison)


def _summarize_pairs(comparison: Comparison) -> list[str]:
    pairs = comparison.pairs
    counts = {
        word: sum(pair.verdict == word for pair in pairs)
        for word in (DIFFERENT, NOT_SIGNIFICANT, UNDECIDED)
    }
    sentences = []
    if len(pairs) > 1:
        parts = [f"{count_noun(len(pairs), 'pair')} of settings: {counts[DIFFERENT]} different"]
        parts += [f"{counts[NOT_SIGNIFICANT]} not significant"] if counts[NOT_SIGNIFICANT] else []
        parts += [f"{counts[UNDECIDED]} undecided"] if counts[UNDECIDED] else []
        sentences.append(f"{', '.join(parts)}.")
    sentences.append(
        f"Different: p below {SIGNIFICANCE_LEVEL} after Holm's correction, on {comparison.rows:,} "
        "test rows and over the runs of each setting. Not significant does not mean equal."
    )
    if counts[UNDECIDED]:
        sentences.append(
            "Undecided: the test rows alone would show such a difference, but scores vary too much "
            "between seeds (or folds): more of them would decide it."
        )
    if any(len(group.runs) == 1 and not group.is_baseline for group in comparison.groups):
        sentences.append(
            "Settings with one run (n = 1) are tested over rows only: another seed may change "
            "them by more."
        )
    return sentences


def _summarize_best(comparison: Comparison) -> str:
    """Compare the best group by validation with all others."""
    groups = comparison.groups
    first = min(pair.first for pair in comparison.pairs)
    against = {n: pair for n in range(len(groups)) if (pair := comparison.get_pair(first, n))}
    sign = -1 if get_metric_mode(comparison.metric) == "min" else 1
    of = {
        word: [groups[n].label for n, pair in against.items() if pair.verdict == word]
        for word in (NOT_SIGNIFICANT, UNDECIDED)
    }
    better, worse = (
        [groups[n].label for n, p in against.items() if p.is_significant and s * p.difference > 0]
        for s in (sign, -sign)
    )
    parts = []
    if better:
        whom = "the other" if len(against) == 1 else f"{len(better)} of {len(against)} others"
        parts += [f"is better than {whom}"]
    parts += [f"is worse than {_join_names(worse)}"] if worse else []
    if of[NOT_SIGNIFICANT]:
        parts += [f"does not differ significantly from {_count_names(of[NOT_SIGNIFICANT])}"]
    if of[UNDECIDED]:
        parts += [
            f"cannot be judged against {_count_names(of[UNDECIDED])}, as the spread over runs is "
            "too large"
        ]
    conclusions = "; it ".join(parts)
    among = " of these" if first else ""  # groups before it were evaluated on other rows
    best = f"{groups[first].label}, the best{among} by validation"
    return f"In test {comparison.metric}, {best}, {conclusions}."


def _summarize_needed_samples(comparison: Comparison) -> list[str]:
    """Say how many runs or test rows would tell the best group by validation from the others."""
    first = min(pair.first for pair in comparison.pairs)
    pairs = [p for n in range(len(comparison.groups)) if (p := comparison.get_pair(first, n))]
    undecided = [pair for pair in pairs if not pair.is_significant]
    name = comparison.groups[first].label
    sentences = []
    if parts := [_describe_needed_samples(comparison, p) for p in undecided if p.difference]:
        sentences.append(
            f"If the differences stay as measured, {name} would be different from "
            f"{'; from '.join(parts)}."
        )
    if equal := [comparison.groups[p.second].label for p in undecided if not p.difference]:
        sentences.append(f"{name} has the same score as {_join_names(equal)}.")
    return sentences


def _describe_needed_samples(comparison: Comparison, pair: PairwiseResult) -> str:
    label = f"{comparison.groups[pair.second].label} (difference {pair.difference:+.4f})"
    needed = estimate_sample_sizes(pair, len(comparison.pairs))
    ways = []
    if needed.runs is not None:
        present = min(known for _, known in pair.over_runs)
        each = " of each" if len(pair.over_runs) == 2 else ""
        ways.append(f"with about {needed.runs} runs{each} (now {present})")
    if needed.row_factor is not None:
        rows = format_rows(comparison.rows, needed.row_factor)
        ways.append(f"with about {rows} test rows (now {comparison.rows:,})")
    if not ways and needed.both_factor is not None:
        ways.append(f"with about {needed.both_factor:.0f} times as many runs and test rows")
    return f"{label} {' or '.join(ways) or 'with more runs and test rows than can be had'}"


def _summarize_constant(comparison: Comparison) -> list[str]:
    """Name the groups that predict one class for all test rows in every run."""
    constant = [
        group.label
        for group in comparison.groups
        if group.predictions and all(len({*p.predicted}) == 1 for p in group.predictions)
    ]
    if not constant:
        return []
    predict = "predicts" if len(constant) == 1 else "predict"
    return [
        f"{_join_names(constant)} {predict} one class for all test rows in every run, so that the "
        "scores mean nothing: train for more steps, or with another learning rate."
    ]


def _summarize_excluded(comparison: Comparison) -> list[str]:
    reasons = (
        (comparison.excluded_other_rows, "they were evaluated on other test rows"),
        (comparison.excluded_no_predictions, "their predictions are missing or damaged"),
        (comparison.excluded_no_metric, f"their predictions do not give {comparison.metric}"),
    )
    return [
        f"Not compared, as {reason}: {_join_names([comparison.groups[n].label for n in places])}."
        for places, reason in reasons
        if places
    ]


def _count_names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} ({_join_names(names)})"


def _join_names(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
