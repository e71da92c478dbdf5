"""The table of a model's layers."""

import torch

from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.cnn import CNN
from seqtext.models.rnn import GRU
from seqtext.run_dir import RunDir
from seqtext.training.model_summary import format_model_summary
from seqtext.training.train import train_and_evaluate
from tests.conftest import settings_of


def test_table():
    model = GRU(RandomEmbedding(11, dim=100), 5, units=[8, 16], head_units=32, bidirectional=True)
    model.embedding.requires_grad_(False)
    assert format_model_summary(model).splitlines() == [
        "layer          shape        trainable",
        "embedding      B × T × 100          0",
        "layers.0       B × T × 16       5,280",
        "layers.1       B × T × 32       3,264",
        "head_layers.0  B × 32           2,080",
        "output         B × 5              165",
        "together                       10,789",
    ]


def test_table_of_blocks_that_pool():
    model = CNN(RandomEmbedding(11, dim=8), 5, filters=[6, 7, 9], kernel_sizes=[5, 4, 3])
    assert format_model_summary(model).splitlines() == [
        "layer      shape        trainable",
        "embedding  B × T × 8           88",
        "blocks.0   B × T/2 × 6        258",
        "blocks.1   B × T/4 × 7        189",
        "blocks.2   B × 1 × 9          216",
        "output     B × 5               50",
        "together                      801",
    ]


def test_it_leaves_no_trace():
    model = GRU(RandomEmbedding(11), units=4, batch_norm=True, layers=2).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    format_model_summary(model)
    assert model.training
    assert model.layers.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_in_a_run(small, tmp_path, caplog):
    """At the start of a run, for a model with lists of options."""
    caplog.set_level("INFO")
    options = [
        "units=[8,6]",
        "head_units=[5]",
        "head_l2=1e-4",
        "head_batch_norm=true",
        "init=he_normal",
    ]
    options += ["activation=relu", "recurrent_dropout=[0.1,0]", "batch_norm=true"]
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*small, *(f"model.{option}" for option in options)), folder)
    metrics = folder.read_metrics()
    (table,) = (m for m in caplog.messages if m.startswith("layer"))
    assert "\nlayers.1       B × T × 6" in table
    assert table.split()[-1] == f"{metrics['parameters']:,}"
    assert metrics["test"]["auroc"] > 0.9
