"""Selection of a sweep's best jobs."""

from seqtext.sweeps.job import Job, JobResult
from seqtext.sweeps.progress import SweepProgress


def test_equal_scores_are_told_apart_by_the_validation_loss(tmp_path, capsys):
    progress = SweepProgress(tmp_path, 3)
    for name, loss in (("a", 0.5), ("b", 0.3), ("c", None)):
        job = Job((), name, name, {"monitor": "val/f1", "model": name})
        progress.record_finished(job, JobResult("finished", 0.9, loss=loss))
    progress.print_summary()
    assert str(tmp_path / "b") in capsys.readouterr().out


def test_jobs_with_different_monitors_are_not_compared(tmp_path, capsys):
    progress = SweepProgress(tmp_path, 3)
    scored = (("a", "val/loss", 0.7), ("b", "val/accuracy", 0.8), ("c", "val/loss", 0.6))
    for name, monitor, score in scored:
        job = Job((), name, name, {"monitor": monitor, "model": name})
        progress.record_finished(job, JobResult("finished", score))
    lines = capsys.readouterr().out.splitlines()
    assert "val/accuracy 0.8000  best 0.8000" in lines[1]
    assert "val/loss 0.6000  best 0.6000" in lines[2]
    progress.print_summary()
    summary = capsys.readouterr().out
    assert f"Best by val/loss, 0.6000: {tmp_path / 'c'}" in summary
    assert f"Best by val/accuracy, 0.8000: {tmp_path / 'b'}" in summary


def test_settings_are_compared_by_their_mean_over_folds(tmp_path, capsys):
    progress = SweepProgress(tmp_path, 6)
    for model, scores in {"lucky": (0.1, 0.5, 0.9), "steady": (0.6, 0.7, 0.8)}.items():
        for fold, score in enumerate(scores):
            settings = {"monitor": "val/f1", "model": model, "split": {"folds": 3, "fold": fold}}
            name = f"{model}_fold-{fold}"
            progress.record_finished(Job((), name, name, settings), JobResult("finished", score))
    lines = capsys.readouterr().out.splitlines()
    assert "val/f1 0.9000  best 0.5000" in lines[2]
    assert "val/f1 0.8000  best 0.7000" in lines[5]
    progress.print_summary()
    place = tmp_path / "steady_fold-*"
    assert f"Best by val/f1, 0.7000 ± 0.1000 over 3 folds: {place}" in capsys.readouterr().out
