"""Rebuild a network for the tensors of a checkpoint, which may be untrusted."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from seqtext.config.instantiate import build_from_config, resolve_target
from seqtext.errors import UserError, format_reason
from seqtext.models.base import TextClassifier
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import get_option_hints

Target = Literal["nominal", "ordinal"]


def build_empty_model(
    options: dict[str, Any],
    embedding: dict[str, Any],
    words: int,
    classes: int,
    state: Mapping[str, Tensor] | None = None,
    stored_arguments: Any = None,
    target: Target = "nominal",
) -> TextClassifier:
    """Build a model without weights on the meta device: the file may request arbitrary sizes.

    Args:
        options: options of the model, with `_target_`
        embedding: options of the embedding
        words: number of words in the vocabulary, without the special tokens
        state: tensors that the model must have; None: any
        stored_arguments: see `TextClassifier.get_stored_arguments`
        target: whether the classes are ordered

    Raises:
        UserError: if it cannot be built, or has more layers than tensors.
    """
    arguments = _check_arguments(options, stored_arguments, state)
    layers = options.get("layers", 1)
    if state is not None and isinstance(layers, int) and layers > len(state):
        raise UserError(f"config.model.layers={layers} are more than its state_dict has.")
    if embedding.get("dim", 0) is None:  # that of the file of the vectors
        vectors = (state or {}).get("embedding.weight")
        dim = vectors.shape[1] if isinstance(vectors, Tensor) and vectors.dim() == 2 else 1
        embedding = embedding | {"dim": dim}
    try:
        with torch.device("meta"):
            table = build_from_config(
                "embedding", embedding, vocabulary_size=len(SPECIAL_TOKENS) + words
            )
            model = build_from_config(
                "model", options, embedding=table, classes=classes, **arguments
            )
            if target == "ordinal":
                model.make_ordinal()
    except UserError:
        raise
    except (RuntimeError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"its model cannot be built: {format_reason(error)}.") from error
    return model


def _check_arguments(
    options: dict[str, Any], stored: Any, state: Mapping[str, Tensor] | None
) -> dict[str, Any]:
    """Return stored arguments: those that the model's constructor has, and the tensors allow.

    A checkpoint must have them: without a description, `Pretrained` would read, and might download,
    an encoder that the checkpoint names.
    """
    kind = resolve_target("model", options["_target_"])
    has_own = kind.get_stored_arguments is not TextClassifier.get_stored_arguments
    needed = {"description"} & {*get_option_hints(kind)} if has_own else set()
    if stored is None and (state is None or not needed):
        return {}
    if not isinstance(stored, dict) or {*stored} != needed or None in stored.values():
        raise UserError("the stored arguments of its model are missing or damaged.")
    if "description" in stored and state is not None and options.get("frozen") is False:
        from seqtext.encoders.architecture import check_description

        check_description(stored["description"], len(state))
    return stored


def match_state_dict(
    state: dict[str, Tensor], wanted: Mapping[str, Tensor], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return a checkpoint's tensors with the names and dtypes of a model's.

    Raises:
        UserError: if a tensor is missing or unknown, or its shape or type is wrong.
    """
    for name in (*wanted, *state):
        if name not in state or name not in wanted:
            what = "has no" if name in wanted else "has an unknown"
            raise UserError(f"its state_dict {what} {name}.")
        if state[name].shape != wanted[name].shape:
            shapes = [list(each[name].shape) for each in (state, wanted)]
            raise UserError(f"state_dict {name} has the shape {shapes[0]}, not {shapes[1]}.")
        if state[name].is_floating_point() != wanted[name].is_floating_point():
            raise UserError(f"state_dict {name} is of type {state[name].dtype}.")
    types = {n: dtype if t.is_floating_point() else t.dtype for n, t in wanted.items()}
    return {name: state[name].to(types[name]).contiguous() for name in wanted}
