"""Tags and notes of runs: stored and logged, and tags select runs for the report."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqtext.best_run import read_best_run
from seqtext.config.overrides import quote_value
from seqtext.errors import UserError
from seqtext.identity import build_settings_key, find_first_difference
from seqtext.reporting.report import build_report
from seqtext.reporting.runs import read_runs
from tests.reporting.fake_runs import write_run

NOTES = 'the first, with 8 units: "as in the paper" (x=1)'


def test_as_typed(train, script, small, tmp_path):
    overrides = (*small, "trainer.max_epochs=1", "tags=[baseline,paper,2]", f"notes={NOTES}")
    status, _, error = train(*overrides, "name=a")
    assert status == 0, error
    folder = tmp_path / "outputs" / "a"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["tags"] == ["baseline", "paper", "2"]
    assert metrics["notes"] == NOTES
    events = EventAccumulator(str(folder)).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert NOTES.encode() in content
    assert b"baseline" in content
    for words in (["--tag", "paper"], ["tag=paper"]):
        status, _, error = script("report.py", "outputs/a", *words)
        assert status == 0, error
        assert "the first, with 8 units" in (folder / "report" / "report.md").read_text()
    status, _, error = script("report.py", "outputs/a", "tag=papers")
    assert status == 2
    assert "no finished run in outputs/a has this tag; known tags are 2, baseline, paper." in error
    status, _, error = train(*small, "tags=baseline")
    assert status == 2
    assert "tags=baseline is not possible: it must be a list" in error


def test_the_report_of_a_tag(tmp_path):
    write_run(tmp_path / "a", "gru", tags=["old", "paper"], notes="look\nhere")
    write_run(tmp_path / "b", "lstm", tags=["paper"])
    write_run(tmp_path / "c", "rnn", tags=["old"])
    write_run(tmp_path / "d", "cnn")
    for name, tags in (("e", "[paper]"), ("f", "[old]"), ("g", "7")):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / ".hydra" / "config.yaml").write_text(f"tags: {tags}")
    report = build_report([tmp_path], None, tag="paper")
    (section,) = report.sections
    assert {group.label for group in section.groups} == {"gru", "lstm"}
    assert [job.name for job in report.unfinished] == [str(tmp_path / "e")]
    assert report.title.endswith("(tag paper)")
    assert "gru: look�here" in section.collect_notes()
    assert len(read_runs([tmp_path]).runs) == 4
    with pytest.raises(UserError, match="none has any tags"):
        build_report([tmp_path / "d"], None, tag="paper")


def test_they_do_not_distinguish_settings(tmp_path):
    settings = [{"seed": 0, "tags": [], "notes": None}, {"seed": 0, "tags": ["a"], "notes": "b"}]
    assert find_first_difference(*settings) is None
    assert build_settings_key(settings[0], None) == build_settings_key(settings[1], None)
    write_run(tmp_path / "a", seed=0, options={"tags": ["a"]}, tags=["a"])
    write_run(tmp_path / "b", seed=1, options={"notes": "b"}, notes="b")
    (section,) = build_report([tmp_path], None).sections
    (group,) = section.groups
    assert len(group.runs) == 2
    best = read_best_run(str(tmp_path)).settings
    assert (best["tags"], best["notes"]) == ([], None)


@pytest.mark.parametrize("kept", ["notes=null", "notes='a, b'", "tags=[a,b]"])
def test_quoted_values_are_kept(kept):
    assert quote_value(kept) == kept
