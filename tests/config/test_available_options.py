"""Options that exist only in other choices of their group."""

import pytest

from seqtext.config.available_options import explain_other_choice, set_command_line
from tests.conftest import ROOT

RECURRENT = ", ".join(
    f"model={name}"
    for name in (
        *("attention", "char_rnn", "dual_rnn", "gru", "han", "lstm", "mingru", "minlstm", "qrnn"),
        *("rcnn", "rnn", "s4d", "transformer", "wide_and_deep"),
    )
)


@pytest.mark.parametrize(
    ("values", "option", "ending"),
    [
        ({}, "dataset.path", "with dataset=imdb: it belongs to dataset=table."),
        ({"dataset": "spam"}, "dataset.path", "with dataset=spam: it belongs to dataset=table."),
        ({"experiment": "tweets/lstm"}, "dataset.path", "with dataset=tweets: it belongs to"),
        (
            {"experiment": "tweets/lstm", "model": "cnn"},
            "model.units",
            "with model=cnn: it belongs",
        ),
        ({"experiment": "imdb/grid"}, "model.cell", "with model=gru,lstm: it belongs to"),
        ({"experiment": "imdb/best,spam/tuned"}, "model.cell", "with model=gru: it belongs to"),
        ({"model": "rnn,dual_rnn"}, "model.cell", "with model=rnn: it belongs to model=char_rnn"),
        ({"model": "choice(rnn,gru)"}, "model.cell", "here: it belongs to model=char_rnn"),
        ({"model": "cnn"}, "model.units.0", f"with model=cnn: it belongs to {RECURRENT}."),
        ({}, "embedding.freeze", "it belongs to embedding="),
        ({}, "scheduler.factor", "with scheduler=one_cycle: it belongs to scheduler=plateau."),
        ({}, "hydra.sweeper.n_trials", "with hydra/sweeper=basic: it belongs to hydra/sweeper=opt"),
        ({}, "hydra.sweeper.sampler.seed", "it belongs to hydra/sweeper=optuna."),
        ({}, "hydra.launcher.n_jobs", "with hydra/launcher=basic: it belongs to hydra/launcher=jo"),
        ({}, "hydra.launcher.ray.init.address", "it belongs to hydra/launcher=ray."),
        ({}, "hydra.launcher.timeout_min", "hydra/launcher=submitit_local, hydra/launcher=submit"),
    ],
)
def test_the_choices_are_named(values, option, ending):
    set_command_line([ROOT / "conf"], values)
    sentence = explain_other_choice(option)
    assert sentence.startswith(f"There is no option {option} ")
    assert ending in sentence


@pytest.mark.parametrize(
    "option", ["model.unitz", "model.units.x", "model", "seed", "split.seed", "hydra", "hydra.x.y"]
)
def test_options_of_no_other_choice(option):
    set_command_line([ROOT / "conf"], {})
    assert explain_other_choice(option) is None


def test_the_class_of_stored_settings_decides():
    set_command_line([ROOT / "conf"], {"model": "cnn"})
    sentence = explain_other_choice("model.cell", "seqtext.models.rnn.LSTM")
    assert "model.cell with model=lstm: it belongs to model=char_rnn" in sentence
