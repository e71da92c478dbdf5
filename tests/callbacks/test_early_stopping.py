"""Early stopping and the best epoch, with scripted scores of each epoch."""

import logging
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from seqtext.callbacks.early_stopping import TieBreakingEarlyStopping
from seqtext.checkpoints.files import load_checkpoint
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import settings_of

STUCK = True  # all rows are taken for one class


def test_the_best_epoch_of_a_run(small, tmp_path, monkeypatch, caplog):
    """The lowest loss decides between equal scores, and the reason for stopping is logged."""
    epochs = iter([(0.5, 3), (0.5, 2), (0.5, 2), (0.5, 4), (0.9, 1)])

    def scripted(model: TextClassifier) -> None:
        model._epoch_outputs["val"].clear()
        score, loss = next(epochs)
        model.log_dict({"val/loss": loss, "val/auroc": score})

    monkeypatch.setattr(TextClassifier, "on_validation_epoch_end", scripted)
    caplog.set_level(logging.INFO)
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, "trainer.max_epochs=5", "patience=2"), folder)
    metrics = folder.read_metrics()
    assert (metrics["epochs"], metrics["best_epoch"]) == (4, 2)
    assert load_checkpoint(folder.best_checkpoint)["epoch"] == 1
    assert caplog.text.count("(best)") == 2
    said = "Stopped after epoch 4: val/auroc has not improved for 2 epochs (patience=2)."
    assert said in caplog.text


def last_epoch(epochs: list[tuple], monitor: str = "val/f1", restart: int | None = None) -> int:
    """The epoch, from 1, after which patience of 2 epochs is at its end; 0: never.

    Args:
        epochs: (score, loss) or (score, loss, STUCK) of each
        restart: after this epoch, from the callback's state
    """
    callback = TieBreakingEarlyStopping(monitor, patience=2)
    trainer = SimpleNamespace(
        current_epoch=0,
        max_epochs=len(epochs),
        should_stop=False,
        fast_dev_run=False,
        sanity_checking=False,
        val_check_interval=1.0,
        check_val_every_n_epoch=1,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        strategy=SimpleNamespace(reduce_boolean_decision=lambda stop, all: stop),
    )
    callback.setup(trainer, None, "fit")
    for number, (score, loss, *stuck) in enumerate(epochs):
        trainer.current_epoch = number
        trainer.callback_metrics = {"val/loss": torch.tensor(loss), monitor: torch.tensor(score)}
        model = SimpleNamespace(is_unfreezing=False, has_constant_predictions=bool(stuck))
        trainer.lightning_module = model
        callback.on_train_epoch_end(trainer, model)
        if trainer.should_stop:
            return number + 1
        if number + 1 == restart:
            state = callback.state_dict()
            callback = TieBreakingEarlyStopping(monitor, patience=2)
            callback.setup(trainer, None, "fit")
            callback.load_state_dict(state)
    return 0


@pytest.mark.parametrize("restart", [None, 1, 2, 3])
@pytest.mark.parametrize(
    ("epochs", "last"),
    [
        ([(0.9, 1.0), (0.8, 1.0), (0.7, 1.0), (0.99, 1.0)], 3),
        ([(0.5, 3.0), (0.5, 2.0), (0.5, 1.0), (0.5, 1.5), (0.5, 0.5), (0.5, 0.4)], 0),
        ([(0.6, 9.0), (0.5, 8.0), (0.5, 7.0), (0.5, 6.0), (0.5, 6.5), (0.9, 3.0)], 5),
        ([(0.6, 9.0), (0.5, 8.0, STUCK), (0.4, 7.0, STUCK), (0.3, 6.0, STUCK)], 0),
        ([(0.6, 2.0), (0.6, 3.0, STUCK), (0.6, 2.5, STUCK), (0.9, 1.0)], 3),
    ],
    ids=["worse", "ties that improve", "unmoved", "constant", "unmoved, the loss rises"],
)
def test_epochs_that_cost_patience(epochs, last, restart):
    """Epochs use up patience unless the score is uninformative and the loss falls."""
    assert last_epoch(epochs, restart=restart) == last


def test_a_monitored_loss_is_its_own_tie():
    losses = [(value, value) for value in (1.0, 1.0, 1.0, 0.5)]
    assert last_epoch(losses, "val/loss") == 3


def test_an_absurd_loss_is_divergence(small, tmp_path):
    settings = settings_of(*small, "optimizer=sgd", "optimizer.lr=1e30")
    with pytest.raises(UserError, match=r"Training diverged: .*lower optimizer\.lr"):
        train_and_evaluate(settings, RunDir(tmp_path / "run"))


def test_a_limit_that_leaves_no_batch(small, tmp_path):
    settings = settings_of(*small, "+trainer.limit_train_batches=0.05")
    with pytest.raises(UserError, match=r"limit_train_batches=0\.05 leaves none of the 11"):
        train_and_evaluate(settings, RunDir(tmp_path / "run"))
