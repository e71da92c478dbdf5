"""The states of SimpleRNN, LSTM and GRU, in the fastest way that there is for the options.

On a CPU that is one compiled operator; elsewhere torch's own modules, and for what they do not
know (other activations, dropout of states) this package's general form of them.
"""

import torch
from torch import Tensor, nn

from seqtext.layers import rnn_autograd as plain
from seqtext.layers import rnn_onnx as onnx_recurrence
from seqtext.layers import rnn_reference as stepwise
from seqtext.layers.ops import rnn as fused


def recur(
    cell: nn.RNNBase,
    inputs: Tensor,
    lengths: Tensor,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    input_mask: Tensor | None = None,
    mask: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """The states of `cell` on texts.

    Args:
        cell: one layer and direction: nn.RNN, nn.LSTM or nn.GRU, of G gates; its weights count
        inputs: [B, T, E]
        lengths: [B]
        activation: of the candidate, and of an LSTM's output
        recurrent_activation: of the gates
        input_mask: [G, B, E] factors of the inputs on their way into each gate
        mask: [G, B, U] factors of the previous state on its way into each gate
        reverse: read each text from its end; states stand where their words do

    Returns:
        States [B, T, U]; what stands behind a text's end means nothing.
    """
    options = activation, recurrent_activation, input_mask, mask
    if torch.compiler.is_exporting():
        return onnx_recurrence.recur(cell, inputs, lengths, *options[:2], reverse)
    if fused.serves(cell, inputs, activation, recurrent_activation):
        return fused.recur(cell, inputs, lengths, *options, reverse)
    order = reversal(lengths, inputs.shape[1]) if reverse else None
    inputs = inputs if order is None else take(inputs, order)
    if options == ("tanh", "sigmoid", None, None):
        states = cell(inputs)[0]
    elif "softmax" in options[:2]:
        states = stepwise.recur(cell, inputs, *options)
    else:
        states = plain.recur(cell, inputs, lengths, *options)
    return states if order is None else take(states, order)


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """[B, T] positions that reverse each text within its length and leave the padding behind."""
    forward = torch.arange(steps, device=lengths.device)
    backward = lengths[:, None] - 1 - forward
    return torch.where(backward >= 0, backward, forward)


def take(states: Tensor, order: Tensor) -> Tensor:
    """[B, T, D] with the words of each text in another order [B, T]."""
    return states.gather(1, order[..., None].expand(-1, -1, states.shape[2]))
