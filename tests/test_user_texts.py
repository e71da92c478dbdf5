"""Class names, file names and texts are never interpreted as markup."""

import json
import logging
import re

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import seqtext.training.artifacts
import seqtext.training.describe_data
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import settings_of

NAMES = [
    *("[/bold] $\\bad_", "[red]x :smile:", "_日本 100 %s", "row", "at_precision_98", "x/loss"),
    "x/dataloader_idx_0\x1b]0;pwned\x07 \u202e\nb",
]
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
OPTIONS = ["dataset=table", "model=rnn", "model.units=4", "embedding.dim=4", "trainer=cpu"]
OPTIONS += ["trainer.max_epochs=1", "dataset.duplicates=keep", "model.pooling=max"]
OPTIONS += ["model.variational_dropout=0.5", "model.head_dropout=0.5", "model.word_dropout=0.2"]
OPTIONS += ["dataset.batch_size=64"]


def write_rows(path, names):
    rows = [
        {"text": f"word{n % len(names)} <b>*x*</b> \x1b[31m n{n}", "label": names[n % len(names)]}
        for n in range(20 * len(names))
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.slow
def test_a_run_on_strange_names(train, script, tmp_path):
    data = write_rows(tmp_path / "a$b$_[red].jsonl", NAMES)
    monitored = "monitor='val/recall_x/loss'"
    status, output, error = train(*OPTIONS, f"dataset.path='{data}'", "name=r", monitored)
    assert status == 0, error
    folder = tmp_path / "outputs" / "r"
    log = (folder / "train.log").read_text()
    for told in (output, log):
        assert not STEERING.search(told)
        assert "cannot be" not in told
    assert "14 x/dataloader_idx_0\ufffd]0;pwned\ufffd" in log
    for told in ("rnn on a$b$_[red]", "recall_[/bold]", "recall_[red]x :smile:", "0\ufffd]0;pwned"):
        assert told in output
    warnings = re.findall(".*warn.*", (output + error).lower())
    assert [told for told in warnings if "not in the vocabulary" not in told] == []
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["test"]) == 11 + len(NAMES)
    table = pd.read_parquet(folder / "predictions" / "test.parquet")
    assert list(table)[:3] == ["row", "label", "prediction"]
    assert set(table.columns[3:]) == {f"probability_{name}" for name in NAMES}
    assert len(list((folder / "figures").iterdir())) == 3
    scalars = EventAccumulator(str(folder)).Reload().Tags()["scalars"]
    assert {"val/recall_x/loss", "verdict/test/recall_row", "score/test/recall_x/loss"} < set(
        scalars
    )

    status, output, error = script("predict.py", "run=outputs/r", "a \x1b]0;t\x07 [/red]\nb")
    assert (status, error) == (0, "")
    assert output.endswith("\ta \ufffd]0;t\ufffd [/red] b\n")
    status, output, error = script("predict.py", "run=outputs/r", f"input={data}", "label=label")
    assert (status, error) == (0, "")
    assert "a$b$_[red].jsonl" in output
    assert "recall_[/bold]" in output
    assert not STEERING.search(output)


def test_an_error_cannot_steer_the_terminal(train):
    status, output, error = train("dataset=table", "dataset.path='no\x1b]0;x\x07\u202efile'")
    assert status == 2
    assert not STEERING.search(output + error)
    assert "no\ufffd]0;x\ufffd\ufffdfile" in error


@pytest.mark.slow
def test_a_description_of_strange_names(train, tmp_path):
    data = write_rows(tmp_path / "a$b$_[red].jsonl", NAMES)
    status, output, error = train(*OPTIONS, f"dataset.path='{data}'", "mode=describe", "name=d")
    assert status == 0, error
    assert not STEERING.search(output + error)
    assert "[red]x :smile:" in output
    assert len(list((tmp_path / "outputs" / "d" / "figures").iterdir())) == 3


def fail(*_):
    raise ValueError("no ink")


def test_pictures_that_fail_cost_no_run_its_scores(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(seqtext.training.describe_data, "plot_statistics", fail)
    monkeypatch.setattr(
        seqtext.training.artifacts, "get_prediction_plots", lambda *_, **__: {"roc": fail}
    )
    monkeypatch.setattr(seqtext.training.artifacts, "format_confident_errors", fail)
    data = write_rows(tmp_path / "rows.jsonl", ["a", "b"])
    options = [f"dataset.path={data}", f"paths.cache_dir={tmp_path / 'cache'}", "model=tfidf"]
    options += ["model.min_df=1", "dataset=table", "dataset.duplicates=keep"]
    folder = RunDir(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        train_and_evaluate(settings_of(*options), folder)
    assert folder.read_metrics()["test"]["accuracy"] > 0.9
    assert [record.getMessage() for record in caplog.records] == [
        "The figures of the data cannot be drawn: ValueError: no ink",
        "The figure roc cannot be shown: ValueError: no ink",
        "The list of errors cannot be shown: ValueError: no ink",
    ]
