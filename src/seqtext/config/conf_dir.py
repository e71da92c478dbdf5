"""Find the folder of the configuration files."""

from pathlib import Path


def find_conf_dir() -> Path:
    """Return conf/ in the installed package, or else at the top of the checkout."""
    package = Path(__file__).absolute().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"
