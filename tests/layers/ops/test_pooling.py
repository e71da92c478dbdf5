"""The compiled maximum over time equals torch's, also where values are equal."""

import pytest
import torch

from seqtext.layers import pooling
from seqtext.layers.ops import pooling as compiled
from seqtext.layers.ops.extension import load_extension

pytestmark = pytest.mark.skipif(not load_extension(), reason="There is no compiled operator here.")


def results(states, lengths) -> list[torch.Tensor]:
    states = states.clone().requires_grad_()
    largest = pooling.max_over_time(states, lengths)
    weights = torch.linspace(-1, 1, largest.numel(), dtype=states.dtype).view_as(largest)
    return [largest, *torch.autograd.grad((largest * weights).sum(), states)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 7, 5), (3, 40, 33)], ids=str)
def test_equals_torch(dtype, shape, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    states = torch.randint(-3, 4, shape, generator=generator).to(dtype)  # many are equal
    lengths = torch.randint(1, shape[1] + 1, shape[:1], generator=generator)
    assert compiled.is_supported(states)
    own = results(states, lengths)
    own += results(states.transpose(0, 1).contiguous().transpose(0, 1), lengths)
    monkeypatch.setattr(compiled, "is_supported", lambda states: False)
    wanted = results(states, lengths)
    assert all(map(torch.equal, own, wanted * 2))


def test_nan_stays():
    states = torch.zeros(1, 3, 2)
    states[0, 1, 0] = torch.nan
    largest = pooling.max_over_time(states, torch.tensor([3]))
    assert largest.isnan().tolist() == [[True, False]]
