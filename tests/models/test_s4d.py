"""The state space model equals its recurrence, step by step."""

import pytest
import torch

from seqtext.errors import UserError
from seqtext.layers.state_space import DiagonalStateSpace
from seqtext.models.s4d import S4D
from tests.models.invariance import model_of


def step_by_step(layer: DiagonalStateSpace, text: torch.Tensor, direction: int) -> torch.Tensor:
    """Compute the outputs of one text by the paper's recurrence, [T, D] → [T, D]."""
    a = torch.complex(-layer.log_decay.exp(), layer.frequency)  # [D, N / 2]
    step = layer.log_step.exp()[:, None]
    a_bar, b_bar = (a * step).exp(), ((a * step).exp() - 1) / a
    c, state, outputs = torch.view_as_complex(layer.output[direction]), torch.zeros_like(a), []
    for u in text.flip(0) if direction else text:
        state = a_bar * state + b_bar * u[:, None]
        outputs.append(2 * (c * state).sum(1).real)
    return torch.stack(outputs[::-1] if direction else outputs)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_the_recurrence(bidirectional):
    torch.manual_seed(0)
    layer = DiagonalStateSpace(3, 6, bidirectional).double()
    with torch.no_grad():
        layer.log_step += 2  # larger steps: distant tokens matter less than here, but all do
        layer.frequency *= 1.1
    states, lengths = torch.randn(3, 24, 3, dtype=torch.float64), torch.tensor([24, 1, 7])
    own = layer(states, lengths)
    scanned = layer._scan(states.masked_fill((torch.arange(24) >= lengths[:, None])[..., None], 0))
    for row, length in enumerate(lengths):
        text = states[row, :length]
        wanted = sum(step_by_step(layer, text, n) for n in range(1 + bidirectional))
        torch.testing.assert_close(own[row, :length], wanted, atol=1e-10, rtol=0)
        torch.testing.assert_close(scanned[row, :length], wanted, atol=1e-10, rtol=0)
    single = DiagonalStateSpace(3, 6, bidirectional)
    single.load_state_dict(layer.state_dict())
    torch.testing.assert_close(single(states.float(), lengths).double(), own, atol=1e-5, rtol=0)


def test_starting_values():
    """S4D-Lin: A = -1/2 + i π n."""
    layer = DiagonalStateSpace(5, 8)
    assert layer.log_decay.exp().unique().tolist() == pytest.approx([0.5])
    assert layer.frequency[3].tolist() == pytest.approx([0, 3.14159, 6.28319, 9.42478], abs=1e-4)
    assert 0.001 <= layer.log_step.exp().min() <= layer.log_step.exp().max() <= 0.1


def test_odd_state_size_is_refused():
    with pytest.raises(UserError, match="state_size=3 is not possible"):
        model_of(S4D, state_size=3)
