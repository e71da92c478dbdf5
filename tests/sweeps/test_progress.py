"""What a sweep calls its best job."""

from seqtext.sweeps.job import Job, JobResult
from seqtext.sweeps.progress import SweepProgress


def test_equal_scores_are_told_apart_by_the_validation_loss(tmp_path, capsys):
    progress = SweepProgress(tmp_path, 3, "val/f1")
    for name, loss in (("a", 0.5), ("b", 0.3), ("c", None)):
        progress.record_finished(Job((), name, name), JobResult("finished", 0.9, loss=loss))
    progress.print_summary()
    assert str(tmp_path / "b") in capsys.readouterr().out
