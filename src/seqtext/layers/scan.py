"""The recurrence h_t = a_t h_(t-1) + b_t, elementwise, in one pass or in log2 T parallel ones.

The decay a_t depends on no state, so that neighbouring steps can be combined in any order
(Blelloch, 1990, "Prefix Sums and Their Applications"): (a, b) before (a', b') is (a' a, a' b + b').
"""

from typing import Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ScanMethod = Literal["parallel", "sequential"]


def linear_scan(
    decay: Tensor, inputs: Tensor, reverse: bool = False, method: ScanMethod | None = None
) -> Tensor:
    """Compute h_t = a_t h_(t-1) + b_t with h before the first step zero.

    Args:
        decay: a [B, T, U]
        inputs: b [B, T, U]
        reverse: whether to run from the last step to the first
        method: "parallel": log2 T passes over all steps; "sequential": one step after the other;
            None: parallel on a GPU, where the number of operations counts, else sequential

    Returns:
        h [B, T, U]
    """
    if torch.compiler.is_exporting():
        return _scan_in_onnx(decay, inputs, reverse)
    if method is None:
        method = "sequential" if inputs.device.type == "cpu" else "parallel"
    return _Scan.apply(decay, inputs, reverse, method)


class _Scan(torch.autograd.Function):
    """Autograd function: the gradient of the states is a scan in the other direction."""

    @staticmethod
    def forward(ctx, decay, inputs, reverse, method):
        states = _compute(decay, inputs, reverse, method)
        ctx.save_for_backward(decay, states)
        ctx.how = reverse, method
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (decay, states), (reverse, method) = ctx.saved_tensors, ctx.how
        later = _shift(decay, not reverse)  # what a state was multiplied by
        d_inputs = _compute(later, gradient, not reverse, method)
        return d_inputs * _shift(states, reverse), d_inputs, None, None


def _shift(values: Tensor, reverse: bool) -> Tensor:
    """Return the values of the step before, with zeros at the first: [B, T, U] → [B, T, U]."""
    shifted = torch.zeros_like(values)
    if reverse:
        shifted[:, :-1] = values[:, 1:]
    else:
        shifted[:, 1:] = values[:, :-1]
    return shifted


def _compute(decay: Tensor, inputs: Tensor, reverse: bool, method: ScanMethod) -> Tensor:
    if method == "sequential":
        return _scan_sequentially(decay, inputs, reverse)
    if reverse:
        return _scan_in_parallel(decay.flip(1), inputs.flip(1)).flip(1)
    return _scan_in_parallel(decay, inputs)


def _scan_in_parallel(decay: Tensor, inputs: Tensor) -> Tensor:
    """Combine each step with those 1, 2, 4, … steps before (Hillis and Steele, 1986)."""
    distance, steps = 1, inputs.shape[1]
    while distance < steps:
        head = inputs[:, :distance], decay[:, :distance]
        tail = torch.addcmul(inputs[:, distance:], decay[:, distance:], inputs[:, :-distance])
        inputs = torch.cat([head[0], tail], dim=1)
        decay = torch.cat([head[1], decay[:, distance:] * decay[:, :-distance]], dim=1)
        distance *= 2
    return inputs


def _scan_sequentially(decay: Tensor, inputs: Tensor, reverse: bool) -> Tensor:
    states = torch.empty_like(inputs)
    rows = [each.unbind(1) for each in (decay, inputs, states)]
    if reverse:
        rows = [each[::-1] for each in rows]
    state = torch.zeros_like(inputs[:, 0])
    for a, b, to in zip(*rows, strict=True):
        state = torch.addcmul(b, a, state, out=to)
    return states


def _scan_in_onnx(decay: Tensor, inputs: Tensor, reverse: bool) -> Tensor:
    from torch._higher_order_ops.scan import scan  # not public yet

    def step(state: Tensor, read: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        after = read[0] * state + read[1]
        return after, after.clone()  # scan refuses aliased outputs

    start = torch.zeros_like(inputs[:, 0])
    rows = decay.transpose(0, 1), inputs.transpose(0, 1)
    return scan(step, start, rows, reverse=reverse)[1].transpose(0, 1)
