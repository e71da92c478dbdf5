"""Find the folder of the configuration files."""

from pathlib import Path

PACKAGE = Path(__file__).absolute().parents[1]


def find_conf_dir() -> Path:
    """Return conf/ in the installed package, or else at the top of the checkout."""
    return PACKAGE / "conf" if is_installed() else PACKAGE.parents[1] / "conf"


def is_installed() -> bool:
    """Return whether this package comes from a wheel, without the scripts of a checkout."""
    return (PACKAGE / "conf").is_dir()
