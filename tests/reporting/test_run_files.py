"""Damaged run files are read, or refused with a one-line message."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from seqtext.errors import UserError
from seqtext.reporting.run_files import (
    read_hydra,
    read_outcome,
    read_predictions,
    read_run_metrics,
    read_sweep,
)
from tests.reporting.fake_runs import PROVENANCE, write_run

BYTES = (b"", b"{", b"[]", b"null", b"1", b"\xff\xfe{", b"\0" * 20, b"[" * 100_000)
VALUES = (None, True, "x", 1, -1.5, math.nan, [], [1], ["x"], {}, {"x": "y"}, {"x": [{}]}, 10**400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", tags=["a"], provenance=PROVENANCE)


@pytest.mark.parametrize("read", [read_run_metrics, read_hydra, read_sweep, read_outcome])
@pytest.mark.parametrize("content", BYTES)
def test_damaged_bytes(read, content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_in_place_of_a_file(tmp_path):
    for read in (read_run_metrics, read_hydra, read_sweep, read_outcome):
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path)


def test_values_of_other_types(folder, tmp_path):
    """Any value of any entry of metrics.json is refused with the file's name, or harmless."""
    from seqtext.reporting.report import build_report, format_markdown

    metrics = json.loads((folder / "metrics.json").read_text())
    refused = []
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "metrics.json"
    for name in (*metrics, "fingerprints", "warnings"):
        for value in VALUES:
            path.write_text(json.dumps(metrics | {name: value}))
            try:
                format_markdown(build_report([tmp_path], None))
            except UserError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert all(f"{path} is damaged (" in said or "is not known of" in said for said in refused)


@pytest.mark.parametrize(
    "hydra",
    [
        {"hydra": {"overrides": {"task": "x"}}},
        {"hydra": {"overrides": {"task": [1]}}},
        {"hydra": {"runtime": {"choices": [1]}}},
        {"hydra": {"searchpath": None}},  # cut off
        {"hydra": "x"},
    ],
)
def test_hydra_of_other_types(tmp_path, hydra):
    path = tmp_path / "hydra.yaml"
    path.write_text(json.dumps(hydra))
    with pytest.raises(UserError, match=r"hydra\.yaml is damaged"):
        read_hydra(path)


@pytest.mark.parametrize(
    "content", ["!!bool x", "!!int ''", "a: 2020-99-99", "? [a]\n: 1", "a: *b", "- " * 100_000]
)
def test_yaml_that_only_its_reader_refuses(tmp_path, content):
    path = tmp_path / "hydra.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"hydra\.yaml is damaged"):
        read_hydra(path)


@pytest.mark.parametrize(
    "job",
    [
        {"folder": "a", "status": "<img src=x>", "reason": None},
        {"folder": 1, "status": "failed", "reason": None},
        {"folder": "a\0b", "status": "failed", "reason": None},
        {"folder": "a", "status": "failed", "reason": ["x"]},
        {"folder": "a", "status": ["failed"], "reason": "x"},
        {},
        "x",
    ],
)
def test_jobs_of_other_types(tmp_path, job):
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({"command": "c", "jobs": [job]}))
    with pytest.raises(UserError, match=r"sweep\.json is damaged"):
        read_sweep(path)


def _changed(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Write Parquet files that no run writes."""
    nan = table.astype({"probability_negative": float})
    nan.loc[3, "probability_negative"] = math.nan
    return {
        "fewer rows": table.head(100),
        "no rows": table.head(0),
        "no row numbers": table.drop(columns="row"),
        "no labels": table.drop(columns="label"),
        "no probabilities": table[["row", "label", "prediction"]],
        "one class": table.drop(columns="probability_positive"),
        "other classes": table.rename(columns={"probability_positive": "probability_x"}),
        "unknown label": table.assign(label="x"),
        "null label": table.assign(label=None),
        "numbers as labels": table.assign(label=1.5),
        "lists as labels": table.assign(label=[[1]] * len(table)),
        "texts as probabilities": table.assign(probability_positive="x"),
        "probabilities above one": table.assign(probability_positive=2.0),
        "nan": nan,
        "repeated rows": table.assign(row=0),
        "fractions as rows": table.assign(row=table["row"] + 0.5),
    }


def test_damaged_predictions(folder, tmp_path):
    metrics = read_run_metrics(folder / "metrics.json")
    table = pd.read_parquet(folder / "predictions" / "test.parquet")
    path = tmp_path / "test.parquet"
    assert read_predictions(path, metrics) is None
    table.sample(frac=1, random_state=0).to_parquet(path)
    said = read_predictions(path, metrics)
    assert (np.diff(said.rows) > 0).all()
    for changed in _changed(table).values():
        changed.to_parquet(path)
        with pytest.raises(UserError, match=r"test\.parquet is damaged"):
            read_predictions(path, metrics)
    whole = (folder / "predictions" / "test.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:500], whole[: len(whole) // 2], whole[500:], b"x" * 999):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"test\.parquet is damaged"):
            read_predictions(path, metrics)
