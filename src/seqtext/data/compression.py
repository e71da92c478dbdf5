"""Read compressed files and archives without unpacking them to disk."""

import bz2
import errno
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from seqtext.errors import UserError, format_reason

Choice = Callable[[list[str]], str]
OPENERS: dict[str, Callable[..., IO[bytes]]] = {
    ".gz": gzip.open,  # type: ignore[dict-item]  # a GzipFile is an IO[bytes] but in its type
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
)


@contextmanager
def open_file(path: Path, choose: Choice | None = None) -> Iterator[IO[bytes]]:
    """Open a plain or compressed (.gz, .bz2, .xz) file, or a member of a zip archive.

    Args:
        choose: selects a name from those in a zip archive; None: the archive must have one file

    Raises:
        UserError: when opening or reading, if the file is damaged; or for several files in an
            archive without `choose`.
    """
    try:
        with ExitStack() as stack:
            if find_compression(path) == ".zip":
                archive = stack.enter_context(_open_zip(path))
                name = _select_member(archive, path, choose)
                with _translate_errors(path):
                    file = archive.open(name)
            else:
                file = OPENERS.get(find_compression(path), open)(path, "rb")
            yield stack.enter_context(file)
    except DAMAGE_ERRORS as error:
        if not _is_damage(error):
            raise
        raise _build_damaged_error(path, error) from error


def find_compression(path: Path) -> str:
    """Return the lower-case suffix of a file's compression, or an empty string."""
    suffix = path.suffix.lower()
    return suffix if suffix in (*OPENERS, ".zip") else ""


def get_inner_name(path: Path) -> str:
    """Return the name of the file that `open_file` opens, without compression suffixes.

    Raises:
        UserError: as `open_file`.
    """
    if find_compression(path) == ".zip":
        try:
            with _open_zip(path) as archive:
                return _select_member(archive, path)
        except DAMAGE_ERRORS as error:
            if not _is_damage(error):
                raise
            raise _build_damaged_error(path, error) from error
    return path.stem if find_compression(path) else path.name


def iter_tar_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every .txt member of a .tar.gz archive, in the archive's order.

    Raises:
        UserError: if the archive is damaged, or a member points outside of it.
    """
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream) as archive:
                for member in archive:
                    _check_inside(member.name, path)
                    if member.isfile() and member.name.endswith(".txt"):
                        content = archive.extractfile(member)
                        assert content is not None  # of a regular file
                        yield member.name, content.read()
            while stream.read(1 << 20):  # read to the end, so that the checksum is verified
                pass
    except DAMAGE_ERRORS as error:
        raise _build_damaged_error(path, error) from error


def iter_folder_texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path (below `path`'s parent) and content of every .txt file, sorted."""
    for file in sorted(path.rglob("*.txt")):
        yield file.relative_to(path.parent).as_posix(), file.read_bytes()


def _open_zip(path: Path) -> zipfile.ZipFile:
    with _translate_errors(path):
        return zipfile.ZipFile(path)


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Convert errors of the standard library's archive readers to `UserError`."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path} has an unknown compression, or a password: unpack it.") from error
    except (
        ValueError,
        struct.error,
        OverflowError,
        MemoryError,
    ) as error:  # raised for flipped bytes
        raise _build_damaged_error(path, error) from error


def _is_damage(error: BaseException) -> bool:
    """Return whether the file is damaged, and not e.g. unreadable for lack of permission.

    EINVAL is raised by seeking to an invalid position that a damaged archive contains.
    """
    return getattr(error, "errno", None) in (None, errno.EINVAL)


def _build_damaged_error(path: Path, error: BaseException) -> UserError:
    return UserError(f"{path} is damaged ({_describe_reason(error)}): fetch it again.")


def _select_member(archive: zipfile.ZipFile, path: Path, choose: Choice | None = None) -> str:
    names = [member.filename for member in archive.infolist() if not member.is_dir()]
    for name in names:
        _check_inside(name, path)
    names = [name for name in names if not _is_stray(PurePosixPath(name))]
    if choose:
        return choose(names)
    if len(names) != 1:
        raise UserError(f"{path} must hold exactly one file, and holds {len(names)}: unpack it.")
    return names[0]


def _is_stray(name: PurePosixPath) -> bool:
    return "__MACOSX" in name.parts or name.name.startswith(".")


def _check_inside(name: str, path: Path) -> None:
    """Check a member's path: nothing is unpacked, but a path out of the archive is suspicious."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise UserError(f"{path} holds {name!r}, which points outside of it: do not use it.")


def _describe_reason(error: BaseException) -> str:
    return format_reason(error) if str(error) else "it ends too early"
