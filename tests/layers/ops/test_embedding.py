"""The compiled gradient of a table of vectors equals torch's, bit by bit."""

import pytest
import torch
from torch.nn import functional as F

from seqtext.layers.ops.embedding import embed
from seqtext.layers.ops.extension import load_extension

pytestmark = pytest.mark.skipif(not load_extension(), reason="There is no compiled operator here.")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("threads", [1, 2], indirect=True)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torch(dtype):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(11, 7, generator=generator).to(dtype).requires_grad_()
    ids = torch.randint(0, 11, (9, 13), generator=generator)
    weights = torch.randn(9, 7, 13, generator=generator).to(dtype).transpose(1, 2)
    own, wanted = embed(ids, table), F.embedding(ids, table, padding_idx=0)
    assert torch.equal(own, wanted)
    assert "_Embedding" in type(own.grad_fn).__name__
    gradients = [torch.autograd.grad((v * weights).sum(), table)[0] for v in (own, wanted)]
    assert torch.equal(*gradients)
    assert not gradients[0][0].any()


def test_frozen_table():
    vectors = embed(torch.tensor([[1, 0]]), torch.ones(3, 2))
    assert not vectors.requires_grad
