"""Users' own tables in every format, and error messages about them."""

import bz2
import gzip
import json
import lzma
import re
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqtext.data import formats
from seqtext.data.split import Split
from seqtext.datasets.table import TableDataset
from seqtext.errors import UserError
from tests.conftest import csv_of, invented_reviews

ROWS = invented_reviews(60)
TITLED = [{"title": f"no. {n}", "review": row[0], "mood": row[1]} for n, row in enumerate(ROWS)]


def frame() -> pd.DataFrame:
    return pd.DataFrame(TITLED)


WRITERS = {
    "a.csv": lambda path: frame().to_csv(path, index=False),
    "a.tsv": lambda path: frame().to_csv(path, index=False, sep="\t"),
    "a.jsonl": lambda path: frame().to_json(path, orient="records", lines=True),
    "a.parquet": lambda path: frame().to_parquet(path),
}
PACKERS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def loaded(tmp_path, path, **options) -> TableDataset:
    given = {"text": "review", "label": "mood", "cache": str(tmp_path / "cache")} | options
    data = TableDataset(path=str(path), **given)
    data.setup()
    return data


def written(tmp_path, content: str | bytes, name: str = "my.csv"):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def refused(tmp_path, content: str | bytes, name: str = "my.csv", **options) -> str:
    path = written(tmp_path, content, name)
    with pytest.raises(UserError) as failure:
        loaded(tmp_path, path, **options)
    assert str(path) in str(failure.value)
    assert not str(failure.value).endswith("..")
    return str(failure.value).replace(str(path), name)


def csv(*rows: tuple[str, str]) -> str:
    return csv_of([*ROWS, *rows], header=("review", "mood"))


@pytest.mark.parametrize("packing", [*PACKERS, ".zip", ".GZ", ".ZIP"])
@pytest.mark.parametrize("name", WRITERS)
def test_formats(tmp_path, name, packing):
    WRITERS[name](tmp_path / name)
    content, path = (tmp_path / name).read_bytes(), tmp_path / (name + packing)
    if packing.lower() == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, content)
            archive.writestr(f"__MACOSX/._{name}", b"\0")
    else:
        path.write_bytes(PACKERS[packing.lower()](content))
    data = loaded(tmp_path, path)
    assert data.texts.to_pylist() == [text for text, _ in ROWS]
    assert data.class_names == ["negative", "positive"]
    assert data.labels.tolist() == [int(mood == "positive") for _, mood in ROWS]
    assert data.name == "a"


@pytest.mark.parametrize("name", WRITERS)
def test_columns_by_number_and_joined(tmp_path, name):
    WRITERS[name](tmp_path / name)
    by_name = loaded(tmp_path, tmp_path / name, text=["title", "review"])
    by_number = loaded(tmp_path, tmp_path / name, text=[0, 1], label=2)
    assert by_name.texts.to_pylist() == [f"no. {n} {text}" for n, (text, _) in enumerate(ROWS)]
    assert by_number.texts.to_pylist() == by_name.texts.to_pylist()
    assert by_number.labels.tolist() == by_name.labels.tolist()


def test_without_header(tmp_path):
    path = written(tmp_path, csv().split("\n", 1)[1])
    data = loaded(tmp_path, path, header=False, text=0, label=1)
    assert data.texts.to_pylist() == [text for text, _ in ROWS]
    with pytest.raises(UserError, match=r"without a header: give 'review' as a number"):
        loaded(tmp_path, path, header=False)


def test_separator(tmp_path):
    frame().to_csv(tmp_path / "my.csv", index=False, sep=";")
    with pytest.raises(UserError, match=r"one column 'title;review;mood'.*separator"):
        loaded(tmp_path, tmp_path / "my.csv")
    assert len(loaded(tmp_path, tmp_path / "my.csv", separator=";").labels) == 60


def test_encodings(tmp_path):
    content = csv(("très <b>bon</b>", "positive"))
    for encoding in ("cp1252", "utf-16"):
        path = written(tmp_path, content.encode(encoding))
        assert loaded(tmp_path, path, encoding=encoding).texts[60].as_py() == "très <b>bon</b>"
    path = written(tmp_path, b"\xef\xbb\xbf" + content.encode())
    for name in ("utf-8", "UTF8"):
        assert loaded(tmp_path, path, encoding=name).texts[60].as_py() == "très <b>bon</b>", "BOM"


def test_mixed_encodings_name_the_line(tmp_path):
    content = csv(("ünder", "positive")).encode() + "très bon,positive\n".encode("cp1252")
    assert "my.csv, line 63, is not utf-8 text" in refused(tmp_path, content)
    lines = [json.dumps(row).encode() for row in TITLED]
    lines[7] = lines[7].replace(b"no.", b"n\xe9")
    said = refused(tmp_path, b"\n".join(lines), "my.jsonl")
    assert "my.jsonl, line 8, is not utf-8 text" in said
    with pytest.raises(UserError, match=r"dataset\.encoding=latin-99: there is no such encoding"):
        loaded(tmp_path, written(tmp_path, csv()), encoding="latin-99")


def test_quotes_that_never_close(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 7)
    assert "my.csv, row 61: a quote is opened" in refused(tmp_path, csv() + '"so, so,negative\n')
    other = "mood,review\n" + "".join(f'{mood},"{n}"\n' for n, (_, mood) in enumerate(ROWS))
    said = refused(tmp_path, other + 'negative,"cut off in the last colu')
    assert "my.csv, row 61: a quote is opened and never closed" in said


def test_too_many_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 7)
    said = refused(tmp_path, csv() + "good, but not very,positive\n")
    assert "my.csv, row 61: 3 columns where the first row has 2" in said
    without = (csv() + "a,b,c\n").split("\n", 1)[1]
    assert "row 61" in refused(tmp_path, without, header=False, text=0, label=1)


def test_rows_without_text_or_label_are_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    path = written(tmp_path, csv(("", "positive"), ("good", ""), (" \u00a0", "negative"), ROWS[0]))
    for _ in range(2):  # from a cold and from a warm cache
        caplog.clear()
        data = loaded(tmp_path, path)
        assert data.texts.to_pylist() == [text for text, _ in (*ROWS, ROWS[0])]
        assert data.dataset.rows.numbers.tolist() == [*range(60), 63]
        assert "2 rows without a text are left out of my.csv: the first is row 61" in caplog.text
        assert "1 row without a label is left out of my.csv: the first is row 62" in caplog.text
        assert "1 row repeats an earlier text" in caplog.text


def test_missing_values_in_json_and_parquet(tmp_path):
    rows = [*TITLED, {"title": "x", "review": None, "mood": "positive"}]
    lines = "\n".join(map(json.dumps, [*rows, {"review": "only text"}]))
    assert len(loaded(tmp_path, written(tmp_path, lines, "my.jsonl")).labels) == 60
    pd.DataFrame(rows).to_parquet(tmp_path / "my.parquet")
    assert len(loaded(tmp_path, tmp_path / "my.parquet").labels) == 60


def test_labels_are_ordered(tmp_path):
    content = "review,mood\n" + "".join(f"text {n},{n % 12}\n" for n in range(240))
    assert loaded(tmp_path, written(tmp_path, content)).class_names == [str(n) for n in range(12)]
    content = content.replace(",3\n", ",three\n")
    names = loaded(tmp_path, written(tmp_path, content)).class_names
    assert names == [*(str(n) for n in range(12) if n != 3), "three"], "numbers stay in order"


def test_given_classes(tmp_path):
    path = written(tmp_path, csv())
    data = loaded(tmp_path, path, classes=["positive", "negative"])
    assert data.labels.tolist() == [int(mood == "negative") for _, mood in ROWS]
    said = refused(tmp_path, csv(("so so", "mixed")), classes=["positive", "negative"])
    assert "my.csv, row 61, column 'mood': 'mixed' is none of the classes positive" in said


def test_integer_labels_in_json_and_parquet(tmp_path):
    rows = [{"review": text, "mood": n % 3} for n, (text, _) in enumerate(ROWS)]
    pd.DataFrame(rows).to_parquet(tmp_path / "my.parquet")
    lines = written(tmp_path, "\n".join(map(json.dumps, rows)), "my.jsonl")
    for path in (tmp_path / "my.parquet", lines):
        data = loaded(tmp_path, path, classes=[2, 1, 0])
        assert data.labels.tolist() == [2 - n % 3 for n in range(60)]


def test_hundreds_of_classes_and_too_many(tmp_path):
    content = "review,mood\n" + "".join(f"text {n},class {n % 300}\n" for n in range(3000))
    said = "240 texts cannot hold each of 300 classes; choose 300 or more, or split.stratify=false"
    with pytest.raises(UserError, match=rf"split\.val_size=0\.1 is not possible: {said}"):
        loaded(tmp_path, written(tmp_path, content))
    content += content.split("\n", 1)[1].replace("text", "another")
    assert len(loaded(tmp_path, written(tmp_path, content)).class_names) == 300
    content = "review,mood\n" + "".join(f"text {n},{n}\n" for n in range(1200))
    assert "1,200 different values in 1,200 rows" in refused(tmp_path, content)


def test_part_column(tmp_path):
    names = ["Training", "dev", "test "]
    content = "part,mood,review\n" + "".join(
        f"{names[n // 2 % 4 % 3]},{mood},text {n}\n" for n, (_, mood) in enumerate(ROWS)
    )
    data = loaded(tmp_path, written(tmp_path, content), part="part")
    assert data.dataset.parts["val"].tolist() == [n for n in range(60) if n // 2 % 4 == 1]
    assert data.dataset.parts["test"].tolist() == [n for n in range(60) if n // 2 % 4 == 2]
    assert len(data.dataset.parts["train"]) == 30
    said = refused(tmp_path, content.replace("dev", "evaluation", 1), part="part")
    assert "my.csv, row 3, column 'part': 'evaluation' is no part" in said


def test_separate_files(tmp_path):
    files = {}
    for part, rows in (("train", ROWS[:40]), ("val", ROWS[40:50]), ("test", ROWS[50:])):
        files[part] = written(tmp_path, csv_of(rows, ("review", "mood")), f"{part}.csv")
    both = loaded(tmp_path, files["train"], val=str(files["val"]), test=str(files["test"]))
    assert [len(part) for part in both.dataset.parts.values()] == [40, 10, 10]
    assert both.dataset.rows.numbers[both.dataset.parts["test"]].tolist() == list(range(10))
    only_test = loaded(tmp_path, files["train"], test=str(files["test"]))
    assert [len(part) for part in only_test.dataset.parts.values()] == [36, 4, 10]
    only_val = loaded(tmp_path, files["train"], val=str(files["val"]))
    assert [len(part) for part in only_val.dataset.parts.values()] == [32, 10, 8]


def test_limit_leaves_the_other_files_alone(tmp_path):
    files = {}
    for part, rows in (("train", ROWS[:40]), ("val", ROWS[40:44]), ("test", ROWS[44:48])):
        files[part] = written(tmp_path, csv_of(rows, ("review", "mood")), f"{part}.csv")
    others = {"val": str(files["val"]), "test": str(files["test"])}
    data = loaded(tmp_path, files["train"], **others, split=Split(max_train_examples=10))
    assert [len(part) for part in data.dataset.parts.values()] == [10, 4, 4]
    assert data.dataset.rows.official[data.dataset.parts["test"]].tolist() == [2] * 4


def test_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path, csv())
    read = TableDataset.read_tables

    def read_and_write(self, paths):
        yield from read(self, paths)
        written(tmp_path, csv(("the last one", "negative")))

    with monkeypatch.context() as patch:
        patch.setattr(TableDataset, "read_tables", read_and_write)
        with pytest.raises(UserError, match=r"my\.csv changed while being read: run again"):
            loaded(tmp_path, path)
    assert len(loaded(tmp_path, path).labels) == 61
    assert len(loaded(tmp_path, written(tmp_path, csv())).labels) == 60, "nothing false is kept"


def test_label_seen_in_the_test_file_only(tmp_path):
    train = written(tmp_path, csv())
    test = written(tmp_path, csv(("so so", "mixed")), "test.csv")
    with pytest.raises(UserError, match=r"'mixed' has 1 row in the test part and none to train"):
        loaded(tmp_path, train, test=str(test))


@pytest.mark.parametrize("name", ["row", "label", "0", "1"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_columns_of_any_name(tmp_path, name, suffix):
    table = pd.DataFrame({name: [text for text, _ in ROWS], "row 2": [mood for _, mood in ROWS]})
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    given = int(name) if name.isdigit() else name
    data = loaded(tmp_path, path, text=given, label="row 2")
    assert data.texts.to_pylist() == [text for text, _ in ROWS]
    assert data.dataset.rows.numbers.tolist() == list(range(60))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": []}, "dataset.text=[] names no column"),
        ({"text": ["a", "a"]}, "dataset.text names the column 'a' twice"),
        ({"text": "label"}, "dataset.text and dataset.label both name the column 'label'"),
        ({"text": ["a", "label"]}, "dataset.text and dataset.label both name"),
        ({"part": "label"}, "dataset.label and dataset.part both name the column 'label'"),
        ({"separator": "||"}, "dataset.separator=|| is not possible: it must be one character"),
        ({"escapechar": "ab"}, "dataset.escapechar=ab is not possible"),
        ({"encoding": "rot13"}, "dataset.encoding=rot13: is no encoding of text"),
        ({"quoting": "all"}, "quoting=all is not possible: it must be one of auto, minimal, none"),
    ],
)
def test_columns_and_formats_that_cannot_be(options, said):
    with pytest.raises(UserError, match=re.escape(said)):
        TableDataset(path="a.csv", **options)


def test_warnings_are_repeated_in_every_run(tmp_path, caplog):
    path = written(tmp_path, csv() + '"two\nlines",positive\n')
    for _ in range(2):  # from a cold and from a warm cache
        caplog.clear()
        loaded(tmp_path, path)
        (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert "1 of 61 rows span several lines, the first is row 61" in warning


def test_repeated_and_odd_columns_of_parquet(tmp_path):
    arrays = [pa.array([n] * 60) for n in ("x", "y")]
    texts, moods = (pa.array(column) for column in zip(*ROWS, strict=True))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([*arrays, texts, moods], names=["x", "x", "review", "mood"]), path)
    assert loaded(tmp_path, path, text=2, label=3).texts[0].as_py() == ROWS[0][0]
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    odd = {
        "cannot be read as text: .*UTF8": pa.chunked_array([[*texts[1:].to_pylist()], broken]),
        "'review' holds values of the type list": pa.array([["x"]] * 60),
    }
    for said, column in odd.items():
        pq.write_table(pa.table({"review": column, "mood": moods}), path)
        with pytest.raises(UserError, match=said):
            loaded(tmp_path, path)
    pq.write_table(pa.table({}), path)
    with pytest.raises(UserError, match="has no columns"):
        loaded(tmp_path, path)


def test_zip_archives_that_are_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "my.csv.zip", "w") as archive:
        archive.writestr("my.csv", csv())
    content = bytearray((tmp_path / "my.csv.zip").read_bytes())
    content[content.find(b"PK\x01\x02") + 6] = 255
    assert "unknown compression" in refused(tmp_path, bytes(content), "my.csv.zip")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"part": "p", "test": "x.csv"}, "drop one"),
        ({"part": "p", "split": Split(folds=3)}, "split.folds creates its own test parts"),
        (
            {"test": "x.csv", "split": Split(use_official_split=False)},
            "split.use_official_split=false creates",
        ),
    ],
)
def test_options_that_contradict(options, said):
    with pytest.raises(UserError, match=said):
        TableDataset(path="a.csv", **options)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("review,mood\n", "has no rows"),
        ("review,mood\n,\n", "has no rows"),
        ("text,mood\na,b\n", "no column 'review': name one of its columns 'text', 'mood'"),
        ("my review\na b\n", "no column 'review': name one of its columns 'my review'"),
        ("review;mood\na;b\n", "name its separator, which may be semicolon."),
        ("review,mood,review\na,b,c\n", "several columns 'review'"),
        (
            "review,mood\n" + "".join(f"text {n},good\n" for n in range(20)),
            "one class only: 'good'",
        ),
    ],
)
def test_unusable_csv(tmp_path, content, said):
    assert said in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ('{"review": "a", "mood": 1}\n{"review": \n', "a.jsonl", "line 2: no JSON object"),
        ("[1, 2]\n", "a.jsonl", "line 1: [1, 2] is no JSON object"),
        ('{"text": "a"}\n', "a.jsonl", "has no column 'review': name one of its columns 'text'"),
        ("", "a.jsonl", "has no rows"),
        ("no parquet", "a.parquet", "cannot be read as Parquet"),
        ("no gzip", "a.csv.gz", "is damaged"),
        ("no zip", "a.csv.zip", "is damaged"),
        ("rows", "a.doc", "must end in one of .csv, .txt, .tsv"),
    ],
)
def test_unusable_file(tmp_path, content, name, said):
    assert said in refused(tmp_path, content, name)


def test_truncated_parquet_file(tmp_path):
    WRITERS["a.parquet"](tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    said = refused(tmp_path, content[: len(content) // 2], "a.parquet")
    assert said.endswith("or this is not a parquet file.")


def test_truncated_archives(tmp_path):
    for suffix, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        content = pack(csv().encode())
        said = refused(tmp_path, content[: len(content) // 2], f"my.csv.{suffix}")
        assert "is damaged" in said


def test_zip_of_several_files_or_of_one_outside(tmp_path):
    for names, said in ((["a.csv", "b.csv"], "holds 2"), (["../a.csv"], "points outside")):
        with zipfile.ZipFile(tmp_path / "my.zip", "w") as archive:
            for name in names:
                archive.writestr(name, csv())
        with pytest.raises(UserError, match=said):
            loaded(tmp_path, tmp_path / "my.zip")


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"dataset\.path=.*no\.csv is not there"):
        loaded(tmp_path, tmp_path / "no.csv")
    with pytest.raises(UserError, match="is a folder: name the file"):
        loaded(tmp_path, tmp_path)
    with pytest.raises(UserError, match=r"dataset\.test=x\.csv is not there"):
        loaded(tmp_path, written(tmp_path, csv()), test="x.csv")


def test_blocks_make_no_difference(tmp_path, monkeypatch):
    rows = [("two\nlines", "positive"), ("", "positive"), ("last", "negative")]
    path = written(tmp_path, csv(*rows))

    whole = loaded(tmp_path, path)
    monkeypatch.setattr(formats, "BLOCK_ROWS", 4)
    parts = TableDataset(path=str(path), text="review", label="mood", cache=str(tmp_path / "other"))
    parts.setup()
    assert parts.texts.to_pylist() == whole.texts.to_pylist()
    assert parts.dataset.rows.numbers.tolist() == whole.dataset.rows.numbers.tolist()
    assert parts.dataset.fingerprint() == whole.dataset.fingerprint()


def test_settings_that_read_other_rows_are_told_apart(tmp_path):
    path = written(tmp_path, "a,b,mood\n" + "".join(f"x {n},y {n},{n % 2}\n" for n in range(60)))
    assert loaded(tmp_path, path, text="a").texts[0].as_py() == "x 0"
    assert loaded(tmp_path, path, text="b").texts[0].as_py() == "y 0"
    swapped = loaded(tmp_path, path, text="b", classes=[1, 0])
    assert swapped.labels.tolist() == [1 - n % 2 for n in range(60)]


def test_the_same_content_under_another_name_is_read_anew(tmp_path):
    content = "review\tmood\n" + "".join(f"a, {n}\t{n % 2}\n" for n in range(60))
    assert loaded(tmp_path, written(tmp_path, content, "my.tsv")).texts[0].as_py() == "a, 0"
    assert "name its separator, which may be tab." in refused(tmp_path, content)


def test_from_the_command_line(train, tmp_path):
    path = written(tmp_path, csv(("", "positive"), ("the last one", "negative")))
    options = ["dataset=table", f"dataset.path={path}", "dataset.text=review", "dataset.label=mood"]
    small = ["model.units=4", "embedding.dim=4", "trainer=cpu", "trainer.max_epochs=1"]
    status, output, error = train(
        *options, *small, f"paths.cache_dir={tmp_path / 'cache'}", "split.seed=3"
    )
    assert status == 0, error
    assert "gru on my" in output
    (folder,) = tmp_path.glob("outputs/table-gru_*")
    rows = pq.read_table(folder / "predictions" / "test.parquet").to_pylist()
    lines = pd.read_csv(path, keep_default_na=False)
    assert all(lines["mood"][row["row"]] == row["label"] for row in rows)
    assert train("dataset=table")[::2] == (
        2,
        "dataset=table needs a file: give dataset.path=my.csv.\n",
    )
    assert "did you mean dataset.header?" in train(*options, "dataset.haeder=false")[2]
