"""Word vectors that are learned from the texts at hand, before the model is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqtext.embeddings.fasttext_binary import compose_vectors
from seqtext.embeddings.initialized import InitializedEmbedding
from seqtext.embeddings.vector_training import LearnedVectors, Texts, digest_rows, learn_vectors
from seqtext.embeddings.vectors import WordVectors, log_coverage
from seqtext.errors import OptionError
from seqtext.token_ids import PAD, UNKNOWN
from seqtext.validation import (
    PositiveFloat,
    PositiveInt,
    Seed,
    validate_args,
)


class LearnedEmbedding(InitializedEmbedding):
    """Base class of embeddings learned from the training texts and `dataset.unlabelled`.

    Validation and test texts are not read. Tokens are those of the data set's tokenizer, in whole
    texts and not only those of the vocabulary.

    Args:
        vocabulary_size: V, including the two special tokens; known after the data is prepared
        dim: E, dimension of the vectors
        window: largest distance of a context word
        epochs: passes over the texts
        min_count: occurrences of a word that has a vector
        negative: words drawn at random for each context word
        skip_gram: predict context words by the word (skip-gram), not the word by them (CBOW)
        alpha: initial learning rate, which decreases linearly
        seed: random seed of the vectors, apart from that of the run
        freeze: do not train the vectors with the model
        oov_init: see `InitializedEmbedding`
    """

    kind: ClassVar[str]  # name in gensim.models

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 100,
        window: PositiveInt = 5,
        epochs: PositiveInt = 5,
        min_count: PositiveInt = 2,
        negative: PositiveInt = 5,
        skip_gram: bool = True,
        alpha: PositiveFloat = 0.025,
        seed: Seed = 0,
        freeze: bool = False,
        oov_init: Literal["zeros", "random"] = "random",
    ):
        super().__init__(vocabulary_size, dim, freeze, oov_init)
        self.learning_options: dict[str, Any] = {
            "vector_size": dim,
            "window": window,
            "epochs": epochs,
            "min_count": min_count,
            "negative": negative,
            "sg": int(skip_gram),
            "alpha": alpha,
            "seed": seed,
        }

    def list_files(self, data: Any) -> list[Path]:
        """See `InitializedEmbedding.list_files`: the unlabelled texts, if there are any."""
        path = data.locate_unlabelled()
        return [] if path is None else [path]

    def read_vectors(self, data: Any) -> WordVectors:
        """See `InitializedEmbedding.read_vectors`."""
        return self._select(self._learn(data), data)

    def _learn(self, data: Any) -> LearnedVectors:
        rows = data.dataset.parts["train"]
        content = [data.dataset.rows.digest, data.cleaning.settings()]
        texts = [Texts(data.corpus, rows, digest_rows(content, rows))]
        if unlabelled := data.load_unlabelled():
            texts.append(Texts(unlabelled.corpus, unlabelled.rows, unlabelled.digest))
        return learn_vectors(self.kind, self.learning_options, texts, data.tokenizer, data.cache)

    def _select(self, learned: LearnedVectors, data: Any) -> WordVectors:
        """Return the vectors of the words of the vocabulary."""
        words = pa.array(data.vocabulary.tokens, pa.string())
        rows = pc.index_in(words, value_set=learned.words.combine_chunks())
        known = rows.is_valid().to_numpy(zero_copy_only=False)
        values = learned.values[rows.drop_null().to_numpy()]
        files = self.list_files(data)
        name = "the training texts" + " and unlabelled texts" * bool(files)
        log_coverage(self.kind, name, known, data.vocabulary)
        digest = data.cache.digest_files(files) if files else None
        return WordVectors(values, known, files_digest=digest)


class Word2Vec(LearnedEmbedding):
    """word2vec (Mikolov et al., 2013, "Distributed Representations of Words and Phrases and their
    Compositionality").

    Args:
        options: see `LearnedEmbedding`
    """

    kind = "Word2Vec"

    @validate_args
    def __init__(self, vocabulary_size: int, dim: PositiveInt = 100, **options: Any):
        super().__init__(vocabulary_size, dim, **options)


class FastText(LearnedEmbedding):
    """fastText (Bojanowski et al., 2017, "Enriching Word Vectors with Subword Information").

    A word has the mean of its own vector and those of its character n-grams, in the vocabulary and
    outside of it. The vectors of n-grams stay as they are when the model is trained.

    Args:
        min_n, max_n: number of characters of the shortest and of the longest n-grams
        buckets: number of vectors of n-grams, which are hashed
        options: see `LearnedEmbedding`
    """

    kind = "FastText"
    unknown: Tensor

    @validate_args
    def __init__(
        self,
        vocabulary_size: int,
        dim: PositiveInt = 100,
        min_n: PositiveInt = 3,
        max_n: PositiveInt = 6,
        buckets: PositiveInt = 100_000,
        **options: Any,
    ):
        if min_n > max_n:
            raise OptionError("min_n", min_n, f"at most max_n={max_n}").within("embedding")
        super().__init__(vocabulary_size, dim, **options)
        self.orders = min_n, max_n
        self.learning_options |= {"min_n": min_n, "max_n": max_n, "bucket": buckets}
        self.ngrams = nn.Parameter(torch.zeros(buckets, dim), requires_grad=False)
        self.register_buffer("unknown", torch.zeros(0, dim), persistent=False)

    def read_vectors(self, data: Any) -> WordVectors:
        """See `InitializedEmbedding.read_vectors`; also set the vectors of n-grams."""
        learned = self._learn(data)
        assert learned.ngrams is not None
        with torch.no_grad():
            self.ngrams.copy_(torch.tensor(learned.ngrams))
        return self._select(learned, data)

    def set_tokens(self, tokens: Sequence[str]) -> None:
        """Forget the unknown tokens; the vectors of known ones are trained."""
        self.set_unknown_tokens([])

    def set_unknown_tokens(self, tokens: Sequence[str]) -> None:
        """Compose the vectors of unknown tokens, of the ids V, V + 1, …"""
        vectors = compose_vectors(tokens, self._get_ngrams(), self.orders)[0]
        self.unknown = torch.tensor(vectors, dtype=self.ngrams.dtype, device=self.ngrams.device)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [B, T] → [B, T, E]"""
        if not len(self.unknown):
            return super().forward(ids)
        is_known = ids < self.num_embeddings
        vectors = super().forward(torch.where(is_known, ids, UNKNOWN))
        composed = functional.embedding((ids - self.num_embeddings).clamp(min=0), self.unknown)
        return torch.where(is_known[..., None], vectors, composed)

    def tabulate(self) -> nn.Embedding:
        """Return the vectors of the known words as a table, for a graph without spelling."""
        return nn.Embedding.from_pretrained(self.weight.detach(), padding_idx=PAD)

    def _select(self, learned: LearnedVectors, data: Any) -> WordVectors:
        found = super()._select(learned, data)
        known = found.known.copy()
        missing = np.flatnonzero(~known)
        tokens = [data.vocabulary.tokens[number] for number in missing]
        spelled, has_ngrams = compose_vectors(tokens, self._get_ngrams(), self.orders)
        table = np.zeros((len(known), self.embedding_dim), np.float32)
        table[known], table[missing] = found.values, spelled
        known[missing] = has_ngrams
        return found._replace(values=table[known], known=known)

    def _get_ngrams(self) -> np.ndarray:
        return self.ngrams.detach().cpu().numpy()
