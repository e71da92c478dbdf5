"""loss=distill: a network learns from the predictions of a trained model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seqtext.errors import UserError
from seqtext.losses import Distillation, cross_entropy
from seqtext.run_dir import RunDir
from tests.conftest import csv_of, invented_reviews


def build_loss(teacher: torch.Tensor, **options) -> Distillation:
    loss = Distillation("outputs/teacher", **options)
    loss.teacher_logits = teacher.log_softmax(dim=1)
    return loss


@pytest.mark.parametrize("classes", [2, 4])
def test_the_loss(classes):
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(10, classes, generator=generator, dtype=torch.float64)
    logits = torch.randn(3, classes, generator=generator, dtype=torch.float64)
    given = logits[:, 1] - logits[:, 0] if classes == 2 else logits
    labels, rows = torch.tensor([0, 1, 1]), torch.tensor([7, 2, 2])
    hard = cross_entropy(given, labels)
    soft, own = ((each / 3).softmax(dim=1) for each in (teacher[rows], logits))
    divergence = (soft * (soft / own).log()).sum(dim=1).mean()
    found = build_loss(teacher, weight=0.25, temperature=3.0)(given, labels, None, rows)
    torch.testing.assert_close(found, 0.75 * hard + 0.25 * 9 * divergence)
    weights = torch.arange(1.0, classes + 1)
    found = build_loss(teacher, weight=0)(given, labels, weights, rows)
    torch.testing.assert_close(found, cross_entropy(given, labels, weights))
    with pytest.raises(UserError, match=r"self\.compute_loss"):
        build_loss(teacher)(given, labels)


def run(train, small, *options, name: str = "run") -> RunDir:
    status, _, error = train(*small, f"name={name}", *options)
    assert status == 0, error
    return RunDir(Path("outputs") / name)


@pytest.fixture
def teacher(train, small) -> RunDir:
    """A linear model of the words."""
    options = [option for option in small if option.startswith(("dataset.dir", "paths", "monitor"))]
    return run(train, options, "model=tfidf", "model.analyzer=words", name="teacher")


def test_a_student_has_the_predictions_of_its_teacher(train, small, teacher, script):
    options = ("loss=distill", f"loss.teacher={teacher.path}", "loss.weight=1")
    student = run(train, small, *options, "trainer.max_epochs=6")
    metrics = student.read_metrics()
    assert metrics["fingerprints"]["teacher"]
    assert metrics["seconds"]["features"] > 0
    tables = [pd.read_parquet(f.predictions("test")) for f in (student, teacher)]
    shares = [table["probability_positive"] for table in tables]
    assert np.corrcoef(*shares)[0, 1] > 0.9
    status, _, error = script("predict.py", f"run={student.path}", "a wonderful film")
    assert status == 0, error


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [["model=wide_and_deep"], ["objectives=[mixup,adversarial]"], ["sampling=oversample"]]
)
def test_with_other_parts(train, small, teacher, more):
    run(train, small, "loss=distill", f"loss.teacher={teacher.path}", *more, "trainer.max_epochs=1")


@pytest.mark.slow
def test_several_teachers_and_a_killed_run(train, small, teacher):
    other = run(train, small, name="other")
    options = ("loss=distill", f"loss.teacher=[{teacher.path},{other.path}]", "scheduler=none")
    whole = run(train, small, *options, name="whole")
    part = run(train, small, *options, "trainer.max_epochs=1", name="part")
    part.metrics_path.unlink()
    status, _, error = train(f"resume={part.path}", "trainer.max_epochs=3")
    assert status == 0, error
    assert part.read_metrics()["test"] == whole.read_metrics()["test"]


@pytest.mark.slow
def test_a_teacher_that_knows_the_answers(train, small, teacher):
    options = ("loss=distill", f"loss.teacher={teacher.path}")
    status, _, error = train(*small, *options, "split.seed=1")
    assert status != 0
    assert "may know the answers" in error
    run(train, small, *options, "split.max_train_examples=0.5", name="fewer")


@pytest.mark.slow
def test_a_teacher_of_other_data(train, small, teacher, tmp_path):
    rows = invented_reviews(60, seed=7)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "IMDB Dataset.csv").write_text(csv_of(rows))
    options = ("loss=distill", f"loss.teacher={teacher.path}", f"dataset.dir={tmp_path / 'else'}")
    metrics = run(train, small, *options).read_metrics()
    assert any("trained on other data" in warning for warning in metrics["warnings"])


@pytest.mark.slow
def test_messages(train, small, teacher, tmp_path):
    (tmp_path / "t.csv").write_text(
        csv_of([(f"a b {n}", "xy"[n % 2]) for n in range(60)], ("text", "label"))
    )
    for options, words in (
        (["loss=distill"], "loss.teacher=outputs/"),
        (["loss=distill", "loss.teacher=nowhere"], "loss.teacher=nowhere: there is no such"),
        (["loss=distill", "loss.weight=2"], "loss.weight=2"),
        (
            ["loss=distill", f"loss.teacher={teacher.path}", "dataset=table", "dataset.path=t.csv"],
            "loss.teacher has the classes negative, positive",
        ),
    ):
        given = [
            o for o in small if not (o.startswith("dataset.dir") and "dataset=table" in options)
        ]
        status, _, error = train(*given, *options)
        assert status != 0, options
        assert words in error
