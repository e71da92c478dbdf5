"""Format the layers of a model as a table."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seqtext.layers.module_list import ModuleList
from seqtext.models.base import TextClassifier
from seqtext.token_ids import UNKNOWN

BATCH, WORDS = 2, 61  # size of the dummy batch


def format_model_summary(model: TextClassifier) -> str:
    """Format name, output shape for B texts of T words, and trainable parameters per layer."""
    layers = dict(_iter_layers(model))
    shapes = _measure_shapes(model, layers)
    rows = [("layer", "shape", "trainable")]
    unused = [n for n in layers if n not in shapes and any(True for _ in layers[n].parameters())]
    for name in [*shapes, *unused]:  # in order of use
        rows.append((name, shapes.get(name, ""), f"{_count_trainable(layers[name]):,}"))
    rows.append(("together", "", f"{_count_trainable(model):,}"))
    first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(f"{a:{first}}  {b:{second}}  {c:>{third}}" for a, b, c in rows)


def _iter_layers(module: nn.Module, prefix: str = ""):
    """Yield names and modules; plain lists of layers are flattened."""
    for name, child in module.named_children():
        if type(child) in (ModuleList, nn.ModuleList, nn.ModuleDict):
            yield from _iter_layers(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def _measure_shapes(model: TextClassifier, layers: dict[str, nn.Module]) -> dict[str, str]:
    shapes, training = {}, model.training

    def keep(name: str, output: Tensor | Sequence[Tensor]) -> None:
        if not isinstance(output, Tensor):
            output = output[0]  # of an encoder of transformers
        sizes = ["B", *map(str, output.shape[1:])]
        if output.ndim == 3 and output.shape[1] > 1:
            share = round(WORDS / output.shape[1])  # words per pooling window
            sizes[1] = "T" if share == 1 else f"T/{share}"
        shapes[name] = " × ".join(sizes)

    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            forward = getattr(model, "summarize", model)  # of models with features in memory
            model.eval()
            forward(torch.full((BATCH, WORDS), UNKNOWN), torch.full((BATCH,), WORDS))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return shapes


def _count_trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
