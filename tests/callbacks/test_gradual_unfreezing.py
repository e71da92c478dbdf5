"""Layers are trained from the head to the word vectors, also when a run resumes within an epoch."""

from types import SimpleNamespace

import pytest
import torch

from seqtext.callbacks.gradual_unfreezing import GradualUnfreezing
from seqtext.embeddings.random import RandomEmbedding
from seqtext.models.rnn import GRU


@pytest.mark.parametrize(
    ("epoch", "trained"),
    [
        (0, {"output"}),
        (1, {"output", "layers.1"}),
        (2, {"output", "layers.1", "layers.0"}),
        (3, {"output", "layers.1", "layers.0", "embedding"}),
    ],
)
def test_a_run_that_resumes_within_an_epoch(epoch, trained):
    model = GRU(RandomEmbedding(9, 4), units=[3, 2])
    trainer = SimpleNamespace(
        world_size=1,
        max_epochs=6,
        current_epoch=epoch,
        optimizers=[torch.optim.SGD(model.parameters(), lr=0.1)],
    )
    callback = GradualUnfreezing()
    callback.on_train_start(trainer, model)  # alone: the epoch has begun before
    found = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in found if name.startswith(tuple(trained))} == found
    for part in trained:
        assert any(name.startswith(part) for name in found)
    assert model.is_unfreezing == (epoch < 3)
    callback.on_train_end(trainer, model)
    assert all(p.requires_grad for p in model.parameters())
