"""Printed and plotted statistics of a data set."""

import io
import warnings
from dataclasses import replace

import pytest

from seqtext.data.statistics import (
    WORDS_PER_CLASS,
    ClassStatistics,
    DatasetStatistics,
    Example,
    LengthStatistics,
)
from seqtext.display import build_console, replace_unencodable
from seqtext.figures import data as module
from seqtext.figures.data import (
    plot_frequent_words,
    plot_statistics,
    print_statistics,
)
from seqtext.figures.files import to_png

EDGES = [0, 10, 20, 30, 500]


def lengths(rows: int, mean: float) -> LengthStatistics:
    if not rows:
        return LengthStatistics(0, None, None, None, [0, 0, 0, 0])
    return LengthStatistics(rows, mean, [mean - 5, mean - 1, mean + 5], 456, [0, rows - 2, 1, 1])


def invented(
    names: list[str], rows: list[int], shown: int = 20, word: str = "word"
) -> DatasetStatistics:
    """Compute statistics with rows[i] training rows of class i; the first `shown` are described."""
    return DatasetStatistics(
        class_names=names,
        rows={"train": rows, "val": [10 for _ in rows], "test": [20 for _ in rows]},
        edges=EDGES,
        before=lengths(sum(rows) - 1, 17.5),
        after=lengths(sum(rows), 16.5),
        classes=[
            ClassStatistics(
                number=number,
                name=name,
                before=lengths(rows[number], 18.25),
                after=lengths(rows[number], 15.75),
                frequent={"the": 900, f"often{number}": 90} if rows[number] else {},
                distinctive_words={f"{word}{number}": 9.87, "less": 7.21} if rows[number] else {},
            )
            for number, name in enumerate(names[:shown])
        ],
        vocabulary=1234,
        words=98765,
        known=0.9713,
        examples=[
            Example(
                7, names[0], f"As [bold]written[/bold] :smile: {'on and on ' * 100}", "as <unk>"
            )
        ],
    )


@pytest.fixture
def printed(capsys, monkeypatch):
    def show(statistics: DatasetStatistics, width: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        print_statistics(statistics, "haiku")
        return capsys.readouterr().out

    return show


def test_printed_numbers(printed):
    text = printed(invented(["winter", "summer"], [3000, 1000]))
    flat = " ".join(text.replace("|", " ").split())
    for piece in (
        "haiku",
        "winter 3,000 (75.0%) 10 (50.0%) 20 (50.0%)",
        "summer 1,000 (25.0%)",
        "all 4,000 20 40",
        "winter as written 18.2 13 17 23 456 as a model reads it 15.8",
        "the, often0 word0 9.9, less 7.2",
        "the, often1 word1 9.9, less 7.2",
        "3,999 texts drawn from 4,000 training texts",
        "1,234 tokens holds 97.13% of the 98,765 tokens of the training texts",
        "Row 8, class winter",
        "as written: As [bold]written[/bold] :smile: on and on",
        "as a model reads it: as <unk>",
    ):
        assert piece in flat
    assert text.isascii()
    assert text.count("on and on") < 40
    assert "largest" not in text


@pytest.mark.parametrize("width", [50, 80])
def test_nothing_is_wider_than_the_terminal(printed, width):
    names = [f"a rather long name of class number {number}" for number in range(30)]
    text = printed(invented(names, [100] * 30, word="http://very.long.example/" * 4), width)
    assert max(map(len, text.splitlines())) <= width
    assert "The 20 largest of 30 classes." in text
    assert text.count("7.2") == 20, "long cells are folded, not cut"


def test_a_terminal_gets_lines_and_no_control_characters(monkeypatch):
    screen = io.StringIO()
    options = {"force_terminal": True, "width": 90}
    monkeypatch.setattr(module, "build_console", lambda: build_console(screen, **options))
    print_statistics(invented(["a\x9b2J", "b\x1b[2J"], [30, 10], word="ð\x9f"), "haiku")
    assert "┃" in screen.getvalue()
    assert "\x9b" not in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
    assert "\x9f" not in screen.getvalue()
    assert "ð\ufffd0 9.9" in screen.getvalue()


def test_what_a_pipe_cannot_take_is_replaced(monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", pipe)
    replace_unencodable()
    print_statistics(invented(["été", "hiver"], [30, 10]), "haïku")
    pipe.flush()
    assert b"?t? " in pipe.buffer.getvalue()


def test_class_without_training_rows_is_printed(printed):
    text = printed(invented(["winter", "summer"], [3000, 0]))
    assert "| summer | as written          |    - |    - |      - |    - |       - |" in text


def test_class_share_bars():
    figure = plot_statistics(invented(["winter", "summer"], [3000, 1000]))["class_shares"]
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25, 0.5, 0.5, 0.5, 0.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["winter", "summer"]
    assert "75.0% (3,000)" in [text.get_text() for text in axes.texts]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == [
        "training, 4,000 rows",
        "validation, 20 rows",
        "test, 40 rows",
    ]


def test_length_panels():
    figure = plot_statistics(invented(["winter", "summer"], [3000, 0]))["text_lengths"]
    before, after, *without = figure.axes
    assert before.get_title("left") == "winter"
    assert before.get_title("right") == "mean 18.2, longest 456"
    assert [line.get_xdata()[0] for line in before.lines] == [18.25, 13.25, 17.25, 23.25]
    assert [line.get_xdata()[0] for line in after.lines] == [15.75, 10.75, 14.75, 20.75]
    (steps,) = before.patches
    assert steps.get_data().values.tolist() == [0, 2998 / 3000, 1 / 3000]
    assert before.get_xlim() == (0, 30), "the bin of the few longest texts is not drawn"
    assert [axes.get_title("right") for axes in without] == ["no texts", "no texts"]


def test_distinctive_word_panels():
    figure = plot_statistics(invented(["winter", "summer"], [3000, 1000]))["distinctive_words"]
    assert [axes.get_title() for axes in figure.axes] == ["winter", "summer"]
    for number, axes in enumerate(figure.axes):
        assert [bar.get_width() for bar in axes.patches] == [9.87, 7.21]
        assert [label.get_text() for label in axes.get_yticklabels()] == [f"word{number}", "less"]
        assert axes.yaxis_inverted(), "the most distinctive word is on top"


def test_frequent_word_panels():
    figure = plot_frequent_words(invented(["winter", "summer"], [3000, 1000]))
    for number, axes in enumerate(figure.axes):
        assert [bar.get_width() for bar in axes.patches] == [900, 90]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["the", f"often{number}"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_only_the_first_of_many_words_are_shown(printed):
    many = {f"w{number}": 100.0 - number for number in range(30)}
    statistics = invented(["winter"], [3000])
    (one,) = statistics.classes
    statistics = replace(statistics, classes=[replace(one, frequent=many, distinctive_words=many)])
    (axes,) = plot_statistics(statistics)["distinctive_words"].axes
    assert len(axes.patches) == WORDS_PER_CLASS
    (axes,) = plot_frequent_words(statistics).axes
    assert len(axes.patches) == WORDS_PER_CLASS
    text = printed(statistics)
    assert "w9" in text
    assert "w10" not in text


def test_many_classes():
    figures = plot_statistics(invented([f"c{n}" for n in range(30)], list(range(10, 40))))
    assert len(figures["class_shares"].axes[0].patches) == 60
    assert figures["class_shares"].get_suptitle() == "The 20 largest of 30 classes."
    left = figures["text_lengths"].axes[::2]
    assert [axes.get_title("left") for axes in left] == [f"c{n}" for n in range(14, 20)]
    assert [axes.get_title() for axes in figures["distinctive_words"].axes] == [
        f"c{n}" for n in range(14, 20)
    ]
    assert figures["distinctive_words"].get_suptitle() == "The 6 largest of 30 classes."


@pytest.mark.parametrize("classes", [1, 2, 3, 4, 5])
def test_figures_have_a_panel_for_each_class(classes):
    figures = plot_statistics(invented([f"c{n}" for n in range(classes)], [9] * classes))
    assert len(figures["distinctive_words"].axes) == classes
    assert len(figures["text_lengths"].axes) == 2 * classes


def test_any_name_and_word_is_drawn(tmp_path):
    """Dollar signs are no formulas, and characters that the font lacks are replaced."""
    strange = invented(["$a_ $b^ {", "日本 \x9f"], [30, 0], word="$^$ 日")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in plot_statistics(strange).items():
            figure.savefig(tmp_path / f"{name}.png")
            assert (tmp_path / f"{name}.png").stat().st_size > 5000
    labels = plot_statistics(strange)["distinctive_words"].axes[0].get_yticklabels()
    assert labels[0].get_text() == "$^$ \ufffd0"
