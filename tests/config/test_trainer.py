"""max_epochs=auto and patience=auto give small data more epochs."""

import pytest

from seqtext.config.trainer import resolve_max_epochs, resolve_patience


@pytest.mark.parametrize(
    ("batches", "options", "epochs"),
    [
        (1, {}, 40),
        (24, {}, 40),
        (26, {}, 39),
        (100, {}, 10),
        (250, {}, 4),
        (100_000, {}, 4),
        (100, {"accumulate_grad_batches": 2}, 20),
        (100_000, {"limit_train_batches": 50}, 20),
        (1_000, {"limit_train_batches": 0.1}, 10),
        (10, {"limit_train_batches": 0.01}, 40),
        (10, {"min_epochs": 60}, 60),
    ],
)
def test_epochs(batches, options, epochs):
    options = {"max_epochs": "auto", **options}
    assert resolve_max_epochs(options, batches) == ({**options, "max_epochs": epochs}, epochs)


def test_given_epochs_stay():
    assert resolve_max_epochs({"max_epochs": 7}, 1) == ({"max_epochs": 7}, 7)


@pytest.mark.parametrize("given", ["auto", -1])
def test_steps_alone_are_the_limit(given):
    options = {"max_epochs": given, "max_steps": 55}
    assert resolve_max_epochs(options, 10) == ({**options, "max_epochs": -1}, 6)


def test_patience():
    assert [resolve_patience("auto", epochs) for epochs in (4, 11, 12, 40, -1)] == [2, 2, 3, 10, 2]
    assert [resolve_patience(given, 40) for given in (1, None)] == [1, None]


@pytest.mark.slow
def test_a_run_on_few_rows_has_more_epochs(train, small):
    options = [option for option in small if not option.startswith("trainer.max_epochs")]
    status, out, error = train(*options, "patience=null", "name=run", "dataset.batch_size=64")
    assert status == 0, error
    assert "of 40 is the best" in out
