"""Tables of results: marks, order, references, and three formats."""

import pytest

from seqtext.reporting.groups import group_runs
from seqtext.reporting.latex import escape_latex, format_latex_table
from seqtext.reporting.markdown import format_markdown_table
from seqtext.reporting.published_results import PublishedResult, load_published_results
from seqtext.reporting.results_table import (
    UNKNOWN,
    build_table,
    collect_footnotes,
    to_dataframe,
)
from seqtext.reporting.runs import read_runs
from tests.reporting.fake_runs import write_run


@pytest.fixture
def groups(tmp_path):
    for seed in (0, 1):
        for units, quality in ((8, 0.5), (16, 2.0)):
            write_run(tmp_path / f"{units} {seed}", "gru", seed, quality, {"model.units": units})
    write_run(tmp_path / "tfidf", "tfidf", quality=1.2)
    return group_runs(read_runs([tmp_path])[0], "accuracy")[0]


OTHER = PublishedResult("study 9", "imdb", "lstm", "", "a fault", {"test/accuracy": 0.999})


def test_rows_and_marks(groups):
    made = build_table(groups, [OTHER], "accuracy")
    assert made.columns[:5] == ["val acc.", "test acc.", "n", "training", "parameters"]
    assert [row.label for row in made.rows] == [
        "gru units=16", "tfidf", "gru units=8", "study 9: lstm",
    ]  # fmt: skip
    assert [row.kind for row in made.rows] == ["ours", "reference", "ours", "reported"]
    assert [row.cells[1].best for row in made.rows] == [True, False, False, False]
    assert [row.cells[2].text for row in made.rows] == ["2", "1", "2", "1"]
    assert [row.cells[1].text for row in made.rows][3] == "0.999"
    assert " ± " in made.rows[0].cells[0].text
    assert " ± " not in made.rows[1].cells[0].text  # one run has no spread
    assert collect_footnotes(made) == ["study 9: a fault."]


def test_tokenizers_are_shown_with_their_vocabulary(tmp_path):
    for tokenizer, size in (("words", 3977), ("bpe", 2467)):
        options = {"tokenizer.max_length": size}
        facts = {"choices": {"tokenizer": tokenizer}, "vocabulary_size": size}
        write_run(tmp_path / tokenizer, "gru", 0, 1.0, options, **facts)
    made = build_table(group_runs(read_runs([tmp_path])[0], "accuracy")[0], [OTHER], "accuracy")
    assert made.columns[4:6] == ["parameters", "vocabulary"]
    assert {row.cells[5].text for row in made.rows} == {"3,977", "2,467", UNKNOWN}


def test_a_loss_is_best_where_it_is_lowest(groups):
    cells = [row.cells[0] for row in build_table(groups, [], "loss").rows]
    values = [float(cell.text.split(" ± ")[0]) for cell in cells]
    assert [cell.best for cell in cells] == [value == min(values) for value in values]


def test_markdown(groups):
    lines = format_markdown_table(build_table(groups, [OTHER], "accuracy")).splitlines()
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| gru units=16 | **")
    assert lines[3].startswith("| *tfidf* | ")


def test_latex(groups):
    made = format_latex_table(build_table(groups, [OTHER], "accuracy"), "50 % & more")
    body = made.split(r"\midrule")
    assert len(body) == 3  # head, ours, reported
    labels = [line.partition(" & ")[0].strip() for line in body[1].strip().splitlines()]
    assert labels == ["gru units=16", "tfidf", "gru units=8"]  # best by validation first
    assert "study 9" in body[2]
    assert r"\textbf{" in body[1]
    assert r"$\pm$" in body[1]
    assert r"\caption{50 \% \& more}" in made
    rows = [line for line in made.splitlines() if line.endswith(r"\\")]
    assert {row.count(" & ") for row in rows} == {7}


def test_special_characters_stand_for_themselves():
    assert escape_latex(r"a_b\c 5% {x} ±~^") == (
        r"a\_b\textbackslash{}c 5\% \{x\} $\pm$\textasciitilde{}\textasciicircum{}"
    )


def test_frame_has_everything_in_numbers(groups):
    numbers = to_dataframe("imdb", groups, [OTHER]).set_index("label")
    best = numbers.loc["gru units=16"]
    assert best["test/auroc/mean"] == pytest.approx(groups[0].mean("test", "auroc"))
    assert best["val/f1/std"] == pytest.approx(groups[0].std("val", "f1"))
    assert (best["n"], best["model.units"]) == (2, "16")
    assert numbers.loc["study 9: lstm", "test/accuracy/mean"] == 0.999


def test_the_studies_numbers():
    """Spot checks against the file; every row has a note on its errors or its source."""
    imdb = {other.label: other for other in load_published_results("imdb")}
    assert imdb["study 4: gru, 32 units, batch 64"].scores == {
        "test/accuracy": 0.863,
        "test/auroc": 0.939,
    }
    assert "diverges" in imdb["study 4: lstm, 64 units, batch 32"].note
    assert sum(label.startswith("study 4") for label in imdb) == 18
    for name in ("spam", "amazon", "tweets", "clothing"):
        others = load_published_results(name)
        assert any(other.study == "measured" for other in others)
        assert all(other.note for other in others)
        assert all(0 < value <= 1 for other in others for value in other.scores.values())
    assert load_published_results("mine") == []
