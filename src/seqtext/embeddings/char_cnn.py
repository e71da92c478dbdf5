"""Word vectors computed from the characters of words."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.nn import functional as F

from seqtext.embeddings.character_ngrams import list_code_points
from seqtext.embeddings.random import RandomEmbedding
from seqtext.errors import UserError
from seqtext.layers.conv import ConvBlock
from seqtext.layers.initializers import init_linear_
from seqtext.layers.module_list import ModuleList
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.tokenizers.vocabulary import SPECIAL_TOKENS
from seqtext.validation import NonNegativeInt, PositiveInt, validate_args

# Codes of characters; other codes are those of the inventory. BEGIN and END enclose a word,
# UNKNOWN_WORD is the only character of the unknown token.
UNKNOWN_CHARACTER, BEGIN, END, UNKNOWN_WORD = range(4)
SPECIAL_CODES = 4
BLOCK_TOKENS = 1 << 16  # tokens that are spelled at a time


class CharCNNEmbedding(nn.Module):
    """Computes the vector of a word by convolutions over its characters (Kim et al., 2016).

    As in "Character-Aware Neural Language Models", tanh and the maximum over the word follow each
    convolution, then highway layers; the defaults are the paper's small network. A word outside of
    the vocabulary has a vector like any other. Each distinct word of a batch is computed once.
    Convolutions read zeros before and after a word, so that words may be shorter than a filter.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        character_dim: dimension of the vectors of characters
        kernel_sizes: kernel size of each convolution, in characters
        filters: number of filters of each convolution; E, the dimension of the vectors, is their
            sum plus `word_dim`
        highway_layers: number of highway layers (Srivastava et al., 2015)
        max_characters: number of characters with a vector of their own, the most frequent ones in
            the words of the vocabulary; others share one vector
        max_word_length: number of characters of a word that are read
        word_dim: dimension of vectors of the words of the vocabulary that are learned beside those
            of their characters and appended to them (as of Seo et al., 2017); 0: none

    Raises:
        UserError: if `filters` and `kernel_sizes` differ in length.
    """

    characters: Tensor | None  # [V + unknown words, longest] int16 codes of characters
    word_lengths: Tensor  # [V + unknown words] int16 numbers of characters

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        character_dim: PositiveInt = 15,
        kernel_sizes: Sequence[PositiveInt] = (1, 2, 3, 4, 5, 6),
        filters: Sequence[PositiveInt] = (25, 50, 75, 100, 125, 150),
        highway_layers: Annotated[int, Interval(ge=0, le=10)] = 1,
        max_characters: Annotated[int, Interval(ge=1, le=30_000)] = 250,
        max_word_length: Annotated[int, Interval(ge=1, le=1000)] = 30,
        word_dim: NonNegativeInt = 0,
    ):
        if not filters or len(filters) != len(kernel_sizes):
            raise UserError(
                f"embedding.filters has {len(filters)} numbers and embedding.kernel_sizes "
                f"{len(kernel_sizes)}: give one of each for each convolution."
            )
        super().__init__()
        self.vocabulary_size, self.embedding_dim = vocabulary_size, sum(filters) + word_dim
        self.max_characters, self.max_word_length = max_characters, max_word_length
        self.character_embedding = nn.Embedding(SPECIAL_CODES + max_characters, character_dim)
        nn.init.uniform_(self.character_embedding.weight, -1, 1)
        self.blocks = ModuleList(
            ConvBlock(character_dim, width, size, None, batch_norm=False, init="keras", relu=False)
            for width, size in zip(filters, kernel_sizes, strict=True)
        )
        self.highway = ModuleList(Highway(sum(filters)) for _ in range(highway_layers))
        self.word_embedding = RandomEmbedding(vocabulary_size, word_dim) if word_dim else None
        self.register_buffer("characters", None, persistent=False)
        self.register_buffer("word_lengths", None, persistent=False)
        self._inventory = np.zeros(0, np.uint32)  # sorted code points

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Set the spelling of the ids from 0 on, and the inventory of characters."""
        words = tokens[len(SPECIAL_TOKENS) :]
        points, counts = np.unique(list_code_points(words), return_counts=True)
        most_frequent = np.lexsort((points, -counts))[: self.max_characters]
        self._inventory = np.sort(points[most_frequent])
        characters, lengths = self._spell([*SPECIAL_TOKENS, *words])
        characters[PAD] = characters[UNKNOWN] = 0
        characters[UNKNOWN, 0] = UNKNOWN_WORD
        lengths[PAD] = lengths[UNKNOWN] = 1
        self.characters, self.word_lengths = self._to_device(characters, lengths)

    def set_unknown_tokens(self, tokens: Sequence[str]) -> None:
        """Set the spelling of the ids from V on."""
        known, lengths = self._get_spelling()
        characters, more = self._to_device(*self._spell(tokens))
        known, lengths = known[: self.vocabulary_size], lengths[: self.vocabulary_size]
        longest = max(known.shape[1], characters.shape[1])
        rows = [F.pad(each, (0, longest - each.shape[1])) for each in (known, characters)]
        self.characters, self.word_lengths = torch.cat(rows), torch.cat([lengths, more])

    def forward(self, ids: Tensor) -> Tensor:
        """Compute vectors of any shape of ids: [...] → [..., E]; padding has zeros."""
        distinct, places = ids.unique(return_inverse=True)
        vectors = self.compute_vectors(distinct)
        return F.embedding(places, vectors)

    def compute_vectors(self, ids: Tensor) -> Tensor:
        """Compute the vectors of ids, [N] → [N, E]."""
        characters, all_lengths = self._get_spelling()
        lengths = all_lengths[ids].long()
        codes = characters[ids, : int(lengths.max())].long()  # [N, L]
        states = self.character_embedding(codes)  # [N, L, character_dim]
        maxima = torch.cat([block(states, lengths).squeeze(1) for block in self.blocks], dim=1)
        vectors = maxima.tanh()  # of the maximum: the maximum of tanh
        for layer in self.highway:
            vectors = layer(vectors)
        if self.word_embedding:
            words = ids.masked_fill(ids >= self.vocabulary_size, UNKNOWN)
            vectors = torch.cat([vectors, self.word_embedding(words)], dim=1)
        return vectors.masked_fill((ids == PAD)[:, None], 0)

    def tabulate(self) -> nn.Embedding:
        """Return the vectors of the ids below V as a table, for a graph without spelling."""
        device = self.character_embedding.weight.device
        blocks = torch.arange(self.vocabulary_size, device=device).split(BLOCK_TOKENS)
        with torch.no_grad():
            table = torch.cat([self.compute_vectors(ids) for ids in blocks])
        return nn.Embedding.from_pretrained(table, padding_idx=PAD)

    def _get_spelling(self) -> tuple[Tensor, Tensor]:
        if self.characters is None:
            raise UserError("embedding=char_cnn needs a call of set_tokens with all tokens.")
        return self.characters, self.word_lengths

    def _to_device(self, *arrays: np.ndarray) -> list[Tensor]:
        device = self.character_embedding.weight.device
        return [torch.from_numpy(array).to(device) for array in arrays]

    def _spell(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return int16 codes [N, L] and lengths [N] of the characters of words."""
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        kept = np.minimum(lengths, self.max_word_length)
        longest = int(kept.max(initial=0))
        characters = np.zeros((len(words), longest + 2), np.int16)
        characters[:, 0] = BEGIN
        for start in range(0, len(words), BLOCK_TOKENS):
            block = slice(start, start + BLOCK_TOKENS)
            codes = self._encode(list_code_points(words[block]))
            first = np.cumsum(lengths[block]) - lengths[block]
            inside = np.arange(longest) < kept[block, None]
            where = (first[:, None] + np.arange(longest))[inside]
            characters[block, 1:-1][inside] = codes[where]
        characters[np.arange(len(words)), kept + 1] = END
        return characters, (kept + 2).astype(np.int16)

    def _encode(self, points: np.ndarray) -> np.ndarray:
        """Return the codes of code points."""
        if not len(self._inventory):
            return np.full(len(points), UNKNOWN_CHARACTER, np.int16)
        places = np.searchsorted(self._inventory, points).clip(max=len(self._inventory) - 1)
        is_known = self._inventory[places] == points
        return np.where(is_known, SPECIAL_CODES + places, UNKNOWN_CHARACTER).astype(np.int16)


class Highway(nn.Module):
    """Interpolates between a nonlinear layer and its input (Srivastava et al., 2015).

    Args:
        features: D; at first, most of the input passes unchanged
    """

    def __init__(self, features: int):
        super().__init__()
        self.transform = init_linear_(nn.Linear(features, features), "keras")
        self.gate = init_linear_(nn.Linear(features, features), "keras")
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, vectors: Tensor) -> Tensor:
        """[N, D] → [N, D]"""
        return vectors.lerp(self.transform(vectors).relu(), self.gate(vectors).sigmoid())
