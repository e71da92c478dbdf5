"""What a person sees of a data set before training: tables and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice

from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from rich import box
from rich.console import Console
from rich.table import Table

from seqtext.data.description import WORDS, ClassTexts, Description, Lengths, largest
from seqtext.display import count_noun

PANELS = 6  # classes in a figure with panels for each
NAME, WORD, EXCERPT = 30, 18, 300  # characters of a class name, of a word, of an example
PARTS = {"train": "training", "val": "validation", "test": "test"}
SHADES = ("#1f77b4", "#ff7f0e", "#7f7f7f")
MEAN, QUARTILE = {"color": "black"}, {"color": "black", "linestyle": ":"}
STAGES = {"before": "as written", "after": "as a model reads it"}
STAGE_SHADES = {"before": SHADES[2], "after": SHADES[0]}


def show_description(description: Description, title: str) -> None:
    """Print classes, lengths, words and examples of the data set `title`."""
    # a text is no markup, and holds no names of emoji
    console = Console(highlight=False, markup=False, emoji=False)
    _print_table(console, title, _class_rows(description))
    _print(console, _left_out(description, len(description.classes)))
    _print_table(console, "Words in a training text", _length_rows(description))
    _print(console, _looked_at(description))
    _print_table(console, "Words of the training texts", _word_rows(description))
    _print(
        console,
        "Most telling: by the z-score of the log-odds against all other classes. The "
        f"vocabulary of {count_noun(description.vocabulary, 'word')} holds "
        f"{description.known:.2%} of the "
        f"{count_noun(description.words, 'running word')}.",
    )
    for example in description.examples:
        _print(console, f"\nRow {example.row + 1}, class {_cut(example.label, NAME)}")
        _print(console, f"  as written: {_cut(example.text, EXCERPT)}")
        _print(console, f"  as a model reads it: {_cut(example.tokens, EXCERPT)}")


def description_figures(description: Description) -> dict[str, Figure]:
    """Class shares, lengths, most telling words, by file name."""
    return {
        "class_shares": class_share_figure(description),
        "text_lengths": length_figure(description),
        "telling_words": telling_word_figure(description),
    }


def class_share_figure(description: Description) -> Figure:
    """The share of each class in each part, with rows."""
    classes, parts = description.classes, list(description.rows)
    thickness = 0.8 / len(parts)
    figure = Figure((7, 1.3 + 0.17 * len(classes) * (len(parts) + 0.7)), layout="constrained")
    axes = figure.add_subplot(xlabel="share of the part", title="rows of each class")
    for place, (part, shares) in enumerate(description.shares().items()):
        chosen = [shares[one.number] for one in classes]
        counts = [description.rows[part][one.number] for one in classes]
        where = [row + (place - (len(parts) - 1) / 2) * thickness for row in range(len(classes))]
        name = f"{PARTS.get(part, part)}, {count_noun(sum(description.rows[part]), 'row')}"
        bars = axes.barh(where, chosen, thickness, label=name, color=SHADES[place % len(SHADES)])
        labels = [f"{s:.1%} ({n:,})" for s, n in zip(chosen, counts, strict=True)]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
    axes.set_yticks(
        range(len(classes)), [_drawn(one.name, NAME) for one in classes], parse_math=False
    )
    axes.set_ylim(len(classes) - 0.4, -0.6)  # the first class on top
    axes.set_xlim(0, 1.3 * max(bar.get_width() for bar in axes.patches))  # room for the labels
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}" if share <= 1 else "")
    figure.legend(loc="outside lower center", ncols=len(parts))
    _note(figure, _left_out(description, len(classes)))
    return figure


def length_figure(description: Description) -> Figure:
    """Histograms of the words in a text, before and after cleaning, class below class."""
    classes = _most_frequent(description.classes)
    figure = Figure((10, 1.2 + 1.6 * len(classes)), layout="constrained")
    panels = figure.subplots(len(classes), 2, sharex=True, sharey="col", squeeze=False)
    for line, one in zip(panels, classes, strict=True):
        line[0].set_title(_drawn(one.name, NAME), loc="left", fontsize=9, parse_math=False)
        line[0].set_ylabel("share of texts")
        for axes, stage in zip(line, STAGES, strict=True):
            _draw_lengths(axes, getattr(one, stage), description.edges, STAGE_SHADES[stage])
    for axes in panels[-1]:
        axes.set_xlabel("words in a training text")
    key = [Patch(color=STAGE_SHADES[stage], label=STAGES[stage], alpha=0.5) for stage in STAGES]
    key += [Line2D([], [], **MEAN, label="mean"), Line2D([], [], **QUARTILE, label="quartiles")]
    figure.legend(handles=key, loc="outside lower center", ncols=4)
    _note(figure, _left_out(description, len(classes)))
    return figure


def telling_word_figure(description: Description) -> Figure:
    """The z-scores of the most telling words of each class."""
    return _word_figure(description, "telling", "z-score of the log-odds against all other classes")


def frequent_word_figure(description: Description) -> Figure:
    """How often the most frequent words of each class stand in it."""
    return _word_figure(description, "frequent", "times in the training texts of the class")


def _word_figure(description: Description, which: str, meaning: str) -> Figure:
    """A panel of bars for each class: its first words, by a field of `ClassTexts`."""
    classes = _most_frequent(description.classes)
    columns = 2 if len(classes) in {2, 4} else min(len(classes), 3)
    lines = -(-len(classes) // columns)
    figure = Figure((3.2 * columns, 0.6 + 2.6 * lines), layout="constrained")
    shared = which == "telling"  # counts of a rare class would vanish beside a frequent one's
    panels = list(figure.subplots(lines, columns, sharex=shared, squeeze=False).flat)
    for axes, one in zip(panels, classes, strict=False):
        values = _first(getattr(one, which))
        words = [_drawn(word, WORD) for word in values]
        axes.barh(range(len(words)), list(values.values()), color=SHADES[0])
        axes.set_yticks(range(len(words)), words, parse_math=False)
        axes.set_title(_drawn(one.name, NAME), fontsize=10, parse_math=False)
        axes.invert_yaxis()
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        if not words:
            axes.text(0.5, 0.5, "no words", transform=axes.transAxes, ha="center")
    for axes in panels[len(classes) :]:
        axes.remove()
    figure.supxlabel(meaning, fontsize=10)
    _note(figure, _left_out(description, len(classes)))
    return figure


def _draw_lengths(axes, lengths: Lengths, edges: Sequence[int], colour: str) -> None:
    bins = len(edges) - 1
    if edges[-1] - edges[-2] > edges[1] - edges[0]:  # the few longest texts
        bins -= 1
    axes.set_xlim(0, edges[bins])
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if not lengths.rows:
        axes.set_title("no texts", loc="right", fontsize=8)
        return
    shares = [count / lengths.rows for count in lengths.counts[:bins]]
    axes.stairs(shares, edges[: bins + 1], fill=True, color=colour, alpha=0.5)
    axes.axvline(lengths.mean, **MEAN)
    for quartile in lengths.quartiles:
        axes.axvline(quartile, **QUARTILE)
    numbers = f"mean {lengths.mean:,.1f}, longest {lengths.longest:,}"
    axes.set_title(numbers, loc="right", fontsize=8)


def _most_frequent(classes: Sequence[ClassTexts]) -> list[ClassTexts]:
    return [classes[i] for i in largest([one.after.rows for one in classes], PANELS)]


def _first(words: Mapping[str, float]) -> dict[str, float]:
    return dict(islice(words.items(), WORDS))


def _left_out(description: Description, shown: int) -> str:
    classes = len(description.class_names)
    return f"The {shown} largest of {classes} classes." if shown < classes else ""


def _note(figure: Figure, text: str) -> None:
    if text:
        figure.suptitle(text, fontsize=9, color="grey")


def _looked_at(description: Description) -> str:
    drawn, rows = description.before.rows, description.after.rows
    before = "all" if drawn == rows else f"{count_noun(drawn, 'text')} drawn from"
    return (
        f"As written: words between white space, in {before} "
        f"{count_noun(rows, 'training text')}. As a model "
        "reads it: cleaned and cut, in all of them."
    )


def _class_rows(description: Description) -> Iterator[list[str]]:
    yield ["class", *(PARTS.get(part, part) for part in description.rows)]
    shares = description.shares()
    for one in description.classes:
        counts = [
            (of[one.number], shares[part][one.number]) for part, of in description.rows.items()
        ]
        yield [_cut(one.name, NAME), *(f"{count:,} ({share:.1%})" for count, share in counts)]
    yield ["all", *(f"{sum(of):,}" for of in description.rows.values())]


def _length_rows(description: Description) -> Iterator[list[str]]:
    yield ["class", "", "mean", "25 %", "median", "75 %", "longest"]
    for one in [*description.classes, description]:
        name = _cut(one.name, NAME) if one is not description else "all"
        for stage, meaning in STAGES.items():
            lengths: Lengths = getattr(one, stage)
            numbers = ["-"] * 5
            if lengths.rows:
                numbers = [f"{lengths.mean:,.1f}", *(f"{q:,.0f}" for q in lengths.quartiles)]
                numbers.append(f"{lengths.longest:,}")
            yield [name, meaning, *numbers]
            name = ""


def _word_rows(description: Description) -> Iterator[list[str]]:
    yield ["class", "most frequent", "most telling"]
    for one in description.classes:
        telling = _first(one.telling)
        frequent = ", ".join(_cut(word, NAME) for word in _first(one.frequent))
        telling = ", ".join(f"{_cut(word, NAME)} {z:.1f}" for word, z in telling.items())
        yield [_cut(one.name, NAME), frequent, telling]


def _print_table(console: Console, title: str, rows: Iterator[list[str]]) -> None:
    """The first row is the head; what begins with a digit stands to the right."""
    head, *body = ([_printable(cell, console) for cell in row] for row in rows)
    table = Table(title=_printable(title, console), title_justify="left")
    table.box = box.HEAVY_HEAD if console.is_terminal else box.ASCII
    for name, cell in zip(head, body[0], strict=True):
        justify = "right" if cell[:1].isdigit() and name != "class" else "left"
        table.add_column(name, overflow="fold", justify=justify)
    for row in body:
        table.add_row(*row)
    console.print(table)


def _print(console: Console, text: str) -> None:
    if text:
        console.print(_printable(text, console))


def _printable(text: str, console: Console) -> str:
    """What this terminal or pipe can take: control characters might move a terminal's cursor."""
    plain = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return plain.encode(console.encoding, "replace").decode(console.encoding)


def _cut(text: str, length: int) -> str:
    """On one line, and not much longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length] + " ..."


def _drawn(text: str, length: int) -> str:
    """A name or word, cut, as matplotlib's font can draw it."""
    return "".join(c if ord(c) in _drawable() else "\ufffd" for c in _cut(text, length))


@cache
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont("sans")).get_charmap())
