"""Files from their public sources: checked, shown in progress, never half there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from seqtext.errors import UserError

log = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """A public file.

    url: where it is
    page: its homepage
    checksum: "md5:…" or "sha256:…"; None where no genuine one is known
    size: bytes; None where it is not known
    name: on disk; empty: the last part of the address
    """

    url: str
    page: str
    checksum: str | None = None
    size: int | None = None
    name: str = ""

    @property
    def file(self) -> str:
        """Its name on disk."""
        return self.name or self.url.rsplit("/", 1)[-1]


def fetch(source: Download, folder: Path) -> Path:
    """Download into `folder`, unless the file is there already (with the right checksum).

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
                downloader=_downloader(source.size),
            )
    except (RequestException, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{source.url} could not be downloaded ({reason}): fetch {source.file} by hand from "
            f"{source.page} and put it into {folder}."
        ) from error
    return Path(path)


def _downloader(size: int | None) -> Callable[[str, str, Any], None]:
    """Download over HTTP with a bar, and refuse a file of another size."""
    import pooch

    over_http = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)

    def download(url: str, to: str, pooch: Any) -> None:
        over_http(url, to, pooch)
        got = Path(to).stat().st_size
        if size is not None and got != size:
            raise ValueError(f"{got:,} bytes came instead of {size:,}")

    return download
