"""debug=: short runs to find errors, whose results say so; limits of the Trainer are honoured."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from seqtext.data.loaders import BucketBatchSampler
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.batch_checks import check_batches


@pytest.fixture
def run_debug(train, small, tmp_path, monkeypatch):
    """Return a function that runs train.py on evaluation batches of 16 texts."""
    monkeypatch.setattr("seqtext.datasets.batch_loaders.EVALUATION_TEXTS", 16)

    def run(*options: str) -> tuple[RunDir, list[str], str]:
        kept = [option for option in small if not option.startswith("trainer.max_epochs")]
        status, output, error = train(*kept, *options)
        assert status == 0, error
        (folder,) = (tmp_path / "outputs").iterdir()
        run_dir = RunDir(folder)
        return run_dir, run_dir.read_metrics()["warnings"], output

    return run


def test_one_batch_of_each_part(run_debug):
    run, warnings, output = run_debug("debug=fdr")
    assert "debug-fdr" in run.path.name
    nothing = "The scores mean nothing after training on 1 batch (trainer.fast_dev_run)."
    assert nothing in warnings
    assert f"Warning: {nothing}" in output
    (limited,) = [w for w in warnings if w.startswith("The test scores are those of 1 batch of 3")]
    assert "the shortest texts (trainer.fast_dev_run)" in limited
    for part in ("val", "test"):
        assert len(pd.read_parquet(run.predictions(part))) == 16
    assert run.read_metrics()["epochs"] == 1


def test_the_same_batches_in_each_epoch(run_debug, monkeypatch):
    seen: list[list[int]] = []
    original = TextClassifier.training_step

    def remember(self, batch, batch_idx):
        seen.append(batch.rows.tolist())
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TextClassifier, "training_step", remember)
    run, warnings, output = run_debug("debug=overfit", "trainer.max_epochs=2")
    assert len(seen) == 6
    assert seen[:3] == seen[3:]
    assert any("the same few batches in each epoch" in warning for warning in warnings)
    assert len(pd.read_parquet(run.predictions("test"))) == 48
    assert run.read_metrics()["settings"]["patience"] is None
    assert "shuffling" not in output


@pytest.mark.slow
def test_short_epochs(run_debug):
    run, warnings, _ = run_debug("debug=limit")
    assert run.read_metrics()["epochs"] == 3
    assert len(pd.read_parquet(run.predictions("test"))) == 16
    assert any("(trainer.limit_test_batches)" in warning for warning in warnings)


def test_the_order_changes_unless_it_is_fixed():
    orders = {}
    for is_fixed in (False, True):
        sampler = BucketBatchSampler(np.arange(64), np.ones(64, int), 8, seed=0)
        sampler.has_fixed_order = is_fixed
        orders[is_fixed] = []
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            orders[is_fixed].append(np.concatenate(sampler.batches()).tolist())
    assert orders[True] == [orders[False][0]] * 2
    assert orders[False][0] != orders[False][1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit_val_batches": 0.1}, "trainer.limit_val_batches=0.1 leaves none of the 4 valid"),
        ({"limit_test_batches": 0.1}, "trainer.limit_test_batches=0.1 leaves none of the 4 test"),
        ({"limit_train_batches": 0.1, "overfit_batches": 0.1}, "trainer.overfit_batches=0.1 leav"),
        ({"val_check_interval": 5}, "val_check_interval=5 is more than the 4 batches of an epoch"),
        ({"val_check_interval": 3, "limit_train_batches": 2}, "more than the 2 batches"),
        ({"val_check_interval": 5, "check_val_every_n_epoch": None}, None),
        ({"val_check_interval": 0.5, "limit_train_batches": 0.5}, None),
    ],
)
def test_limits_that_are_not_possible(options, message):
    defaults = {f"limit_{part}_batches": 1.0 for part in ("train", "val", "test")} | {
        "overfit_batches": 0.0,
        "fast_dev_run": False,
        "val_check_interval": 1.0,
        "check_val_every_n_epoch": 1,
    }
    data = SimpleNamespace(
        **{f"{part}_dataloader": lambda: range(4) for part in ("train", "val", "test")},
        batch_size=2,
        dataset=SimpleNamespace(texts=SimpleNamespace(lengths=np.ones(8))),
        training_rows=np.arange(8),
    )
    trainer = SimpleNamespace(**(defaults | options))
    if message is None:
        check_batches(trainer, data)
    else:
        with pytest.raises(UserError, match=message):
            check_batches(trainer, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["debug=fdrr"], "did you mean fdr? Known are fdr, limit, overfit, profiler."),
        (["debug=fdr", "from_best=outputs/x"], "from_best= and debug= cannot be combined"),
    ],
)
def test_choices_that_are_not_possible(train, options, message):
    status, _, error = train(*options)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1
