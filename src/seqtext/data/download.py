"""Files from their public sources: checked, shown in progress, never half there."""

import logging
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from seqtext.options import UserError

log = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Download:
    """A public file: where it is, its checksum, and the page that tells a person about it."""

    url: str
    md5: str
    page: str

    @property
    def file(self) -> str:
        """Its name on disk."""
        return self.url.rsplit("/", 1)[-1]


def fetch(source: Download, folder: Path) -> Path:
    """Download into `folder`, unless the file is there with the right checksum.

    Raises:
        UserError: if the server cannot be reached, refuses, stalls, or sends another file.
    """
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    log.info("Downloading %s into %s.", source.url, folder)
    try:
        with FileLock(folder / f".{source.file}.lock"):
            path = pooch.retrieve(
                source.url,
                known_hash=f"md5:{source.md5}",
                fname=source.file,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT),
            )
    except (RequestException, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{source.url} could not be downloaded ({reason}): fetch {source.file} by hand from "
            f"{source.page} and put it into {folder}."
        ) from error
    return Path(path)
