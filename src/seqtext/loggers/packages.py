"""What loggers of other services need: their package, and the id of a run that is resumed."""

from importlib.util import find_spec
from pathlib import Path

from seqtext.errors import UserError
from seqtext.files import write_text


def require_package(logger: str, package: str, install: str) -> None:
    """Raise `UserError`, with the command that installs it, if a package is missing."""
    if find_spec(package) is None:
        raise UserError(f"logger={logger} needs a package: pip install {install}")


def read_run_id(path: Path) -> str | None:
    """Return the id under which a service knows a run, or None."""
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    return text if text.isalnum() and len(text) <= 64 else None


def write_run_id(path: Path, run_id: str) -> None:
    """Store the id, so that a resumed run continues its logs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, run_id)
