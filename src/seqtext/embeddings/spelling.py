"""Tell the modules of a model how its tokens are spelled, for example for character n-grams.

A module that reads the spelling of tokens defines two methods. The ids of unknown tokens then
follow those of the V known tokens; without such a module, all of them have the id of the unknown
token.

    def set_tokens(self, tokens: Sequence[str]) -> None: ...  # of the ids 0 to V - 1
    def set_unknown_tokens(self, tokens: Sequence[str]) -> None: ...  # of the ids from V on

What they compute belongs in non-persistent buffers on the device of the weights: a model that is
loaded from a checkpoint was built on the meta device.
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS, OpenVocabulary, Vocabulary


def reads_spelling(model: nn.Module) -> bool:
    """Return whether any module of the model reads how tokens are spelled."""
    return any(True for _ in _iter_readers(model))


def set_tokens(model: Any, vocabulary: Vocabulary) -> None:
    """Give the tokens of a vocabulary to all modules that read their spelling.

    The model is told their number: see `TextClassifier.hide_unknown_tokens`.
    """
    for module in _iter_readers(model):
        module.set_tokens([*SPECIAL_TOKENS, *vocabulary.tokens])
        model.vocabulary_size = len(vocabulary)
    set_unknown_tokens(model, vocabulary)


def set_unknown_tokens(model: nn.Module, vocabulary: Vocabulary) -> None:
    """Give the present unknown tokens of a vocabulary to all modules that read their spelling."""
    if isinstance(vocabulary, OpenVocabulary):
        for module in _iter_readers(model):
            module.set_unknown_tokens(vocabulary.unknown_tokens)


def _iter_readers(model: nn.Module) -> Iterator[Any]:
    return (module for module in model.modules() if hasattr(module, "set_tokens"))
