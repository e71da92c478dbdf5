"""The report names code, versions and hardware, and warns where rows differ in them."""

from seqtext.reporting.report import build_report, format_markdown
from tests.reporting.fake_runs import PROVENANCE, write_run


def test_equal_provenance_is_one_line(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"{seed}", seed=seed, provenance=PROVENANCE)
    write_run(tmp_path / "old", "lstm")  # has none
    text = format_markdown(build_report([tmp_path], None))
    assert (
        "- Made with commit 12345678; Python 3.11.9, torch 2.9.1, lightning 2.6.4; AMD EPYC, 2 "
        "cores.\n"
    ) in text
    assert "differ in" not in text


def test_differences_name_the_rows(tmp_path):
    versions = PROVENANCE["versions"] | {"torch": "2.8.0", "numpy": "2.1"}
    hardware = PROVENANCE["hardware"] | {"gpus": [{"name": "H100"}, {"name": "H100"}]}
    other = {"git_commit": "abc" * 14, "git_dirty": True, "versions": versions}
    write_run(tmp_path / "a", "gru", provenance=PROVENANCE)
    write_run(tmp_path / "b", "lstm", provenance=other | {"hardware": hardware})
    for model in ("cnn", "rnn", "attention", "text_cnn"):
        write_run(tmp_path / model, model, provenance=other)
    cpu = {"trainer.accelerator": "cpu"}
    write_run(tmp_path / "c", "gru", 1, options=cpu, provenance=PROVENANCE | {"hardware": hardware})
    (section,) = build_report([tmp_path], None).sections
    code, packages, machine = section.collect_notes()
    assert code.startswith("Rows differ in code, so scores may differ for this reason: ")
    assert "commit 12345678 (gru)" in code
    assert "commit abcabcab and uncommitted changes (" in code
    assert ", 2 more rows)" in code
    assert "torch 2.9.1, numpy 2.2 (gru)" in packages
    assert "Python" not in packages
    assert machine.startswith("Rows differ in hardware, so compare no times: ")
    assert "2 × H100 (lstm)" in machine
    assert "AMD EPYC, 2 cores (gru)" in machine


def test_of_runs_without_it(tmp_path):
    write_run(tmp_path / "a", provenance={})
    (section,) = build_report([tmp_path], None).sections
    assert section.collect_notes() == []


def test_one_core(tmp_path):
    hardware = PROVENANCE["hardware"] | {"usable_cores": 1}
    write_run(tmp_path / "a", provenance=PROVENANCE | {"hardware": hardware})
    (section,) = build_report([tmp_path], None).sections
    assert section.collect_notes()[-1].endswith("AMD EPYC, 1 core.")
