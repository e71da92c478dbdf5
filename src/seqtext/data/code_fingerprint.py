"""Compute a digest of the code that prepares data, so that changed code invalidates the cache."""

import hashlib
import inspect
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = tuple(
    f"seqtext.{name}." for name in ("data", "datasets", "embeddings", "encoders", "tokenizers")
)
# Modules that cannot change prepared data: they only use it, store it, or download files whose
# content is part of the cache key.
NOT_PREPARING = {
    f"seqtext.data.{name}" for name in ("loaders", "class_balance", "download", "code_fingerprint")
} | {"seqtext.datasets.batch_loaders"}
INSTALL_FOLDERS = {"site-packages", "dist-packages"}
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]+))",
    re.MULTILINE,
)


def digest_code(kind: type | Callable) -> str:
    """Return a digest of the source of the module that defines `kind`, and of its imports.

    Imports of this package's data modules are followed, and of modules in the same folder as that
    of `kind` or of a base class; code of other packages is assumed not to change. If the source is
    not available (typed into an interpreter), the digest differs in each process, so that no cache
    entry is reused.
    """
    kinds = kind.__mro__ if isinstance(kind, type) else [kind]
    own = [each for each in kinds if _is_own(each.__module__, kind.__module__)]
    digest = hashlib.blake2b(digest_size=16)
    for name, source in sorted(_iter_sources([each.__module__ for each in own], kind.__module__)):
        digest.update(f"{name}\0{source}\0".encode())
    for each in own:
        if _read_module(each.__module__, kind.__module__) is None:
            digest.update(_get_source(each).encode())
    return digest.hexdigest()


def _iter_sources(modules: list[str], home: str) -> Iterator[tuple[str, str]]:
    """Yield name and source of modules and of their direct and indirect imports."""
    waiting, seen = list(modules), set(modules)
    while waiting:
        name = waiting.pop()
        if (source := _read_module(name, home)) is None:
            continue
        yield name, source
        imported = _find_imports(source, name) - seen - NOT_PREPARING
        found = [other for other in imported if _is_own(other, home)]
        seen.update(found)
        waiting += found


def _is_own(module: str, home: str) -> bool:
    """Return whether a module's source is part of the digest of code in the module `home`."""
    if module == home or module.startswith(PACKAGES):
        return True
    top = module.partition(".")[0]
    if top == "seqtext":
        return module.rpartition(".")[0] == home.rpartition(".")[0]
    if top == home.partition(".")[0]:
        return True
    path, beside = _find_module_file(module, home), _find_module_file(home, home)
    if path is None or beside is None or INSTALL_FOLDERS & {*path.parts}:
        return False
    return "." not in home and beside.parent in path.parents


def _find_imports(source: str, module: str) -> set[str]:
    """Return the names of modules that a source may import: a and a.b for `from a import b`."""
    names: set[str] = set()
    for found in IMPORT.finditer(source):
        if found[3]:
            names.update(part.split()[0] for part in found[3].split(",") if part.strip())
            continue
        origin = found[1]
        if origin.startswith("."):
            level = len(origin) - len(origin.lstrip("."))
            parents = module.split(".")[:-level]
            origin = ".".join([*parents, *filter(None, [origin.lstrip(".")])])
        names.add(origin)
        parts = found[2].strip("() \t").split(",")
        names.update(f"{origin}.{part.split()[0]}" for part in parts if part.strip())
    return names


def _read_module(name: str, home: str) -> str | None:
    path = _find_module_file(name, home)
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _find_module_file(name: str, home: str) -> Path | None:
    """Find a module's source file without importing it; None if there is none."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
        return Path(file) if file and file.endswith(".py") else None
    top = name.partition(".")[0]
    known = sys.modules.get(top) or sys.modules.get(home)
    file = getattr(known, "__file__", None)
    if not file:
        return None
    folder = Path(file).parent.parent if Path(file).name == "__init__.py" else Path(file).parent
    path = folder.joinpath(*name.split("."))
    for candidate in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _get_source(kind: type | Callable) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return uuid.uuid4().hex
