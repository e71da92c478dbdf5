"""Members of archives, read without unpacking them to disk."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from seqtext.options import UserError


def open_csv(path: Path) -> IO[bytes]:
    """Open a CSV file, or the one CSV file in a zip archive (as Kaggle serves them).

    Raises:
        UserError: if the archive is damaged, or does not hold exactly one CSV file.
    """
    if path.suffix != ".zip":
        return path.open("rb")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is not a whole zip archive: fetch it again.") from error
    members = [m for m in archive.namelist() if m.endswith(".csv") and "__MACOSX" not in m]
    if len(members) != 1:
        raise UserError(f"{path} must hold exactly one CSV file, and holds {len(members)}.")
    return archive.open(members[0])


def tar_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every .txt member of a .tar.gz archive, in the archive's order.

    Raises:
        UserError: if the archive is damaged.
    """
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream) as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".txt"):
                        yield member.name, archive.extractfile(member).read()
            while stream.read(1 << 20):  # a damaged member looks like the end: the checksum tells
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is not a whole tar archive: fetch it again.") from error


def tree_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Path below `path`'s parent and content of every .txt file below `path`, sorted."""
    for file in sorted(path.rglob("*.txt")):
        yield file.relative_to(path.parent).as_posix(), file.read_bytes()
