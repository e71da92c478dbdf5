"""Who may name a class, and where the classes of one's own are found.

Whoever types the command line, and the conf folder they own, may name any importable class. Stored
settings (a checkpoint, a run folder), which may be untrusted, may name only known classes, and
those of packages that the user allows with ``plugins=``. Others are refused before any import.
"""

import difflib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

from seqtext.errors import UserError, describe_error, format_reason

_is_owner: ContextVar[bool] = ContextVar("is_owner", default=False)
_plugins: ContextVar[tuple[str, ...]] = ContextVar("plugins", default=())
_folders: list[Path] = []  # of packages of one's own


def may_name_any_class() -> bool:
    """Return whether the settings in use were composed from the command line."""
    return _is_owner.get()


def may_name(target: str) -> bool:
    """Return whether the settings in use may name this class, although it is not a known one."""
    return _is_owner.get() or any(f"{target}.".startswith(f"{name}.") for name in _plugins.get())


@contextmanager
def allow_any_class(is_allowed: bool = True) -> Iterator[None]:
    """Allow settings to name any importable class while the context is open."""
    token = _is_owner.set(is_allowed)
    try:
        yield
    finally:
        _is_owner.reset(token)


@contextmanager
def allow_packages(plugins: Any) -> Iterator[None]:
    """Allow stored settings to name the classes of packages while the context is open.

    Args:
        plugins: names of packages, modules or classes, such as ``["my_project"]``, or folders of
            packages, such as ``["../my_project"]``; or None

    Raises:
        UserError: if one is no such name.
    """
    is_list = isinstance(plugins, Sequence) and not isinstance(plugins, str)
    named = [] if plugins is None else list(plugins) if is_list else [plugins]
    names = [
        _find_package(name) if isinstance(name, str) and "/" in name else name for name in named
    ]
    for name in names:
        if not (isinstance(name, str) and _is_dotted_name(name)):
            raise UserError(
                f"plugins={name} is not possible: it must be a list of packages, as in "
                f"plugins=[my_project]."
            )
    token = _plugins.set((*_plugins.get(), *names))
    try:
        yield
    finally:
        _plugins.reset(token)


def _find_package(folder: str) -> str:
    """Return the name of the package in a folder, and let it be found there."""
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"plugins={folder}: there is no such folder.")
    _folders.append(path if (path / path.name).is_dir() else path.parent)
    return path.name


def set_own_folders(config_dirs: Sequence[Path]) -> None:
    """Set where packages of one's own are found, in addition to Python's path.

    These are the current folder and, for each conf folder of one's own, the folder that it is in.
    """
    parents = [folder.absolute().parent for folder in config_dirs]
    _folders[:] = [p.parent if (p / "__init__.py").is_file() else p for p in parents]


@contextmanager
def trust_command_line(config: Any, overrides: Sequence[str]) -> Iterator[None]:
    """Allow the classes that a command line may name while the context is open.

    A new run may name any class. ``resume=``, ``from_best=`` and ``checkpoint=`` use the settings
    of another run: these may name known classes, those of ``plugins=``, and those typed in
    `overrides`.
    """
    typed = [override.partition("._target_=")[2].strip("'\"") for override in overrides]
    names = [name for name in typed if _is_dotted_name(name)]
    is_new = all(config[option] is None for option in ("resume", "from_best", "checkpoint"))
    with (
        allow_any_class(is_new),
        allow_packages(config.plugins),
        allow_packages(names),
    ):
        yield


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def build_refusal(option: str, target: str, known: str) -> UserError:
    """Build the error for a class that stored settings may not name.

    Args:
        option: option that names it
        known: what may be named, such as ``a subclass of Module in seqtext.layers``
    """
    package = target.partition(".")[0]
    hint = f"it must name {known}"
    if "." in target and package.isidentifier() and package not in sys.stdlib_module_names:
        hint += f", unless you trust {package} and add plugins=[{package}]"
    return UserError(
        f"{option}={target} is not allowed in stored settings, which may be untrusted: {hint}."
    )


def import_target(option: str, target: str) -> Any:
    """Import what `target` names, by Python's path or from the folders of one's own.

    Args:
        option: option that names it, for messages

    Raises:
        UserError: if it does not exist, or importing it fails.
    """
    module_name, _, name = target.rpartition(".")
    if not module_name or not _is_dotted_name(target):
        raise UserError(
            f"{option}={target} cannot be found: a class is named as in my_project.MyClass."
        )
    if not target.startswith(("seqtext.", "torch.", "lightning.", "torchmetrics.")):
        for folder in map(str, (Path.cwd(), *_folders)):
            if folder not in sys.path:
                sys.path.append(folder)  # the last: its files do not replace installed packages
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{option}={target} cannot be found: {format_reason(error)} (installed, in the current "
            f"folder, or beside the folder of --config-dir)."
        ) from error
    except Exception as error:  # of code that may be the user's
        raise UserError(
            f"{option}={target} cannot be imported ({describe_error(error)}); "
            f"HYDRA_FULL_ERROR=1 shows where."
        ) from error
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, [n for n in dir(module) if n[0] != "_"], n=1)
        hint = f": did you mean {module_name}.{near[0]}?" if near else "."
        raise UserError(f"{option}={target} cannot be found: {module_name} has no {name}{hint}")
    return getattr(module, name)


def is_own(found: Any, target: str) -> bool:
    """Return whether a function may be used: stored settings may not name an imported one."""
    package = str(getattr(found, "__module__", "")).partition(".")[0]
    return _is_owner.get() or package == target.partition(".")[0]
