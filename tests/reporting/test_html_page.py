"""The HTML page: names of runs, sweeps and files are escaped."""

import json
import re
from dataclasses import replace

import pytest

from seqtext.reporting import bootstrap
from seqtext.reporting import report as reports
from seqtext.reporting.html_page import render_report
from seqtext.reporting.published_results import PublishedResult
from seqtext.reporting.report import build_report, format_markdown
from seqtext.reporting.report_files import write_report
from tests.reporting.fake_runs import write_run
from tests.reporting.markup import FOLDER, PAYLOAD, TAG, check_figure, parse_page


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Write a folder in which every text is markup."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    folder = tmp_path / FOLDER
    other = PublishedResult(*[PAYLOAD] * 5, {"test/accuracy": 0.5, f"test/{PAYLOAD}": 0.5})
    monkeypatch.setattr(reports, "load_published_results", lambda dataset: [other])
    monkeypatch.setattr(reports, "has_study_rows", lambda run: True)
    for number, model in enumerate((PAYLOAD, "tfidf", f"{PAYLOAD} 2", f"{PAYLOAD} 2")):
        options = {"model.units": number, f"model.{PAYLOAD}": f"{PAYLOAD}{number}"}
        run = write_run(
            folder / f"{number} {FOLDER}"[:100],
            model,
            quality=1 + number,
            options=options,
            classes=(PAYLOAD, f"{PAYLOAD} 2"),
            dataset=PAYLOAD,
            choices={"embedding": f"{PAYLOAD}{number}", PAYLOAD: PAYLOAD},
            source=PAYLOAD,
            warnings=[PAYLOAD],
            fingerprints={"data": PAYLOAD, "vectors": PAYLOAD},
        )
        metrics = json.loads((run / "metrics.json").read_text())
        for part in ("val", "test"):
            metrics[part][PAYLOAD] = number / 4
            metrics["curves"][f"{part}/{PAYLOAD}"] = [0.1, 0.2]
        (run / "metrics.json").write_text(json.dumps(metrics))
    jobs = [{"folder": FOLDER, "status": "failed", "reason": PAYLOAD}]
    (folder / "sweep.json").write_text(json.dumps({"command": PAYLOAD, "jobs": jobs}))
    (folder / "damaged").mkdir()
    (folder / "damaged" / "metrics.json").write_text("{")
    return folder


@pytest.mark.parametrize("metric", [None, PAYLOAD])
def test_texts_are_never_markup(hostile, metric):
    report = build_report([hostile], metric)
    (section,) = report.sections
    assert len(section.groups) == 4
    assert len({group.label for group in section.groups}) == 4
    assert bool(section.comparison.pairs) == (metric is None)
    parsed = parse_page(render_report(report))
    assert len(parsed.scripts) == (8 if metric is None else 7)
    for text in parsed.scripts:
        check_figure(text)
    text = "".join(parsed.data)
    assert text.count(f"<{TAG} ") > 20  # shown as it is, not dropped
    for control in "\u202e\x1b":
        assert control not in text


def test_markdown_and_latex_are_text_too(hostile):
    report = build_report([hostile], None)
    text = format_markdown(report)
    code = r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)"  # in which HTML is no HTML
    outside = re.sub(rf"\\`|{code}", "", text)
    assert f"<{TAG}" not in outside
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert len(bars) == 1
    for control in "\u2028\u202e\x1b":
        assert control not in text


def test_status_is_one_of_the_known_words(hostile):
    bad = [{"folder": "j", "status": PAYLOAD, "reason": "r"}]
    (hostile / "sweep.json").write_text(json.dumps({"command": "x", "jobs": bad}))
    report = build_report([hostile], None)
    assert report.unfinished == []
    assert any("sweep.json is damaged" in sentence for sentence in report.damaged)


def test_names_that_are_not_utf8_are_written(tmp_path):
    """A lone surrogate, as in Python's file names that are not UTF-8, or from JSON."""
    folder = tmp_path / "run"
    write_run(folder, options={"model.x": "\udc80"})
    report = replace(build_report([tmp_path], None), title="\udc80")
    written = write_report(tmp_path / "out", report)
    assert all(path.read_bytes() for path in written)


def test_scripts_of_the_page_alone_may_run(tmp_path):
    write_run(tmp_path / "run")
    text = render_report(build_report([tmp_path], None))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in policy
    assert len(re.findall("'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
