"""CSV files: quotes, rows of other lengths, line ends, and warnings."""

import csv
import io

import pytest

from seqtext.data import formats
from seqtext.data.table_reader import TableReader
from seqtext.errors import UserError


def read(tmp_path, content: str | bytes, name: str = "a.csv", columns=("text", "label"), **options):
    """Return texts, labels and warnings."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    warnings: list[str] = []
    blocks = list(TableReader(path, **options, warn=warnings.append).read_columns(columns))
    texts, labels = ([v for b in blocks for v in b.column(n).to_pylist()] for n in (0, 1))
    assert [n for b in blocks for n in b["row"].to_pylist()] == list(range(len(texts)))
    return texts, labels, warnings


def refused(tmp_path, *arguments, **options) -> str:
    with pytest.raises(UserError) as failure:
        read(tmp_path, *arguments, **options)
    return str(failure.value)


def written_by_csv(rows, separator: str = "\t", **options) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n", **options).writerows(rows)
    return stream.getvalue()


STRAY = ['"warm start', "fine lamp", '"crisp" lamp', 'it is "so" so', '27" screen', 'end"', '"all"']


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_stray_quotes_of_a_tab_separated_file_are_a_part_of_its_texts(tmp_path, order):
    names = ["text", "label"]
    rows = [names, *([text, "ab"[n % 2]] for n, text in enumerate(STRAY))]
    content = "".join("\t".join(row[n] for n in order) + "\n" for row in rows)
    texts, labels, warnings = read(tmp_path, content, "a.tsv")
    assert (texts, labels) == (STRAY, [row[1] for row in rows[1:]])
    assert len(warnings) == 1
    assert "quotes are read as a part of the texts" in warnings[0]
    assert "dataset.quoting=minimal" in warnings[0]
    assert read(tmp_path, content, "a.tsv", quoting="none") == (texts, labels, [])
    assert "closing quote" in refused(tmp_path, content, "a.tsv", quoting="minimal")


@pytest.mark.parametrize(
    "lines",
    [
        ['"warm start', 'fine end"'],  # closed where a column ends, two rows further down
        ['"one" and only'],
        ['"warm', 'start"', "plain"],
        ['"a whole text"', "and one without"],
    ],
)
def test_quotes_of_texts_that_look_like_quoting(tmp_path, lines):
    content = "label\ttext\n" + "".join(f"a\t{line}\n" for line in lines)
    texts, _, warnings = read(tmp_path, content, "a.tsv")
    assert texts == lines
    assert len(warnings) == 1


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("text", ['so "so"', "tab\tor", "two\nlines", "two\r\n\nlines\tand", ""])
def test_a_tab_separated_file_of_a_csv_writer(tmp_path, quoting, text):
    rows = [["text", "n", "label"], [text, 1, "a"], ["plain", 2, "b"], [text, 3, ""]]
    texts, labels, warnings = read(tmp_path, written_by_csv(rows, quoting=quoting), "a.tsv")
    assert texts == [text, "plain", text]
    assert labels == ["a", "b", ""]
    assert not warnings


def test_quotes_within_tab_separated_texts_need_no_word(tmp_path):
    content = 'label\ttext\na\tit is "so" so\n\nb\t27" screen\n'
    texts, _, warnings = read(tmp_path, content, "a.tsv")
    assert texts == ['it is "so" so', '27" screen']
    assert not [w for w in warnings if "quotes are" in w]


def test_malformed_quotes_name_row_and_option(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 3)
    good = "text,label\n" + '"good, ""very""\nso",a\n' * 5
    told = refused(tmp_path, good + '"warm" lamp,a\n')
    assert "row 6: a column goes on after its closing quote" in told
    assert "dataset.quoting=none" in told
    assert "dataset.escapechar=backslash" in told
    told = refused(tmp_path, good + '"warm lamp,a\ncold,b\n"crisp" lamp,b\n')
    assert "row 6: a column goes on after" in told
    assert "row 6: a quote is opened and never closed" in refused(tmp_path, good + '"warm,a\nb,a\n')
    assert "the first row: a quote is opened" in refused(tmp_path, '"text,label\na,b\n')


def test_backslashes_before_quotes(tmp_path):
    content = 'text,label\n"a 27\\" screen",a\n"he said \\"so\\"",b\n"27\\"",a\n'
    assert "escapechar=backslash" in refused(tmp_path, content)
    texts, labels, _ = read(tmp_path, content, escapechar="\\")
    assert texts == ['a 27" screen', 'he said "so"', '27"']
    assert labels == ["a", "b", "a"]
    tabs = content.replace(",", "\t")
    assert read(tmp_path, tabs, "a.tsv", escapechar="\\")[0] == texts


def test_rows_that_span_lines(tmp_path):
    content = "text,label\n" + "plain,a\n" * 8 + '"two\nlines",b\n' + "plain,a\n"
    texts, _, warnings = read(tmp_path, content)
    assert texts[8] == "two\nlines"
    assert len(warnings) == 1
    assert "1 of 10 rows span several lines, the first is row 9" in warnings[0]
    assert "dataset.quoting=none" in warnings[0]
    assert not read(tmp_path, "text,label\n" + '"two\nlines",b\n' * 5 + "plain,a\n")[2]


def test_widths(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 2)
    texts, labels, warnings = read(tmp_path, "text,label\na,x\nb\nc,y,,\nd,z\n")
    assert (texts, labels) == (["a", "b", "c", "d"], ["x", "", "y", "z"])
    assert len(warnings) == 1
    assert "1 of 4 rows have fewer columns" in warnings[0]
    assert "the first is row 2" in warnings[0]
    assert "row 4: 3 columns where" in refused(tmp_path, "text,label\na,x\nb\nc,y,\nd,z,u\n")


def test_empty_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 2)
    texts, _, warnings = read(tmp_path, "\ntext,label\na,x\n\n \nb,y\nc,y\n\n\n")
    assert texts == ["a", "b", "c"]
    assert len(warnings) == 1
    assert "2 empty lines are no rows; the first precedes row 2" in warnings[0]
    path = tmp_path / "one.csv"
    path.write_text('text\na\n\n""\n\nb\n')
    (column,) = [
        [v for b in TableReader(path).read_columns(["text"]) for v in b.column(0).to_pylist()]
    ]
    assert column == ["a", "", "", "", "b"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_line_ends(tmp_path, end, name):
    separator = "\t" if name == "a.tsv" else ","
    lines = [f"text{separator}label", f"a{separator}x", f"b{separator}y"]
    for last in ("", end):
        texts, labels, warnings = read(tmp_path, end.join(lines) + last, name)
        assert (texts, labels, warnings) == (["a", "b"], ["x", "y"], [])


def test_very_long_fields(tmp_path):
    long = "x" * 200_000
    assert read(tmp_path, f"{long},label\n{long},a\n", columns=[0, 1])[0] == [long]


@pytest.mark.parametrize(
    ("header", "columns", "is_told"),
    [
        ("text,label", [0, 1], False),
        ("a text,y", [0, 1], True),
        ("a text,y", [-2, "y"], False),
        ("0,1", [0, 1], False),
        ("a text,1", [0, 1], True),  # its label is the number of its column
    ],
)
def test_a_header_that_is_a_row(tmp_path, header, columns, is_told):
    label = header.split(",")[1]
    content = header + "\n" + "one,0\ntwo,1\nthree,y\n"
    warnings = read(tmp_path, content, columns=columns)[2]
    assert len(warnings) == is_told
    assert not is_told or f"{label!r} is in column 1 of other rows too" in warnings[0]
    assert not is_told or "dataset.header=false" in warnings[0]


def test_numbers_that_are_names(tmp_path):
    """Column names that are numbers, as pandas writes a frame with an index and no names."""
    content = ",0,1\n5,a,x\n6,b,1\n"
    assert read(tmp_path, content, columns=[0, 1]) == (["a", "b"], ["x", "1"], [])


def test_a_row_of_data_that_names_a_number(tmp_path):
    said = refused(tmp_path, "a text,0\nanother,1\n", columns=[0, 1])
    assert "0 and 1 are one column" in said
    assert "dataset.header=false" in said


@pytest.mark.parametrize("columns", [[0, "text"], ["label", -1]])
def test_a_column_by_name_and_number(tmp_path, columns):
    assert "are one column: drop one" in refused(tmp_path, "text,label\na,x\n", columns=columns)


@pytest.mark.parametrize(
    ("encoding", "mark", "named"),
    [
        ("utf-8", "\ufeff", "utf-8"),
        ("utf-16-le", "\ufeff", "utf-16-le"),
        ("utf-16-be", "\ufeff", "utf-16-be"),
        ("utf-16-be", "\ufeff", "utf-16"),
        ("utf-16-le", "", "utf-16"),
        ("utf-32-le", "\ufeff", "utf-32-le"),
        ("utf-32-be", "\ufeff", "utf-32"),
        ("utf-16-le", "\ufeff", "utf-8"),  # what PowerShell writes, and nothing was said
        ("utf-32-be", "\ufeff", "utf-8"),
    ],
)
def test_byte_order_marks(tmp_path, encoding, mark, named):
    for name, content in (
        ("a.csv", "text,label\né 🎬,a\n"),
        ("a.jsonl", '{"text": "é 🎬", "label": "a"}\n'),
        ("a.json", '[{"text": "é 🎬", "label": "a"}]'),
    ):
        found = read(tmp_path, (mark + content).encode(encoding), name, encoding=named)
        assert found == (["é 🎬"], ["a"], []), name


def test_the_line_that_is_in_another_encoding(tmp_path):
    content = "text,label\r\na,x\r\n".encode("utf-16") + b"\x00\xd8\x20\x00"
    assert "a.csv, line 3, is not utf-16 text" in refused(tmp_path, content, encoding="utf-16")
