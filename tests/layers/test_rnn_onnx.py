"""ONNX recurrent operators equal this package's layers, for all activations and directions."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from seqtext.inference.export import build_onnx_program
from seqtext.layers.activations import ACTIVATIONS
from seqtext.layers.pooling import padding_mask
from seqtext.layers.rnn import rnn_forward
from seqtext.layers.rnn_onnx import (
    ONNX_ACTIVATIONS,
    build_operator_attributes,
    build_operator_weights,
)

KINDS = (nn.RNN, nn.LSTM, nn.GRU)
ACTIVATION_PAIRS = [
    *((name, "sigmoid") for name in ONNX_ACTIVATIONS),
    *(("tanh", name) for name in ONNX_ACTIVATIONS),
    ("leaky_relu", "hard_sigmoid"),  # constants of both: in the right order
    ("hard_sigmoid", "elu"),
]
INPUTS, UNITS = 4, 3


def cell_of(kind: type[nn.RNNBase]) -> nn.RNNBase:
    torch.manual_seed(0)
    cell = kind(INPUTS, UNITS, batch_first=True)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.3)
    return cell.requires_grad_(False)


def operator_states(cell: nn.RNNBase, inputs: Tensor, lengths: Tensor, *how) -> Tensor:
    """Return the states [B, T, U] of the operator alone."""
    arrays = [inputs.transpose(0, 1).contiguous(), *build_operator_weights(cell), lengths.int()]
    names = ["x", "w", "r", "b", "lengths"]
    types = [TensorProto.FLOAT] * 4 + [TensorProto.INT32]
    values = [
        helper.make_tensor_value_info(name, kind, array.shape)
        for name, kind, array in zip(names, types, arrays, strict=True)
    ]
    attributes = build_operator_attributes(cell, *how)
    node = helper.make_node(type(cell).__name__, names, ["y"], **attributes)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph([node], "one", values, [output])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(made)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (states,) = session.run(
        None, {name: array.numpy() for name, array in zip(names, arrays, strict=True)}
    )
    return torch.from_numpy(states)[:, 0].transpose(0, 1)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_operators(kind, reverse):
    cell, lengths = cell_of(kind), torch.tensor([5, 1, 3])
    inputs = torch.randn(3, 5, INPUTS)
    words = ~padding_mask(lengths, 5)
    for how in ACTIVATION_PAIRS:
        states = operator_states(cell, inputs, lengths, *how, reverse)
        wanted = rnn_forward(cell, inputs, lengths, *how, reverse=reverse)
        torch.testing.assert_close(states[words], wanted[words], atol=1e-5, rtol=1e-5)


BEYOND = {nn.LSTM: ("gelu", "softmax", True), nn.GRU: ("softmax", "selu", False)}


class Beyond(nn.Module):
    """Cells with activations that ONNX operators lack, and all activations alone."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, INPUTS)
        self.cells = nn.ModuleList(map(cell_of, BEYOND))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T] → [B, T, 2 U + activations × INPUTS]"""
        inputs = self.words(ids)
        states = [
            rnn_forward(cell, inputs, lengths, *how, reverse=reverse)
            for cell, (*how, reverse) in zip(self.cells, BEYOND.values(), strict=True)
        ]
        others = [function(3 * inputs) for function in ACTIVATIONS.values()]
        mask = padding_mask(lengths, ids.shape[1])
        return torch.cat([*states, *others], dim=2).masked_fill(mask[..., None], 0)


@pytest.mark.slow
def test_beyond_the_operators():
    torch.manual_seed(0)
    module = Beyond().requires_grad_(False)
    program = build_onnx_program(module)
    assert [node.op_type for node in program.model.graph].count("Scan") == len(BEYOND)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for lengths in ([1], [3, 1], [7, 12, 1, 5]):
        ids = torch.randint(0, 20, (len(lengths), max(lengths)))
        (values,) = session.run(None, {"ids": ids.numpy(), "lengths": np.array(lengths)})
        wanted = module(ids, torch.tensor(lengths))
        torch.testing.assert_close(torch.from_numpy(values), wanted, atol=1e-6, rtol=1e-6)
