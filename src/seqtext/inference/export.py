"""Export a trained model for other programs: an ONNX graph and a description of preprocessing."""

import copy
import importlib.util
import json
import logging
import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from seqtext.embeddings.spelling import reads_spelling
from seqtext.errors import UserError, format_reason
from seqtext.inference.load_model import LoadedModel
from seqtext.inference.onnx_tfidf import build_graph
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.tokenizers.words import WordTokenizer

if TYPE_CHECKING:
    from seqtext.models.tfidf import TfIdf

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
GRAPH, PREPROCESSING, TOKENIZER = "model.onnx", "preprocessing.json", "tokenizer.json"
EXPORT_FILES = {
    GRAPH,
    f"{GRAPH}.data",
    PREPROCESSING,
    TOKENIZER,
}  # a graph of over 2 GB stores its weights in a second file
REQUIRED_PACKAGES = ("onnx", "onnxscript")
INPUTS = {"ids": "int64 [batch, words]", "lengths": "int64 [batch]"}
OUTPUT = "probabilities"
INSTRUCTIONS = (
    "A text is the text columns, joined by spaces. Clean it by the operations in their order: "
    "replace (patterns of Python's re), lower (each character separately), trim. {tokenize} Cut a "
    "text longer than max_length (null: no limit) at the truncation_side, left or right. Replace a "
    "text without tokens by empty_text. ids contains one text per row, filled up with padding to "
    "the longest; lengths their numbers of tokens. Of two classes, predict the second if its "
    "probability is at least threshold; of more, the most probable."
)
AT_WHITE_SPACE = (
    "Split it at white space, and around each character of scripts without spaces (Chinese, "
    "Japanese, Thai, …). Map each word to its id in vocabulary, or to unknown. tokenizer.json "
    "(Hugging Face's package tokenizers) does both."
)
BY_FILE = (
    "Encode it by tokenizer.json (Hugging Face's package tokenizers), without special tokens; if "
    "token_ids is not null, replace each id by the entry of token_ids at that position."
)
BY_CLASS = "Encode it by the class {name}, whose tokens have the ids of vocabulary."
# Numbers of texts and words of the example input. The exporter would specialize a dimension of size
# 1, so there are enough words for several pooling windows.
EXAMPLE_SHAPE = 3, 10_007


def export(loaded_model: LoadedModel, folder: str | Path) -> list[Path]:
    """Write model.onnx, preprocessing.json and tokenizer.json; an earlier export is overwritten.

    Weights and outputs are float32, even if the model was trained in float64.

    Returns:
        The paths of the files.

    Raises:
        UserError: if the folder contains other files, packages are missing, or the network is not
            supported by ONNX.
    """
    folder = Path(folder).expanduser()
    _check_packages()
    _check_target(folder)
    with _write_aside(folder.resolve()) as aside:
        write_graph(loaded_model.model, aside / GRAPH, loaded_model.temperature)
        text = json.dumps(describe_preprocessing(loaded_model), indent=1, ensure_ascii=False)
        (aside / PREPROCESSING).write_text(text + "\n", encoding="utf-8")
        if made := loaded_model.tokenizer.build_hugging_face_tokenizer():
            (aside / TOKENIZER).write_text(made.to_str(pretty=True) + "\n", encoding="utf-8")
    return sorted(folder.iterdir())


def describe_preprocessing(loaded_model: LoadedModel) -> dict[str, Any]:
    """Return the preprocessing of texts and the graph's inputs and outputs, as plain values."""
    whole = isinstance(loaded_model.model, NonNeuralClassifier)  # has no maximum length
    tokenizer = loaded_model.tokenizer
    words = enumerate(tokenizer.vocabulary.tokens, len(SPECIAL_TOKENS))
    is_plain = isinstance(tokenizer, WordTokenizer) and tokenizer.splits_at_white_space
    has_file = tokenizer.build_hugging_face_tokenizer() is not None
    tokenize = AT_WHITE_SPACE if is_plain else BY_FILE
    if not has_file:
        tokenize = BY_CLASS.format(name=type(tokenizer).__qualname__)
    return {
        "format": FORMAT_VERSION,
        "how": INSTRUCTIONS.format(tokenize=tokenize),
        "graph": GRAPH,
        "inputs": INPUTS,
        "outputs": {OUTPUT: f"float32 [batch, {len(loaded_model.class_names)}]"},
        "class_names": loaded_model.class_names,
        "threshold": loaded_model.threshold,
        "text_columns": list(loaded_model.input_spec.columns),
        "cleaning": loaded_model.cleaning.list_operations(),
        "tokenizer": TOKENIZER if has_file else None,
        "token_ids": tokenizer.list_ids(),
        "max_length": None if whole else tokenizer.max_length,
        "truncation_side": tokenizer.truncation_side,
        "padding": PAD,
        "unknown": UNKNOWN,
        "empty_text": [UNKNOWN],
        "vocabulary": {word: number for number, word in words},
    }


def write_graph(
    model: TextClassifier | NonNeuralClassifier, path: Path, temperature: float = 1.0
) -> None:
    """Write a graph for any batch: ids [batch, words], lengths [batch] → [batch, C].

    Args:
        temperature: divisor of the logits
    """
    if isinstance(model, NonNeuralClassifier):
        path.write_bytes(build_graph(cast("TfIdf", model), temperature).SerializeToString())
    else:
        if reads_spelling(model):
            log.warning(
                "The graph does not know how words are spelled: a word that is not in the "
                "vocabulary is the unknown token, without character n-grams."
            )
        try:
            program = build_onnx_program(ProbabilityModel(model, temperature))
        except Exception as error:  # the exporter raises many types
            reason = format_reason(str(error).strip().partition("\n")[0])
            raise UserError(f"model={model.name} cannot be exported to ONNX: {reason}.") from error
        program.save(path)


class ProbabilityModel(nn.Module):
    """Appends a softmax to a network.

    Args:
        temperature: divisor of the logits
    """

    def __init__(self, network: TextClassifier, temperature: float = 1.0):
        super().__init__()
        self.temperature = temperature
        self.network = copy.deepcopy(network).cpu().float().eval()
        tabulate: Callable[[], nn.Module] | None = getattr(network.embedding, "tabulate", None)
        if tabulate is not None:  # a graph reads ids, not how tokens are spelled
            self.network.embedding = tabulate().cpu().float()
        prepare: Callable[[], None] | None = getattr(self.network, "prepare_for_export", None)
        if prepare is not None:
            prepare()

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """ids [B, T], lengths [B] → [B, C]"""
        logits = self.network(ids, lengths) / self.temperature
        if logits.ndim == 1:
            logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
        return logits.softmax(dim=1)


def build_onnx_program(module: nn.Module) -> torch.onnx.ONNXProgram:
    """Export a module that maps ids [B, T] and lengths [B] to one tensor, for any B and T."""
    batch, words = EXAMPLE_SHAPE
    dynamic = torch.export.Dim.DYNAMIC
    with _silence_exporter():
        program = torch.export.export(
            module,
            (torch.full(EXAMPLE_SHAPE, UNKNOWN), torch.full((batch,), words)),
            dynamic_shapes=({0: dynamic, 1: dynamic}, {0: dynamic}),
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        made = torch.onnx.export(
            program,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=({0: "batch", 1: "words"}, {0: "batch"}),
            verbose=False,
        )
    made = cast(torch.onnx.ONNXProgram, made)
    for node in made.model.graph.all_nodes():
        node.metadata_props.clear()  # source lines and local paths
    return made


@contextmanager
def _silence_exporter() -> Iterator[None]:
    """Silence the exporter, which logs, warns and prints."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _check_packages() -> None:
    if missing := [name for name in REQUIRED_PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"export= needs the package {missing[0]}: run pip install -e '.[export]' first."
        )


def _check_target(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"export={folder} is a file: name a folder.")
    if other := sorted({path.name for path in folder.iterdir()} - EXPORT_FILES):
        raise UserError(
            f"export={folder} holds {other[0]}, which is not part of an export: name a new folder."
        )


@contextmanager
def _write_aside(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `folder` at the end, so that it is always complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)  # unpredictable: no planted link, no other writer
    aside, old = (folder.with_name(f".{name}.{what}") for what in ("new", "old"))
    aside.mkdir()
    try:
        yield aside
        _replace(folder, aside, old)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(folder: Path, aside: Path, old: Path) -> None:
    """Replace a folder by another, or restore it on failure."""
    earlier = folder.exists()
    if earlier:
        os.replace(folder, old)
    try:
        os.replace(aside, folder)
    except OSError:
        if earlier:
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
