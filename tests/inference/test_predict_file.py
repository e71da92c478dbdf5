"""Prediction from file to file keeps columns, order and rows in every format."""

import gzip
import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from seqtext import load
from seqtext.data import formats
from tests.conftest import csv_of
from tests.inference.conftest import REVIEWS

TEXTS = ["a wonderful film", 'dreadful, "boring"', "", "superb\n\rand moving", "é 🎬"]
NEW = ["label", "probability_negative", "probability_positive"]


def check(out: pd.DataFrame, model, texts: list[str], new: list[str] = NEW) -> None:
    """Check that the new columns are last and have the model's predictions."""
    assert list(out)[-3:] == new
    np.testing.assert_allclose(out[new[1:]].astype(float), model.predict_proba(texts), atol=1e-6)
    assert out[new[0]].tolist() == model.predict(texts).tolist()


@pytest.fixture(scope="module")
def model(finished):
    return load(finished.path)


def done(result: tuple[int, str, str]) -> str:
    assert result[0] == 0, result[2]
    return result[1]


def told(result: tuple[int, str, str]) -> str:
    """Return the one-line error message."""
    assert result[0] == 2, result
    assert result[2].count("\n") == 1, result[2]
    return result[2]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.csv.zip", "a.csv.xz"])
def test_csv(name, predict, finished, model, tmp_path):
    separator = "\t" if "tsv" in name else ","
    table = pd.DataFrame(
        {"id": ["007", "1e3", "NA", "", "5"], "review": TEXTS, "ä,b": list("vwxyz")}
    )
    table.to_csv(tmp_path / name, sep=separator, index=False)
    done(predict(f"run={finished.path}", f"input={name}", f"output=out/{name}"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]
    how = {"dtype": str, "na_filter": False, "sep": separator, "lineterminator": "\n"}
    out = pd.read_csv(tmp_path / "out" / name, **how)
    pd.testing.assert_frame_equal(out[list(table)], table.astype(out.dtypes.iloc[0]))
    check(out, model, TEXTS)


def test_json_lines(predict, finished, model, tmp_path):
    rows = [{"n": i, "review": text, "more": {"a": [1, None]}} for i, text in enumerate(TEXTS)]
    rows += [{"review": None, "other": True}]
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    done(predict(f"run={finished.path}", "input=a.jsonl.gz", "output=b.jsonl"))
    out = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in row.items() if k not in NEW} for row in out] == rows
    check(pd.DataFrame(out)[NEW], model, [*TEXTS, ""])
    assert "'other', which the first line has not" in told(
        predict(f"run={finished.path}", "input=a.jsonl.gz", "output=b.csv")
    )
    assert not (tmp_path / "b.csv").exists()


def test_parquet_keeps_types_and_nulls(predict, finished, model, tmp_path):
    day = pd.Timestamp("2020-02-29")
    table = pd.DataFrame({"day": day, "review": [*TEXTS, None], "label": range(6)})
    table.to_parquet(tmp_path / "a.parquet", index=False)
    done(predict(f"run={finished.path}", "input=a.parquet", "output=b.parquet"))
    out = pd.read_parquet(tmp_path / "b.parquet")
    pd.testing.assert_frame_equal(out[list(table)], table)
    check(out, model, [*TEXTS, ""], new=["predicted_label", *NEW[1:]])
    done(predict(f"run={finished.path}", "input=a.parquet", "output=b.jsonl"))
    first = json.loads((tmp_path / "b.jsonl").read_text().splitlines()[0])
    assert first["day"] == "2020-02-29 00:00:00"


def test_blocks(predict, finished, model, tmp_path, monkeypatch):
    """More rows than a block: rows keep their order, and one header is written."""
    monkeypatch.setattr(formats, "BLOCK_ROWS", 7)
    texts = [text for text, _ in REVIEWS[:30]]
    table = pd.DataFrame({"text": texts, "n": range(30)})  # no column "review"
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    table.to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        done(predict(f"run={finished.path}", f"input={name}", "output=b.csv"))
        out = pd.read_csv(tmp_path / "b.csv")
        assert out["n"].tolist() == list(range(30))
        check(out, model, texts)


def test_no_rows(predict, finished, tmp_path):
    pd.DataFrame({"text": [], "n": []}).astype(str).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("text,n\n")
    for name in ("a.csv", "a.parquet"):
        done(predict(f"run={finished.path}", f"input={name}", "output=b.csv"))
        assert list(pd.read_csv(tmp_path / "b.csv")) == ["text", "n", *NEW]
        assert "no rows" in told(predict(f"run={finished.path}", f"input={name}", "label=n"))
    (tmp_path / "a.jsonl").write_text("")
    done(predict(f"run={finished.path}", "input=a.jsonl", "output=b.jsonl"))
    assert (tmp_path / "b.jsonl").read_text() == ""


def test_text_columns(predict, finished, model, tmp_path):
    table = pd.DataFrame({"head": ["wonderful", "dull"], "body": ["film", "dreadful"], "a,b": "x"})
    table.to_csv(tmp_path / "a.csv", index=False)
    for words, texts in (
        ("head,body", ["wonderful film", "dull dreadful"]),
        ("[head, body]", ["wonderful film", "dull dreadful"]),
        ("a,b", ["x", "x"]),
    ):
        done(predict(f"run={finished.path}", "input=a.csv", "output=b.csv", f"text={words}"))
        check(pd.read_csv(tmp_path / "b.csv"), model, texts)
    said = told(predict(f"run={finished.path}", "input=a.csv", "output=b.csv"))
    assert "no column review or text" in said
    assert "'head', 'body'" in said
    said = told(predict(f"run={finished.path}", "input=a.csv", "output=b.csv", "text=boddy"))
    assert "no column 'boddy'" in said


def test_without_a_header(predict, finished, model, tmp_path):
    rows = [("5", "wonderful film", "positive"), ("7", "dreadful", "negative")]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", header=False, index=False)
    words = f"run={finished.path}", "input=a.csv", "header=false"
    done(predict(*words, "text=1", "label=2", "output=b.csv"))
    assert json.loads((tmp_path / "b-scores" / "scores.json").read_text())["rows"] == 2
    out = pd.read_csv(tmp_path / "b.csv")
    assert out[["0", "1", "2"]].astype(str).values.tolist() == [list(row) for row in rows]
    check(out, model, ["wonderful film", "dreadful"])
    assert "wonderful" in done(predict(*words, "text=1", "explain=true"))
    assert "text= to one of its columns '0', '1', '2'" in told(predict(*words, "output=b.csv"))
    assert "no column 3: its columns are 0 to 2" in told(predict(*words, "text=3", "output=b.csv"))
    by_name = told(predict(*words, "text=review", "output=b.csv"))
    assert "is read without a header: give 'review' as a number from 0" in by_name


def test_another_separator_is_suspected(predict, finished, tmp_path):
    (tmp_path / "a.csv").write_text("text;label\nfilm;positive\n")
    said = told(predict(f"run={finished.path}", "input=a.csv", "output=b.csv"))
    assert "name its separator, which may be semicolon." in said


def test_quotes_and_separators(predict, finished, model, tmp_path, caplog):
    texts = ['"wonderful film', "fine", '"dreadful" film', 'end"']
    (tmp_path / "a.tsv").write_text("n\treview\n" + "".join(f"1\t{text}\n" for text in texts))
    status, _, _ = predict(f"run={finished.path}", "input=a.tsv", "output=b.jsonl")
    assert status == 0
    assert "quotes are read as a part of the texts" in caplog.text
    assert "; quoting=minimal reads" in caplog.text
    out = pd.read_json(tmp_path / "b.jsonl", lines=True)
    assert out["review"].tolist() == texts
    check(out, model, texts)
    (tmp_path / "a.csv").write_text('review;n\n"a \\"wonderful\\" film";5\n')
    words = f"run={finished.path}", "input=a.csv", "output=c.csv", r"separator=';'"
    assert "set quoting=none" in told(predict(*words))
    done(predict(*words, r"escapechar=\\"))
    check(pd.read_csv(tmp_path / "c.csv"), model, ['a "wonderful" film'])
    assert "separator=|| is not possible" in told(predict(*words[:3], "separator=||"))
    assert "quoting=all is not possible" in told(predict(*words[:3], "quoting=all"))


def test_empty_lines_of_one_column_are_rows(predict, finished, model, tmp_path):
    (tmp_path / "a.csv").write_text("review\nwonderful\n\ndreadful\n\n\nfine\n")
    done(predict(f"run={finished.path}", "input=a.csv", "output=b.csv"))
    out = pd.read_csv(tmp_path / "b.csv", na_filter=False)
    assert out["review"].tolist() == ["wonderful", "", "dreadful", "", "", "fine"]
    check(out, model, out["review"].tolist())


def test_columns_of_one_name(predict, finished, tmp_path):
    (tmp_path / "a.csv").write_text("review,x,x,x.1,x\nfine,1,2,3,4\n")
    for name in ("b.jsonl", "b.parquet"):
        done(predict(f"run={finished.path}", "input=a.csv", f"output={name}"))
    line = json.loads((tmp_path / "b.jsonl").read_text())
    assert list(line.values())[1:5] == ["1", "2", "3", "4"]
    assert list(line)[1:5] == ["x", "x.2", "x.1", "x.3"]
    assert list(pd.read_parquet(tmp_path / "b.parquet"))[:5] == list(line)[:5]
    done(predict(f"run={finished.path}", "input=a.csv", "output=b.csv"))
    assert (tmp_path / "b.csv").read_text().startswith('"review","x","x","x.1","x","label"')


@pytest.mark.slow
def test_json_objects_of_unlike_names(predict, finished, tmp_path):
    rows = [{"review": "wonderful"}, {"review": "dreadful", "label": "x"}, {"title": "fine"}]
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.json").write_text(json.dumps(rows[:2], indent=1))
    (tmp_path / "u.jsonl").write_bytes("\n".join(map(json.dumps, rows[:2])).encode("utf-16"))
    run = f"run={finished.path}"
    for name in ("a.json", "u.jsonl"):
        done(predict(run, f"input={name}", "output=b.jsonl"))
        out = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
        assert [row["predicted_label"] for row in out] == ["positive", "negative"]
        assert out[1]["label"] == "x"
    done(predict(run, "input=a.jsonl", "output=b.jsonl", "text=title,review"))
    for text in ("text=titel,review", "text=review,titel", "text=txet"):
        said = told(predict(run, "input=a.jsonl", "output=b.jsonl", text))
        assert re.search("no column '(titel|txet)': name one of its columns 'review'", said)
    assert "are one column" in told(
        predict(run, "input=a.jsonl", "output=c.jsonl", "text=review,review")
    )
    (tmp_path / "a.jsonl").write_text('{"review": ["a"]}')
    assert "line 1, column 'review' holds a list" in told(
        predict(run, "input=a.jsonl", "output=c.jsonl")
    )


def test_json_objects_without_a_label_are_not_scored(predict, finished, tmp_path):
    rows = [{"review": "wonderful", "mood": "positive"}, {"review": "fine"}, {"mood": "negative"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = f"run={finished.path}", "input=a.jsonl", "output=b.jsonl"
    done(predict(*words, "label=mood"))
    scores = json.loads((tmp_path / "b-scores" / "scores.json").read_text())
    assert scores["rows"] == 2
    assert "1 of 3 rows have no label" in scores["warnings"][0]
    assert "no column 'moo'" in told(predict(*words, "label=moo"))


def test_suffixes_in_capitals(predict, finished, tmp_path):
    (tmp_path / "a.CSV.GZ").write_bytes(gzip.compress(b"review\nfine\n"))
    for name in ("b.CSV.GZ", "b.JSONL.ZIP", "b.tsv.XZ"):
        done(predict(f"run={finished.path}", "input=a.CSV.GZ", f"output={name}"))
    assert gzip.decompress((tmp_path / "b.CSV.GZ").read_bytes()).startswith(b'"review"')
    with zipfile.ZipFile(tmp_path / "b.JSONL.ZIP") as archive:
        assert archive.namelist() == ["b.JSONL"]


def test_scores_equal_scikit_learn(predict, finished, tmp_path):
    (tmp_path / "a.csv").write_text(csv_of(REVIEWS))
    words = f"run={finished.path}", "input=a.csv", "label=sentiment"
    shown = done(predict(*words, "output=out/b.csv.gz"))
    out = pd.read_csv(tmp_path / "out" / "b.csv.gz")
    truth, share = out["sentiment"] == "positive", out["probability_positive"]
    folder = tmp_path / "out" / "b-scores"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["accuracy"] == pytest.approx(sk.accuracy_score(truth, out["label"] == "positive"))
    assert scores["auroc"] == pytest.approx(sk.roc_auc_score(truth, share), abs=1e-6)
    assert scores["rows"] == 240
    assert scores["warnings"] == []
    assert {f.stem for f in folder.glob("*.png")} == {"confusion_matrix", "roc", "precision_recall"}
    assert f"{scores['mcc']:.4f}" in shown
    (tmp_path / "numbers.csv").write_text(csv_of([(t, int(s == "positive")) for t, s in REVIEWS]))
    words = *words[:1], "input=numbers.csv", "label=sentiment", "output=out/c.csv"
    assert f"{scores['mcc']:.4f}" in done(predict(*words))
    (warning,) = json.loads((tmp_path / "out/c-scores/scores.json").read_text())["warnings"]
    assert "0 as negative, 1 as positive" in warning
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_without_rows_of_a_class(predict, finished, tmp_path):
    """It has no scores of that class, and a message says so."""
    (tmp_path / "one.csv").write_text(csv_of(REVIEWS[::2]))
    shown = done(predict(f"run={finished.path}", "input=one.csv", "label=sentiment"))
    assert "Warning: The file has no row of 'positive': its scores are hardly informative." in shown
    assert "specificity" in shown
    assert "│ recall " not in shown


def test_a_failure_leaves_what_was_there(predict, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "BLOCK_ROWS", 2)
    (tmp_path / "a.csv").write_text("review,mood\na,positive\nb,negative\nc,meh\n")
    (tmp_path / "b.csv").write_text("old")
    said = told(predict(f"run={finished.path}", "input=a.csv", "output=b.csv", "label=mood"))
    assert "row 3, column 'mood': 'meh' is none of the classes negative, positive" in said
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", "b.csv"}
    assert (tmp_path / "b.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("words", "told_words"),
    [
        (["input=none.csv", "output=b.csv"], "input=none.csv is not there"),
        (["input=.", "output=b.csv"], "is a folder"),
        (["input=a.csv"], "output= is missing"),
        (["input=a.csv", "output=a.csv"], "is the input"),
        (["input=a.csv", "output=b.doc"], "must end in one of .csv"),
        (["input=a.doc", "output=b.csv"], "must end in one of .csv"),
        (["input=a.csv", "output=b.csv", "label=moo"], "no column 'moo'"),
        (["input=a.csv", "output=b.csv", "encoding=utf-9"], "no such encoding"),
        (["input=ragged.csv", "output=b.csv"], "row 1"),
        (["input=taken.csv", "output=b.csv"], "'probability_positive' already"),
        (["input=broken.jsonl", "output=b.csv"], "line 2"),
        (["input=other.jsonl", "output=b.csv"], "line 2 has no 'review'"),
        (["input=half.jsonl", "output=b.jsonl"], "no whole character"),
        (["input=empty.csv", "output=b.csv"], "it is empty"),
    ],
)
def test_mistakes(words, told_words, predict, finished, tmp_path):
    (tmp_path / "a.csv").write_text("review,mood\na,positive\n")
    (tmp_path / "a.doc").write_text("")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("review\na,b,c\n")
    (tmp_path / "taken.csv").write_text("review,probability_positive\na,1\n")
    (tmp_path / "half.jsonl").write_text('{"review": "a \\ud83d"}\n')
    (tmp_path / "broken.jsonl").write_text('{"review": "a"}\n{"review')
    (tmp_path / "other.jsonl").write_text('{"review": "a"}\n{"text": "b"}\n')
    assert told_words in told(predict(f"run={finished.path}", *words))
    assert not (tmp_path / "b.csv").exists()
