"""Load the word vectors and recurrent layers of a language model: ``model.init_from=``."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqtext.checkpoints.files import METADATA_KEY, load_checkpoint
from seqtext.config.fingerprints import check_held_out_rows
from seqtext.datasets.base import TextDataModule
from seqtext.errors import UserError
from seqtext.models.base import TextClassifier
from seqtext.models.stacked import StackedClassifier
from seqtext.run_dir import RunDir
from seqtext.validation import find_type_error

log = logging.getLogger(__name__)

PREFIX = "classifier."  # of the classifier's tensors in a language model
TABLE = "embedding.weight"  # [V, E], a row per token
MIN_KNOWN = 0.5  # share of known tokens without a warning


def load_initial_weights(model: TextClassifier, data: TextDataModule) -> None:
    """Load the tensors of ``model.init_from`` that a language model has trained, if it is set.

    Word vectors go with the tokens: those that the language model did not know keep theirs.

    Raises:
        UserError: if it is no language model, its layers have other sizes, or it was trained on
            rows of the validation or test part.
    """
    if not isinstance(model, StackedClassifier) or model.init_from is None:
        return
    path = _locate(str(model.init_from))
    checkpoint = load_checkpoint(path)
    metadata, state = checkpoint[METADATA_KEY], checkpoint.get("state_dict")
    config = metadata.get("config")
    if not isinstance(config, Mapping) or config.get("task") != "lm":
        raise UserError(
            f"model.init_from={model.init_from} is no language model: train one with task=lm."
        )
    if not isinstance(state, Mapping):
        raise UserError(f"{path} is damaged: it has no state_dict.")
    if Path(str(model.init_from)).is_dir() and not RunDir(str(model.init_from)).is_finished:
        log.warning("%s has not finished: its best epoch so far is used.", model.init_from)
    check_held_out_rows("model.init_from", metadata.get("fingerprints"), data)
    own = model.state_dict()
    wanted = [name for name in own if name.startswith(("embedding.", "layers.", "norms."))]
    more = [str(name) for name in state if str(name).startswith(f"{PREFIX}layers.")]
    if other := [name for name in more if name.removeprefix(PREFIX) not in own]:
        raise UserError(_describe_difference(model, f"{other[0].removeprefix(PREFIX)} is missing"))
    with torch.no_grad():
        for name in wanted:
            found = state.get(PREFIX + name)
            if not isinstance(found, Tensor):
                raise UserError(_describe_difference(model, f"it has no {name}"))
            if not found.is_floating_point() or not found.isfinite().all():
                raise UserError(f"{path} is damaged: {name} has values that are no finite numbers.")
            if name == TABLE and found.ndim == 2 and found.shape[1] == own[name].shape[1]:
                _copy_rows(own[name], found, metadata.get("tokenizer"), data, path)
                continue
            if found.shape != own[name].shape:
                shapes = f"{name} is {[*own[name].shape]}, not {[*found.shape]}"
                raise UserError(_describe_difference(model, shapes))
            own[name].copy_(found)


def _locate(run: str) -> Path:
    path = Path(run).expanduser()
    found = path if path.is_file() else RunDir(path).best_checkpoint
    if not found.exists():
        raise UserError(f"model.init_from={run}: there is no such run, or it has no checkpoint.")
    return found


def _describe_difference(model: StackedClassifier, difference: str) -> str:
    return (
        f"model.init_from={model.init_from} does not go with this model: {difference}. "
        f"Give the same model, model.units, model.layers, model.bidirectional, embedding and "
        f"embedding.dim as for task=lm."
    )


def _copy_rows(
    table: Tensor, found: Tensor, tokenizer: Any, data: TextDataModule, path: Path
) -> None:
    """Copy the rows of a table of word vectors by the texts of their tokens."""
    special = len(table) - len(data.vocabulary.tokens)
    tokens: Any = tokenizer.get("tokens") if isinstance(tokenizer, dict) else None
    if find_type_error(tokens, list[str]) or len(tokens) + special != len(found):
        raise UserError(f"{path} is damaged: its tokens are not those of its word vectors.")
    table[:special] = found[:special]
    number_of = {token: number for number, token in enumerate(tokens, special)}
    places = [number_of.get(token, -1) for token in data.vocabulary.tokens]
    rows = torch.tensor(places, dtype=torch.long)
    is_known = rows >= 0
    table[special:][is_known] = found[rows[is_known]].to(table.dtype)
    share = float(is_known.double().mean()) if len(rows) else 0.0
    text = f"{100 * share:.1f} % of the vocabulary have vectors of the language model."
    log.log(logging.INFO if share >= MIN_KNOWN else logging.WARNING, "%s", text)
    if share < MIN_KNOWN:
        data.warnings.append(f"Only {text}")
