"""What a sweep calls its best job."""

from seqtext.sweeps.job import Job, Outcome
from seqtext.sweeps.progress import Progress


def test_equal_scores_are_told_apart_by_the_validation_loss(tmp_path, capsys):
    progress = Progress(tmp_path, 3, "val/f1")
    for name, loss in (("a", 0.5), ("b", 0.3), ("c", None)):
        progress.ran(Job((), name, name), Outcome("finished", 0.9, loss=loss))
    progress.sum_up()
    assert str(tmp_path / "b") in capsys.readouterr().out
