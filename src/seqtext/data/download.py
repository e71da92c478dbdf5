"""Download files from their public sources: verified, with a progress bar, and atomic."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from seqtext.errors import UserError, format_reason

log = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without receiving a byte


@dataclass(frozen=True)
class Download:
    """Describes a public file.

    url: address of the file
    page: homepage of the source
    checksum: "md5:…" or "sha256:…"; None if none is published
    size: size in bytes; None if unknown
    name: file name on disk; empty: the last part of the address
    """

    url: str
    page: str
    checksum: str | None = None
    size: int | None = None
    name: str = ""

    @property
    def file(self) -> str:
        """Return its file name on disk."""
        return self.name or self.url.rsplit("/", 1)[-1]


def fetch(source: Download, folder: Path) -> Path:
    """Download a file into `folder`, unless it exists there with the right checksum.

    Raises:
        UserError: if the server cannot be reached, refuses, stalls, or sends another file.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    size = f" ({source.size / 1e6:,.0f} MB)" if source.size else ""
    log.info("Downloading %s%s into %s.", source.url, size, folder)
    try:
        with FileLock(folder / f".{source.file}.lock"):
            path = pooch.retrieve(
                source.url,
                known_hash=source.checksum,
                fname=source.file,
                path=folder,
                downloader=_build_downloader(source.size),
            )
    except (RequestException, ValueError, OSError) as error:
        reason = format_reason(error)
        raise UserError(
            f"{source.url} could not be downloaded ({reason}): fetch {source.file} by hand from "
            f"{source.page} and put it into {folder}."
        ) from error
    return Path(path)


def _build_downloader(size: int | None) -> Callable[[str, str, Any], None]:
    """Build a downloader over HTTP with a progress bar, which refuses a file of another size."""
    import pooch

    over_http = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)

    def download(url: str, to: str, pooch: Any) -> None:
        over_http(url, to, pooch)
        got = Path(to).stat().st_size
        if size is not None and got != size:
            raise ValueError(f"{got:,} bytes were received instead of {size:,}")

    return download
