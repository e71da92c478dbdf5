"""Learning rates of the layers of an encoder."""

from torch import nn


def compute_lr_factors(
    encoder: nn.Module, embedding: nn.Module, factor: float, layer_decay: float
) -> dict[int, float]:
    """Return factors of the learning rate of all parameters by their `id`.

    The last of the encoder's layers has `factor`, each layer `layer_decay` times that of the next
    one, and what comes before the layers, such as word vectors, as a further layer. What all
    layers share, as in ALBERT, has the rate of what comes before.
    """
    lists = [(n, m) for n, m in encoder.named_modules() if isinstance(m, nn.ModuleList)]
    prefix, layers = max(lists, key=lambda item: len(item[1]), default=("", ()))
    depth, factors = len(layers), {}
    for name, parameter in encoder.named_parameters():
        below = depth
        if layers and name.startswith(f"{prefix}."):
            below = depth - 1 - int(name.removeprefix(f"{prefix}.").partition(".")[0])
        factors[id(parameter)] = factor * layer_decay**below
    return factors | {id(p): factor * layer_decay**depth for p in embedding.parameters()}
