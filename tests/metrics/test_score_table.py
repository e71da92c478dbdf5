"""The table of scores in the terminal."""

import io

from seqtext.display import build_console
from seqtext.metrics.score_table import MAX_CLASSES, build_score_table


def printed(title: str, columns: dict) -> str:
    stream = io.StringIO()
    build_console(stream, width=200).print(build_score_table(title, columns))
    return stream.getvalue()


def test_names_are_no_markup():
    text = printed("rnn on [/red]\x1b", {"test": {"recall_[/bold]": 0.5, "recall_:smile:\n": 1.0}})
    assert "rnn on [/red]\ufffd" in text
    assert "recall_[/bold] │ 0.5000" in text
    assert "recall_:smile: │ 1.0000" in text
    assert "recall_" + "x" * 53 + " ... " in printed("", {"test": {f"recall_{'x' * 999}": 0.5}})


def test_of_many_classes_the_first_have_a_row():
    scores = {"loss": 1.0, **{f"recall_{number}": 0.5 for number in range(1001)}, "mcc": 0.25}
    lines = printed("", {"validation": scores}).splitlines()
    assert sum("recall_" in line for line in lines) == MAX_CLASSES
    assert any("and of 981 more classes" in line for line in lines)
    assert any("mcc" in line for line in lines)


def test_a_missing_score_is_a_dash():
    text = printed("", {"validation": {"recall_a": None}, "test": {"recall_b": 0.5}})
    assert [line.split() for line in text.splitlines() if "recall" in line] == [
        ["│", "recall_a", "│", "–", "│", "–", "│"],
        ["│", "recall_b", "│", "–", "│", "0.5000", "│"],
    ]
