"""Pool token vectors of padded texts to one vector per text, without padding."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from seqtext import speedups
from seqtext.choices import POOLINGS
from seqtext.errors import UserError, describe_error
from seqtext.layers.initializers import Init, init_linear_
from seqtext.layers.ops import pooling as compiled_pooling
from seqtext.token_ids import PAD

AttentionPer = Literal["word", "feature"]
if TYPE_CHECKING:
    PoolingName = str
else:
    PoolingName = Literal[POOLINGS]
Pooling = PoolingName | Callable[..., nn.Module]  # or a class of one's own, with its options


def padding_mask(lengths: Tensor, steps: int) -> Tensor:
    """Return a mask [B, T] that is True at padding."""
    return torch.arange(steps, device=lengths.device) >= lengths[:, None]


def max_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Pool the maximum of each feature: [B, T, D] → [B, D]."""
    if compiled_pooling.is_supported(states):
        return compiled_pooling.max_over_time(states, lengths)
    mask = padding_mask(lengths, states.shape[1])
    return amax_with_ties(states.masked_fill(mask[..., None], -torch.inf), 1)


def amax_with_ties(states: Tensor, dim: int) -> Tensor:
    """Return the maxima along `dim`; equal maxima share the gradient, as in `Tensor.amax`."""
    if states.requires_grad and speedups.is_enabled():
        return _Amax.apply(states, dim)
    return states.amax(dim)


class _Amax(torch.autograd.Function):
    """amax with a faster backward, see `speedups.amax_backward`."""

    @staticmethod
    def forward(ctx, states: Tensor, dim: int) -> Tensor:
        largest = states.amax(dim, keepdim=True)
        ctx.save_for_backward(states, largest)
        ctx.dim = dim
        return largest.squeeze(dim)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        states, largest = ctx.saved_tensors
        return speedups.amax_backward(states, largest, gradient, ctx.dim), None


def k_max_over_time(states: Tensor, lengths: Tensor, steps: int, k: Tensor | None = None) -> Tensor:
    """Select the largest values of each feature in their order: [B, T, D] → [B, steps, D].

    Of equal values the first ones are selected (Kalchbrenner et al., 2014, "A Convolutional Neural
    Network for Modelling Sentences"). A text with fewer values has zeros at the end.

    Args:
        states: with T at least `steps`
        k: [B] number of values of each text, at most `steps`; None: `steps`
    """
    mask = padding_mask(lengths, states.shape[1])[..., None]
    masked = states.masked_fill(mask, -torch.inf)
    if torch.compiler.is_exporting():  # ONNX has no stable sort; its TopK selects the first ones
        order = masked.topk(steps, dim=1).indices
    else:
        order = masked.argsort(dim=1, descending=True, stable=True)[:, :steps]
    if k is not None:
        is_left_out = padding_mask(k, steps)[..., None]
        order = order.masked_fill(is_left_out, states.shape[1])
        states, mask = F.pad(states, (0, 0, 0, 1)), F.pad(mask, (0, 0, 0, 1), value=True)
    order = order.sort(dim=1).values
    return states.masked_fill(mask, 0).gather(1, order)


def mean_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Pool the mean over the tokens: [B, T, D] → [B, D]."""
    mask = padding_mask(lengths, states.shape[1])
    return states.masked_fill(mask[..., None], 0).sum(dim=1) / lengths[:, None].to(states.dtype)


def max_mean_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Concatenate the maximum and the mean over the tokens: [B, T, D] → [B, 2 D]."""
    return torch.cat([max_over_time(states, lengths), mean_over_time(states, lengths)], dim=1)


def last_over_time(states: Tensor, lengths: Tensor, directions: int = 1) -> Tensor:
    """Select each direction's state after its last token: [B, T, D] → [B, D]."""
    units = states.shape[2] // directions
    last = select_time_step(states[..., :units], lengths - 1)
    return torch.cat([last, states[:, 0, units:]], dim=1)  # the backward pass ends at token 0


def first_over_time(states: Tensor, lengths: Tensor) -> Tensor:
    """Select the state of the first token: [B, T, D] → [B, D]."""
    return states[:, 0]


def select_time_step(states: Tensor, positions: Tensor) -> Tensor:
    """Select the state at one position of each text: [B, T, D], [B] → [B, D]."""
    places = positions[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, places).squeeze(1)


def masked_embedding_bag(table: Tensor, rows: Tensor, factors: Tensor | None = None) -> Tensor:
    """Sum rows of a table, [V, D] and row numbers [B, M] → [B, D]; row 0 is ignored.

    Args:
        factors: [B, M] factors of the rows
    """
    if torch.compiler.is_exporting():  # ONNX lacks embedding_bag, which saves memory
        found = F.embedding(rows, table).masked_fill((rows == PAD)[..., None], 0)
        return (found if factors is None else found * factors[..., None]).sum(dim=1)
    return F.embedding_bag(rows, table, mode="sum", padding_idx=PAD, per_sample_weights=factors)


class AdditiveAttention(nn.Module):
    """Averages token states with learned attention weights.

    Args:
        features: D, number of features
        init: weight initialization
        per: "word": one weight per word, the softmax of v · tanh(W h + b) (Bahdanau et al., 2015;
            Yang et al., 2016); "feature": one per feature of each word, of tanh(W h + b)
    """

    def __init__(self, features: int, init: Init, per: AttentionPer = "word"):
        super().__init__()
        self.hidden = init_linear_(nn.Linear(features, features), init)
        self.score = None
        if per == "word":
            self.score = init_linear_(nn.Linear(features, 1, bias=False), init)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D] → [B, D]"""
        weights = self._weights(states, lengths).to(states.dtype)
        mask = padding_mask(lengths, states.shape[1])
        return (weights * states.masked_fill(mask[..., None], 0)).sum(dim=1)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return weights [B, T], or [B, T, D] per feature; they sum to 1 over T, 0 at padding."""
        weights = self._weights(states, lengths)
        return weights.squeeze(2) if self.score else weights

    def _weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return weights that broadcast to states, [B, T, D] → [B, T, 1] or [B, T, D]."""
        scores = torch.tanh(self.hidden(states))
        if self.score:
            scores = self.score(scores)
        mask = padding_mask(lengths, states.shape[1])
        return scores.masked_fill(mask[..., None], -torch.inf).softmax(dim=1)


ATTENTION: dict[str, AttentionPer] = {"attention": "word", "attention_per_feature": "feature"}
POOL_FUNCTIONS = {
    "first": first_over_time,
    "max": max_over_time,
    "mean": mean_over_time,
    "max_mean": max_mean_over_time,
}


def prepare_pooling(pooling: Pooling, features: int) -> tuple[PoolingName | nn.Module, int]:
    """Build a pooling module of one's own; return it, or a name, and the width of text vectors.

    A class of one's own is called with `features` if it takes it. Its `forward(states [B, T, D],
    lengths [B])` returns text vectors [B, D'], D' its attribute `out_features`, or else D.

    Raises:
        UserError: if the module does not return such vectors.
    """
    if isinstance(pooling, str):
        return pooling, features * (2 if pooling == "max_mean" else 1)
    kind = pooling.func if isinstance(pooling, partial) else pooling
    takes_features = "features" in inspect.signature(kind).parameters
    module = pooling(features=features) if takes_features else pooling()
    width = getattr(module, "out_features", features)
    if torch.get_default_device().type != "meta":  # which has no values
        _check_pooling(module, features, width)
    return module, width


def build_pooling(
    pooling: PoolingName | nn.Module, features: int, init: Init, directions: int = 1
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function, or a module, from states [B, T, D] and lengths [B] to text vectors.

    Args:
        pooling: see `prepare_pooling`
        features: D
        init: weight initialization of attention
        directions: number of directions that the states concatenate
    """
    if isinstance(pooling, nn.Module):
        return pooling
    if pooling in ATTENTION:
        return AdditiveAttention(features, init, ATTENTION[pooling])
    if pooling == "last":
        return partial(last_over_time, directions=directions)
    return POOL_FUNCTIONS[pooling]


def _check_pooling(module: nn.Module, features: int, width: int) -> None:
    name, mode = type(module).__name__, module.training
    try:
        with torch.no_grad():
            pooled = module.eval()(torch.zeros(2, 3, features), torch.tensor([3, 1]))
    except Exception as error:  # of code that may be the user's
        raise UserError(f"model.pooling: {name} fails ({describe_error(error)}).") from error
    module.train(mode)
    shape = list(getattr(pooled, "shape", ()))
    if shape != [2, width]:
        raise UserError(
            f"model.pooling: {name} returns the shape {shape} for 2 texts, not "
            f"{[2, width]}: set its attribute out_features to the width of its text vectors."
        )
