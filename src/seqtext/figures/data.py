"""Print and plot the statistics of a data set."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.console import Console
from rich.table import Table

from seqtext.data.statistics import (
    WORDS_PER_CLASS,
    ClassStatistics,
    DatasetStatistics,
    LengthStatistics,
    find_largest,
)
from seqtext.display import (
    NAME_LENGTH,
    build_console,
    count_noun,
    make_printable,
    name_classes,
    shorten,
)
from seqtext.figures.text import (
    CHARACTER_WIDTH,
    describe_omission,
    draw_text_literally,
    label_classes,
    make_drawable,
)

PANEL_NAME_LENGTH = 24  # characters of a class name above a panel
MAX_PANELS = 6  # maximum number of panels, one per class
WORD_LENGTH, LISTED_WORD_LENGTH = 18, 30  # characters of a word in a figure, in a list
EXCERPT_LENGTH = 300  # characters of an example
PART_TITLES = {"train": "training", "val": "validation", "test": "test"}
SHADES = ("#1f77b4", "#ff7f0e", "#7f7f7f")
MEAN: dict[str, Any] = {"color": "black"}
QUARTILE: dict[str, Any] = {"color": "black", "linestyle": ":"}
STAGES = {"before": "as written", "after": "as a model reads it"}
STAGE_SHADES = {"before": SHADES[2], "after": SHADES[0]}


def print_statistics(statistics: DatasetStatistics, title: str) -> None:
    """Print classes, lengths, words and examples of the data set `title`."""
    console = build_console()
    _print_table(console, title, _build_class_rows(statistics))
    _print_text(console, describe_omission(len(statistics.classes), len(statistics.class_names)))
    _print_table(console, "Words in a training text", _build_length_rows(statistics))
    _print_text(console, _describe_stages(statistics))
    _print_table(console, "Words of the training texts", _build_word_rows(statistics))
    _print_text(
        console,
        "Most distinctive: by the z-score of the log-odds against all other classes. The "
        f"vocabulary of {count_noun(statistics.vocabulary, 'token')} holds "
        f"{statistics.known:.2%} of the {count_noun(statistics.words, 'token')} of the training "
        f"texts{_describe_validation_coverage(statistics)}.",
    )
    names = dict(zip(statistics.class_names, name_classes(statistics.class_names), strict=True))
    for example in statistics.examples:
        _print_text(console, f"\nRow {example.row + 1}, class {names[example.label]}")
        _print_text(console, f"  as written: {shorten(example.text, EXCERPT_LENGTH)}")
        _print_text(console, f"  as a model reads it: {shorten(example.tokens, EXCERPT_LENGTH)}")


def _describe_validation_coverage(statistics: DatasetStatistics) -> str:
    if statistics.known_val is None:
        return ""
    return f", and {statistics.known_val:.2%} of those of the validation part"


def plot_statistics(statistics: DatasetStatistics) -> dict[str, Figure]:
    """Plot class shares, text lengths and words; return figures by file name."""
    return {
        "class_shares": plot_class_shares(statistics),
        "text_lengths": plot_text_lengths(statistics),
        "distinctive_words": plot_distinctive_words(statistics),
    }


def plot_class_shares(statistics: DatasetStatistics) -> Figure:
    """Draw the share of each class in each part, labelled with the number of rows."""
    classes, parts = statistics.classes, list(statistics.rows)
    names = _label_classes(statistics, NAME_LENGTH)
    thickness = 0.8 / len(parts)
    room = CHARACTER_WIDTH * max(0, max(map(len, names.values())) - 15)
    with draw_text_literally(*names.values()):
        size = (7 + room, 1.3 + 0.17 * len(classes) * (len(parts) + 0.7))
        figure = Figure(size, layout="constrained")
        axes = figure.add_subplot(xlabel="share of the part", title="rows of each class")
        longest = 0.0
        for place, (part, shares) in enumerate(statistics.shares().items()):
            chosen = [shares[one.number] for one in classes]
            counts = [statistics.rows[part][one.number] for one in classes]
            offset = (place - (len(parts) - 1) / 2) * thickness
            where = [row + offset for row in range(len(classes))]
            name = f"{PART_TITLES.get(part, part)}, {count_noun(sum(statistics.rows[part]), 'row')}"
            shade = SHADES[place % len(SHADES)]
            longest = max(longest, *chosen)
            bars = axes.barh(where, chosen, thickness, label=name, color=shade)
            labels = [f"{s:.1%} ({n:,})" for s, n in zip(chosen, counts, strict=True)]
            axes.bar_label(bars, labels, padding=3, fontsize=8)
        axes.set_yticks(range(len(classes)), [names[one.number] for one in classes])
        axes.set_ylim(len(classes) - 0.4, -0.6)  # the first class on top
        axes.set_xlim(0, 1.3 * longest)  # room for the labels
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}" if share <= 1 else "")
        figure.legend(loc="outside lower center", ncols=len(parts))
        _add_note(figure, describe_omission(len(classes), len(statistics.class_names)))
    return figure


def plot_text_lengths(statistics: DatasetStatistics) -> Figure:
    """Draw histograms of text lengths before and after cleaning, one row per class."""
    classes, names = (
        _select_largest(statistics.classes),
        _label_classes(statistics, PANEL_NAME_LENGTH),
    )
    with draw_text_literally(*names.values()):
        figure = Figure((10, 1.2 + 1.6 * len(classes)), layout="constrained")
        panels = figure.subplots(len(classes), 2, sharex=True, sharey="col", squeeze=False)
        for line, one in zip(panels, classes, strict=True):
            line[0].set_title(names[one.number], loc="left", fontsize=9)
            line[0].set_ylabel("share of texts")
            for axes, stage in zip(line, STAGES, strict=True):
                _draw_lengths(axes, getattr(one, stage), statistics.edges, STAGE_SHADES[stage])
        for axes in panels[-1]:
            axes.set_xlabel("words in a training text")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        key: list[Artist] = [
            Patch(color=STAGE_SHADES[stage], label=STAGES[stage], alpha=0.5) for stage in STAGES
        ]
        key += [Line2D([], [], **MEAN, label="mean"), Line2D([], [], **QUARTILE, label="quartiles")]
        figure.legend(handles=key, loc="outside lower center", ncols=4)
        _add_note(figure, describe_omission(len(classes), len(statistics.class_names)))
    return figure


def plot_distinctive_words(statistics: DatasetStatistics) -> Figure:
    """Draw the z-scores of the most distinctive words of each class."""
    return _plot_words(
        statistics, "distinctive_words", "z-score of the log-odds against all other classes"
    )


def plot_frequent_words(statistics: DatasetStatistics) -> Figure:
    """Draw the counts of the most frequent words of each class."""
    return _plot_words(statistics, "frequent", "times in the training texts of the class")


def _plot_words(statistics: DatasetStatistics, which: str, meaning: str) -> Figure:
    """Draw a panel of bars per class with the first words of a field of `ClassStatistics`."""
    classes, names = (
        _select_largest(statistics.classes),
        _label_classes(statistics, PANEL_NAME_LENGTH),
    )
    values = [_take_first(getattr(one, which)) for one in classes]
    words = [[make_drawable(word, WORD_LENGTH) for word in of_class] for of_class in values]
    columns = 2 if len(classes) in {2, 4} else min(len(classes), 3)
    lines = -(-len(classes) // columns)
    with draw_text_literally(*names.values(), *chain.from_iterable(words)):
        figure = Figure((3.2 * columns, 0.6 + 2.6 * lines), layout="constrained")
        shared = which == "distinctive_words"  # own axes: counts of a rare class would be too small
        panels = list(figure.subplots(lines, columns, sharex=shared, squeeze=False).flat)
        for axes, one, counts, ticks in zip(panels, classes, values, words, strict=False):
            axes.barh(range(len(ticks)), list(counts.values()), color=SHADES[0])
            axes.set_yticks(range(len(ticks)), ticks)
            axes.set_title(names[one.number], fontsize=10)
            axes.invert_yaxis()
            axes.tick_params(labelbottom=True)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            if not ticks:
                axes.text(0.5, 0.5, "no words", transform=axes.transAxes, ha="center")
        for axes in panels[len(classes) :]:
            axes.remove()
        figure.supxlabel(meaning, fontsize=10)
        _add_note(figure, describe_omission(len(classes), len(statistics.class_names)))
    return figure


def _draw_lengths(axes, lengths: LengthStatistics, edges: Sequence[int], colour: str) -> None:
    bins = len(edges) - 1
    if edges[-1] - edges[-2] > edges[1] - edges[0]:  # the wide last bin
        bins -= 1
    axes.set_xlim(0, edges[bins])
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if not lengths.rows:
        axes.set_title("no texts", loc="right", fontsize=8)
        return
    shares = [count / lengths.rows for count in lengths.counts[:bins]]
    axes.stairs(shares, edges[: bins + 1], fill=True, color=colour, alpha=0.5)
    axes.axvline(lengths.mean, **MEAN)
    for quartile in lengths.quartiles or ():
        axes.axvline(quartile, **QUARTILE)
    numbers = f"mean {lengths.mean:,.1f}, longest {lengths.longest:,}"
    axes.set_title(numbers, loc="right", fontsize=8)


def _select_largest(classes: Sequence[ClassStatistics]) -> list[ClassStatistics]:
    return [classes[i] for i in find_largest([one.after.rows for one in classes], MAX_PANELS)]


def _take_first(words: Mapping[str, float]) -> dict[str, float]:
    return dict(islice(words.items(), WORDS_PER_CLASS))


def _label_classes(statistics: DatasetStatistics, length: int) -> dict[int, str]:
    """Return figure labels of the described classes by class number."""
    labels = label_classes(statistics.class_names, length)
    return {one.number: labels[one.number] for one in statistics.classes}


def _add_note(figure: Figure, text: str) -> None:
    if text:
        figure.suptitle(text, fontsize=9, color="grey")


def _describe_stages(statistics: DatasetStatistics) -> str:
    drawn, rows = statistics.before.rows, statistics.after.rows
    before = "all" if drawn == rows else f"{count_noun(drawn, 'text')} drawn from"
    return (
        f"As written: words between white space, in {before} "
        f"{count_noun(rows, 'training text')}. As a model "
        "reads it: cleaned and cut, in all of them."
    )


def _build_class_rows(statistics: DatasetStatistics) -> Iterator[list[str]]:
    yield ["class", *(PART_TITLES.get(part, part) for part in statistics.rows)]
    shares, names = statistics.shares(), name_classes(statistics.class_names)
    for one in statistics.classes:
        counts = [
            (of[one.number], shares[part][one.number]) for part, of in statistics.rows.items()
        ]
        yield [names[one.number], *(f"{count:,} ({share:.1%})" for count, share in counts)]
    yield ["all", *(f"{sum(of):,}" for of in statistics.rows.values())]


def _build_length_rows(statistics: DatasetStatistics) -> Iterator[list[str]]:
    yield ["class", "", "mean", "25 %", "median", "75 %", "longest"]
    names = name_classes(statistics.class_names)
    described: list[tuple[str, ClassStatistics | DatasetStatistics]] = [
        *((names[one.number], one) for one in statistics.classes),
        ("all", statistics),
    ]
    for name, one in described:
        cell = name
        for stage, meaning in STAGES.items():
            lengths: LengthStatistics = getattr(one, stage)
            numbers = ["-"] * 5
            if lengths.rows:
                numbers = [f"{lengths.mean:,.1f}", *(f"{q:,.0f}" for q in lengths.quartiles or ())]
                numbers.append(f"{lengths.longest:,}")
            yield [cell, meaning, *numbers]
            cell = ""


def _build_word_rows(statistics: DatasetStatistics) -> Iterator[list[str]]:
    yield ["class", "most frequent", "most distinctive"]
    names = name_classes(statistics.class_names)
    for one in statistics.classes:
        frequent = ", ".join(
            shorten(word, LISTED_WORD_LENGTH) for word in _take_first(one.frequent)
        )
        distinctive = ", ".join(
            f"{shorten(word, LISTED_WORD_LENGTH)} {z:.1f}"
            for word, z in _take_first(one.distinctive_words).items()
        )
        yield [names[one.number], frequent, distinctive]


def _print_table(console: Console, title: str, rows: Iterator[list[str]]) -> None:
    """Print rows as a table with a header row; cells that start with a digit are right-aligned."""
    head, *body = ([make_printable(cell) for cell in row] for row in rows)
    table = Table(title=make_printable(title), title_justify="left")
    table.box = box.HEAVY_HEAD if console.is_terminal else box.ASCII
    for name, cell in zip(head, body[0], strict=True):
        is_number = cell[:1].isdigit() and name != "class"
        table.add_column(name, overflow="fold", justify="right" if is_number else "left")
    for row in body:
        table.add_row(*row)
    console.print(table)


def _print_text(console: Console, text: str) -> None:
    if text:
        console.print(text)
