"""ONNX' recurrences give this package's states, whatever the activation, direction and length."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from seqtext.models.activations import ACTIVATIONS
from seqtext.models.cells import recur
from seqtext.models.onnx_recurrence import FUNCTIONS, operator_attributes, operator_weights
from seqtext.models.pooling import padding_mask
from seqtext.predict.export import onnx_program

KINDS = (nn.RNN, nn.LSTM, nn.GRU)
ACTIVATION_PAIRS = [
    *((name, "sigmoid") for name in FUNCTIONS),
    *(("tanh", name) for name in FUNCTIONS),
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
    """[B, T, U] by the operator alone."""
    arrays = [inputs.transpose(0, 1).contiguous(), *operator_weights(cell), lengths.int()]
    names = ["x", "w", "r", "b", "lengths"]
    types = [TensorProto.FLOAT] * 4 + [TensorProto.INT32]
    values = [
        helper.make_tensor_value_info(name, kind, array.shape)
        for name, kind, array in zip(names, types, arrays, strict=True)
    ]
    attributes = operator_attributes(cell, *how)
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
        wanted = recur(cell, inputs, lengths, *how, reverse=reverse)
        torch.testing.assert_close(states[words], wanted[words], atol=1e-5, rtol=1e-5)


class Scans(nn.Module):
    """One of each cell, with activations that the operators do not know."""

    HOW = (("selu", "tanh", True), ("gelu", "softmax", False), ("softmax", "silu", True))

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, INPUTS)
        self.cells = nn.ModuleList(map(cell_of, KINDS))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T] → [B, T, 3 U]"""
        inputs = self.words(ids)
        states = [
            recur(cell, inputs, lengths, *how, reverse=reverse)
            for cell, (*how, reverse) in zip(self.cells, self.HOW, strict=True)
        ]
        mask = padding_mask(lengths, ids.shape[1])
        return torch.cat(states, dim=2).masked_fill(mask[..., None], 0)


def test_scans():
    module = Scans().requires_grad_(False)
    program = onnx_program(module)
    assert [node.op_type for node in program.model.graph].count("Scan") == len(KINDS)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    for lengths in ([1], [3, 1], [7, 12, 1, 5]):
        ids = torch.randint(0, 20, (len(lengths), max(lengths)))
        (states,) = session.run(None, {"ids": ids.numpy(), "lengths": np.array(lengths)})
        torch.testing.assert_close(
            torch.from_numpy(states), module(ids, torch.tensor(lengths)), atol=1e-6, rtol=0
        )


class Activations(nn.Module):
    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, T] → [activations, B, T]"""
        numbers = (ids - 8) / 3 * (lengths > 0)[:, None]
        return torch.stack([function(numbers) for function in ACTIVATIONS.values()])


def test_activations_outside_recurrences():
    program = onnx_program(Activations())
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    ids, lengths = torch.arange(30).view(2, 15), torch.tensor([15, 15])
    (values,) = session.run(None, {"ids": ids.numpy(), "lengths": lengths.numpy()})
    wanted = Activations()(ids, lengths)
    torch.testing.assert_close(torch.from_numpy(values), wanted, atol=1e-6, rtol=1e-6)
