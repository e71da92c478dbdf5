"""Content-addressed on-disk cache of prepared data; safe for parallel processes."""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from seqtext.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")
MANIFEST = "manifest.json"
MIN_SIZE_TO_CACHE_DIGEST = 1 << 26  # bytes; minimum total size for caching a digest
MTIME_RELIABLE_AFTER = 60  # seconds after which any change of a file shows in its mtime
ALWAYS_CHECKED_BYTES = (
    100 << 20
)  # bytes of an entry that are verified at each opening: about 0.05 s
STALE_AFTER = 86_400  # seconds after which an unfinished entry belongs to a killed process


def digest_files(paths: Iterable[Path]) -> str:
    """Return a digest of the content of files, and of all files below folders, in sorted order."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        for file in _list_files(path):
            digest.update(b"" if file == path else file.relative_to(path).as_posix().encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()


def _list_files(path: Path) -> list[Path]:
    """Return the file itself, or the sorted files below a folder."""
    return [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())


def digest_json(value: Any) -> str:
    """Return a digest of a JSON-serializable value."""
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


Stats = list[tuple[str, int, int]]


@dataclass(frozen=True)
class WatchedFiles:
    """Record files before they are read, to check that they do not change meanwhile.

    paths: files or folders
    digest: digest of their content
    stats: name, size and modification time (ns) of every file
    """

    paths: Sequence[Path]
    digest: str
    stats: Stats

    def check_unchanged(self) -> None:
        """Check that the files did not change while being read.

        Raises:
            UserError: if they changed: the data read would not match the digest.
        """
        try:
            stats = _collect_stats(self.paths)
            is_same = stats == self.stats
            if is_same and not _are_mtimes_reliable(stats):
                is_same = digest_files(self.paths) == self.digest
        except OSError:
            is_same = False
        if not is_same:
            raise UserError(
                f"{' and '.join(map(str, self.paths))} changed while being read: run again when "
                f"writing has ended."
            )


def _collect_stats(paths: Iterable[Path]) -> Stats:
    files = (file for path in paths for file in _list_files(path))
    return [(str(file.absolute()), (s := file.stat()).st_size, s.st_mtime_ns) for file in files]


def _are_mtimes_reliable(stats: Stats) -> bool:
    """Return whether any later change would show in the modification times."""
    return all(time.time() - time_ns / 1e9 > MTIME_RELIABLE_AFTER for _, _, time_ns in stats)


class Cache:
    """Keep entries as folders under `root`, each named by the digest of its settings.

    An entry is built in a temporary folder under a lock, then renamed: it is complete or absent.
    Its manifest holds the settings and each file's size, modification time and checksum; an entry
    that disagrees with its manifest, or cannot be loaded, is built again. In a large entry only
    the smaller files and files with a changed mtime are read to compare checksums; `is_thorough`
    verifies all.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root).expanduser().absolute()

    def get_or_build(
        self,
        kind: str,
        settings: dict,
        build: Callable[[Path], None],
        is_thorough: bool = False,
    ) -> Path:
        """Return the entry of these settings: the folder that `build(folder)` has filled.

        Args:
            is_thorough: verify all checksums, for entries from which other entries are built
        """
        settings, folder = self._locate_entry(kind, settings)
        if _is_valid_entry(folder, settings, is_thorough):
            return folder
        with self._lock(folder):
            if not _is_valid_entry(folder, settings, is_thorough):  # not built meanwhile
                self._build(folder, settings, build)
        return folder

    def contains(self, kind: str, settings: dict) -> bool:
        """Return whether there is an entry of these settings."""
        settings, folder = self._locate_entry(kind, settings)
        return _is_valid_entry(folder, settings, is_thorough=False)

    def load(
        self,
        kind: str,
        settings: dict,
        build: Callable[[Path], None],
        load: Callable[[Path], T],
    ) -> T:
        """Return `load(folder)` of an entry; an entry that it cannot read is built again."""
        folder = self.get_or_build(kind, settings, build)
        try:
            return load(folder)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            settings, folder = self._locate_entry(kind, settings)
            with self._lock(folder):
                self._build(folder, settings, build)
        return load(folder)

    def watch(self, paths: Sequence[Path]) -> WatchedFiles:
        """Record the state of files before they are read."""
        stats = _collect_stats(paths)
        return WatchedFiles(paths, self.digest_files(paths), stats)

    def digest_files(self, paths: Sequence[Path]) -> str:
        """Return `digest_files(paths)`; reuse that of large files with unchanged size and mtime.

        Raises:
            UserError: if they change while being read.
        """
        if not all(path.is_file() for path in paths):
            return digest_files(paths)
        stats = _collect_stats(paths)
        if sum(
            size for _, size, _ in stats
        ) <= MIN_SIZE_TO_CACHE_DIGEST or not _are_mtimes_reliable(stats):
            return digest_files(paths)

        def write(folder: Path) -> None:
            digest = digest_files(paths)
            WatchedFiles(paths, digest, stats).check_unchanged()
            (folder / "digest").write_text(digest)

        return (self.get_or_build("contents", {"files": stats}, write) / "digest").read_text()

    def _locate_entry(self, kind: str, settings: dict) -> tuple[dict, Path]:
        """Return the settings after a JSON round trip, and the entry's folder."""
        settings = json.loads(json.dumps({"kind": kind, **settings}))
        name = hashlib.blake2b(json.dumps(settings).encode(), digest_size=16).hexdigest()
        return settings, self.root / kind / name

    def _lock(self, folder: Path) -> FileLock:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(folder.with_name(f"{folder.name}.lock"))

    def _build(self, folder: Path, settings: dict, build: Callable[[Path], None]) -> None:
        _remove_stale_temporaries(folder)
        # unique names: a lock may fail to hold on a network file system
        unique = f"{folder.name}.{uuid.uuid4().hex}"
        aside, old = folder.with_name(f"{unique}.new"), folder.with_name(f"{unique}.old")
        aside.mkdir()
        try:
            build(aside)
            files = {}
            for file in sorted(aside.iterdir()):
                stat = file.stat()
                files[file.name] = [stat.st_size, stat.st_mtime_ns, _compute_checksum(file)]
            (aside / MANIFEST).write_text(json.dumps({"settings": settings, "files": files}))
            if folder.exists():
                if not _is_valid_entry(folder, settings, is_thorough=True):
                    log.warning("The cache entry %s is damaged: built again.", folder)
                os.replace(folder, old)  # readers that have it open keep their files
            os.replace(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _remove_stale_temporaries(folder: Path) -> None:
    """Remove partial entries left by killed processes."""
    for suffix in ("new", "old"):
        for left in folder.parent.glob(f"{folder.name}*.{suffix}"):
            try:
                is_old = time.time() - left.stat().st_mtime > STALE_AFTER
            except OSError:  # already removed by another process
                continue
            if is_old:
                shutil.rmtree(left, ignore_errors=True)


def _is_valid_entry(folder: Path, settings: dict, is_thorough: bool) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["settings"] != settings:
            return False
        left = ALWAYS_CHECKED_BYTES
        by_size = sorted(manifest["files"].items(), key=lambda item: item[1][0])
        for name, (size, time_ns, checksum) in by_size:
            left -= size
            is_read = is_thorough or left >= 0
            if not _is_valid_file(folder / name, size, time_ns, checksum, is_read):
                return False
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return False
    return True


def _is_valid_file(file: Path, size: int, time_ns: int, checksum: int, is_read: bool) -> bool:
    stat = file.stat()
    if stat.st_size != size:
        return False
    return (not is_read and stat.st_mtime_ns == time_ns) or _compute_checksum(file) == checksum


def _compute_checksum(file: Path) -> int:
    checksum, buffer = 0, memoryview(bytearray(1 << 22))  # one reused buffer: twice as fast
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            checksum = zlib.crc32(buffer[:count], checksum)
    return checksum
