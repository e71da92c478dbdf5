"""Describe the architecture of an encoder in plain values, and build its network from them."""

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqtext.encoders.config_values import DROPPED, check_config
from seqtext.encoders.files import (
    CONFIG,
    TOKENIZER,
    WEIGHTS,
    EncoderFiles,
    build_missing_package_error,
)
from seqtext.errors import UserError, format_reason
from seqtext.speedups import avoid_cudnn_attention
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.hugging_face import list_tokens, parse_tokenizer
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import find_type_error

OFFSET_FAMILIES = (
    "camembert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)  # positions follow that of padding
UNKNOWN_NAMES = ("[UNK]", "<unk>")
DESCRIPTION_TYPES = {
    "config": dict,
    "first": list[int],
    "last": list[int],
    "vocabulary_size": int,
    "digest": str,
}


def describe_encoder(files: EncoderFiles) -> dict[str, Any]:
    """Return what rebuilds an encoder without weights, as plain values.

    - config: options of its class, and `model_type`
    - first, last: our ids of the special tokens before and after a text
    - vocabulary_size: V, including padding and the unknown token
    - digest: SHA-256 of its weights

    Raises:
        UserError: if a file cannot be read, or it is no encoder of `FAMILIES`.
    """
    description = describe_tokens(files) | {"digest": files.digest}
    check_description(description)
    return description


def describe_tokens(files: EncoderFiles) -> dict[str, Any]:
    """Return the part of `describe_encoder` for which the weights are not read."""
    try:
        found = json.loads(files.read(CONFIG))
        config = {k: v for k, v in found.items() if not DROPPED.fullmatch(k) and v is not None}
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"model.path={files.name}: {CONFIG} is not valid.") from error
    tokenizer, tokens, our_ids = _read_tokens(files)
    encoding = tokenizer.encode("a", add_special_tokens=True)
    special = encoding.special_tokens_mask
    before = special.index(0) if 0 in special else len(special)
    after = len(special) - (special[::-1].index(0) if 0 in special else 0)
    numbers = dict(zip(encoding.tokens, encoding.ids, strict=True))
    for token in (*encoding.tokens[:before], *encoding.tokens[after:]):
        if tokenizer.token_to_id(token) != numbers[token]:  # the id is in added_tokens only
            raise UserError(
                f"model.path={files.name}: the vocabulary of {TOKENIZER} lacks its special token "
                f"{token}: take another encoder."
            )
    return {
        "config": config,
        "first": our_ids[encoding.ids[:before]].tolist(),
        "last": our_ids[encoding.ids[after:]].tolist(),
        "vocabulary_size": len(SPECIAL_TOKENS) + len(tokens),
    }


def check_description(description: Any, tensors: int | None = None) -> None:
    """Check a description, which may come from an untrusted checkpoint.

    Args:
        tensors: number of tensors that the network may have; None: any

    Raises:
        UserError: if anything in it is missing or not allowed.
    """
    if not isinstance(description, dict) or {*description} != {*DESCRIPTION_TYPES}:
        raise UserError("The encoder is not described.")
    for name, hint in DESCRIPTION_TYPES.items():
        if expected := find_type_error(description[name], hint):
            raise UserError(f"The encoder's {name} must be {expected}.")
    config, size = description["config"], description["vocabulary_size"]
    if not all(0 <= number < size for number in (*description["first"], *description["last"])):
        raise UserError("The encoder's special tokens are not in its vocabulary.")
    if len(description["first"]) > 8 or len(description["last"]) > 8:
        raise UserError("The encoder has too many special tokens.")
    check_config(config, size, tensors)


def build_encoder(config: Mapping[str, Any]) -> nn.Module:
    """Build an encoder with initial weights on the default device, without its word vectors.

    It is called with `inputs_embeds` [B, T, E] and `attention_mask` [B, T].

    Raises:
        UserError: if transformers is not installed, or refuses the options.
    """
    encoder, _ = _build(config)
    return _remove_unused(encoder)


def load_encoder(files: EncoderFiles, config: Mapping[str, Any]) -> nn.Module:
    """Build an encoder with the weights of its file, without its word vectors.

    Raises:
        UserError: if the tensors are not those of the architecture.
    """
    with torch.device("meta"):
        empty, word_name = _build(config)
    tensors = _load_tensors(files)
    rest = {n: t.float() for n, t in tensors.items() if not n.endswith(word_name)}
    with _silence():
        encoder, found = type(empty).from_pretrained(  # type: ignore[attr-defined]
            None, config=empty.config, state_dict=rest, output_loading_info=True
        )
    missing = [n for n in found["missing_keys"] if n != word_name and not n.startswith("pooler.")]
    wrong = [*missing, *(entry[0] for entry in found["mismatched_keys"])]
    if wrong:
        raise UserError(
            f"model.path={files.name}: its weights have no {wrong[0]} of the shape that its "
            f"config.json describes."
        )
    return _remove_unused(encoder)


def load_word_vectors(files: EncoderFiles, config: Mapping[str, Any]) -> Tensor:
    """Return the word vectors [V, E] of an encoder's file, in our numbering of its tokens.

    The unknown token has the vector of the encoder's own, or the mean.

    Raises:
        UserError: if the file has none.
    """
    with torch.device("meta"):
        _, word_name = _build(config)
    tensors = _load_tensors(files)
    found = next((tensor for name, tensor in tensors.items() if name.endswith(word_name)), None)
    tokenizer, tokens, our_ids = _read_tokens(files)
    if found is None or found.dim() != 2 or len(found) < len(our_ids):
        raise UserError(f"model.path={files.name}: its weights have no vectors of all its tokens.")
    vectors = found.new_zeros(len(SPECIAL_TOKENS) + len(tokens), found.shape[1])
    named = (tokenizer.token_to_id(name) for name in UNKNOWN_NAMES)
    vectors[UNKNOWN] = next((found[n] for n in named if n is not None), found.mean(dim=0))
    ids = torch.from_numpy(our_ids).long()
    is_known = ids >= len(SPECIAL_TOKENS)
    vectors[ids[is_known]] = found[: len(ids)][is_known]
    return vectors.float()


def _load_tensors(files: EncoderFiles) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ModuleNotFoundError as error:
        raise build_missing_package_error("safetensors") from error
    try:
        return load(files.read(WEIGHTS))
    except SafetensorError as error:
        raise UserError(f"model.path={files.name}: {WEIGHTS} is not valid: {error}.") from error


def count_text_tokens(description: Mapping[str, Any]) -> int:
    """Return the largest number of tokens of a text, without the special ones."""
    config = description["config"]
    positions = config.get("max_position_embeddings", 512)
    if config["model_type"] in OFFSET_FAMILIES:
        positions -= config.get("pad_token_id", 1) + 1
    return max(1, positions - len(description["first"]) - len(description["last"]))


def number_positions(
    encoder: nn.Module, config: Mapping[str, Any], mask: Tensor
) -> dict[str, Tensor]:
    """Return the arguments of an encoder that it would cut from its buffers, for a graph.

    Args:
        mask: [B, T]
    """
    first = config.get("pad_token_id", 1) + 1 if config["model_type"] in OFFSET_FAMILIES else 0
    steps = torch.arange(first, first + mask.shape[1], device=mask.device)
    found = {"position_ids": steps[None], "token_type_ids": torch.zeros_like(mask)}
    accepted = inspect.signature(encoder.forward).parameters
    return {name: values for name, values in found.items() if name in accepted}


def _read_tokens(files: EncoderFiles) -> tuple[Any, list[str], np.ndarray]:
    """Return the tokenizer, its tokens, and our id of each of its ids."""
    try:
        text = files.read(TOKENIZER).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"model.path={files.name}: {TOKENIZER} is not UTF-8.") from error
    tokenizer = parse_tokenizer(text, f"model.path={files.name}: {TOKENIZER}")
    return tokenizer, *list_tokens(tokenizer)


def _build(config: Mapping[str, Any]) -> tuple[nn.Module, str]:
    """Return the network, with two word vectors at most, and the name of their tensor."""
    avoid_cudnn_attention()
    try:
        from transformers import AutoConfig, AutoModel
    except ModuleNotFoundError as error:
        raise build_missing_package_error(error.name or "transformers") from error
    options = {name: value for name, value in config.items() if name != "model_type"}
    padding = options.get("pad_token_id")
    options["vocab_size"] = (padding if type(padding) is int and padding > 0 else 1) + 1
    try:
        with _silence():
            described = AutoConfig.for_model(config["model_type"], **options)
            network = AutoModel.from_config(described, dtype=torch.float32)
    except Exception as error:  # transformers raises many types
        raise UserError(
            f"The encoder cannot be built: {format_reason(str(error))[:200]}."
        ) from error
    words = network.get_input_embeddings()
    return network, next(f"{n}.weight" for n, module in network.named_modules() if module is words)


def _remove_unused(encoder: nn.Module) -> nn.Module:
    """Remove word vectors and the pooler, which are not called."""
    encoder.set_input_embeddings(nn.Identity())  # type: ignore[operator]
    if getattr(encoder, "pooler", None) is not None:
        encoder.register_module("pooler", None)
    return encoder


@contextmanager
def _silence() -> Iterator[None]:
    """Silence the messages and progress bars of transformers."""
    from transformers.utils import logging

    level, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
