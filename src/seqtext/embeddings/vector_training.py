"""Learn word vectors from texts with gensim, cached by content."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from seqtext.cache import Cache, digest_json
from seqtext.data.arrow_io import open_array, open_table, write_table
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.corpus import TokenizedCorpus
from seqtext.embeddings.token_lines import digest_tokens, iter_lines
from seqtext.errors import UserError, format_reason
from seqtext.tokenizers.base import Tokenizer

log = logging.getLogger(__name__)

TEXTS = "texts.txt"  # the training texts of gensim, one per line; removed after training
PACKAGE = "gensim"


class Texts(NamedTuple):
    """Hold texts from which vectors are learned.

    corpus: words of cleaned texts
    rows: [n] numbers of the texts to use
    digest: digest of their content
    """

    corpus: TokenizedCorpus
    rows: np.ndarray
    digest: str


class LearnedVectors(NamedTuple):
    """Hold learned vectors.

    words: distinct words of the texts
    values: [words, E] float32
    ngrams: [buckets, E] float32 vectors of character n-grams; None: the model has none
    digest: digest of the texts and options
    """

    words: pa.ChunkedArray
    values: np.ndarray
    ngrams: np.ndarray | None
    digest: str


def learn_vectors(
    kind: str,
    options: Mapping[str, Any],
    texts: Sequence[Texts],
    tokenizer: Tokenizer,
    cache: Cache,
) -> LearnedVectors:
    """Train gensim's Word2Vec or FastText, or load its result from the cache.

    One thread trains: the result depends on the texts and options only. Texts are read from disk.

    Args:
        kind: name of the class in `gensim.models`
        options: arguments of its constructor
        tokenizer: splits the texts into tokens

    Raises:
        UserError: if gensim is missing, or no word is frequent enough.
    """
    if find_spec(PACKAGE) is None:
        raise UserError(
            f"embedding={kind.lower()} needs a package: pip install seqtext[embeddings]"
        )
    settings = {
        "model": kind,
        "options": dict(options),
        "texts": [[each.digest, digest_tokens(tokenizer, each.corpus)] for each in texts],
        "code": digest_code(learn_vectors),
        PACKAGE: version(PACKAGE),
    }
    dim = options["vector_size"]

    def build(folder: Path) -> None:
        _train(kind, options, texts, tokenizer, folder)

    def load(folder: Path) -> LearnedVectors:
        file = folder / "ngrams.bin"
        return LearnedVectors(
            words=open_table(folder / "words.arrow")["word"],
            values=open_array(folder / "values.bin", np.float32).reshape(-1, dim),
            ngrams=open_array(file, np.float32).reshape(-1, dim) if file.exists() else None,
            digest=digest_json(settings),
        )

    return cache.load("learned_vectors", settings, build, load)


def _train(
    kind: str,
    options: Mapping[str, Any],
    texts: Sequence[Texts],
    tokenizer: Tokenizer,
    folder: Path,
) -> None:
    """Train, and write the vectors of all words of the texts that the model has or can spell."""
    import gensim.models

    logging.getLogger(PACKAGE).setLevel(logging.ERROR)  # it reports each step
    start, file = time.monotonic(), folder / TEXTS
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        for each in texts:
            for line in iter_lines(tokenizer, each.corpus, each.rows):
                stream.write(line)
    count = sum(len(each.rows) for each in texts)
    log.info("Learning word vectors (%s) from %s texts.", kind, f"{count:,}")
    try:
        model = getattr(gensim.models, kind)(corpus_file=str(file), workers=1, **options)
    except RuntimeError as error:
        if "vocabulary" not in str(error):
            raise
        raise UserError(
            f"No word occurs embedding.min_count={options['min_count']} times in the training "
            f"texts, so that no vectors can be learned ({format_reason(error)[:100]}): lower it."
        ) from error
    file.unlink()
    vectors = model.wv
    words = list(vectors.index_to_key)
    values = np.asarray(vectors.vectors, np.float32)
    if kind == "FastText" and options["bucket"]:
        np.asarray(vectors.vectors_ngrams, np.float32).tofile(folder / "ngrams.bin")
    values.tofile(folder / "values.bin")
    write_table(pa.table({"word": pa.array(words, pa.string())}), folder / "words.arrow")
    log.info(
        "  %s words have a vector of %d numbers (%.1f s).",
        f"{len(words):,}", values.shape[1], time.monotonic() - start,
    )  # fmt: skip


def digest_rows(content: Any, rows: np.ndarray) -> str:
    """Return a digest of texts.

    Args:
        content: plain values that determine the texts of all rows
        rows: [n] numbers of those that are used
    """
    digest = hashlib.blake2b(digest_json(content).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()
