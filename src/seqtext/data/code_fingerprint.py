"""A digest of the code that prepares data: what was prepared by other code is not found."""

import hashlib
import inspect
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

PACKAGES = tuple(f"seqtext.{name}." for name in ("data", "datasets", "embeddings", "tokenizers"))
# They work on prepared data, keep it, or bring files whose content counts: no change of
# theirs changes what is prepared.
NOT_PREPARING = {
    f"seqtext.data.{name}" for name in ("loaders", "class_balance", "download", "code_fingerprint")
}
INSTALL_FOLDERS = {"site-packages", "dist-packages"}
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]+))",
    re.MULTILINE,
)


def code_fingerprint(kind: type | Callable) -> str:
    """Return a digest of the module where `kind` is written, and of what it imports.

    Followed are imports of this package's modules for data, and of modules that lie beside the
    one of `kind`, or of a class that it inherits from; in other packages code counts as settled.
    Where code cannot be read (typed into an interpreter) the digest differs in each process:
    nothing old is found.
    """
    kinds = kind.__mro__ if isinstance(kind, type) else [kind]
    own = [each for each in kinds if _is_own(each.__module__, kind.__module__)]
    digest = hashlib.blake2b(digest_size=16)
    for name, source in sorted(_sources([each.__module__ for each in own], kind.__module__)):
        digest.update(f"{name}\0{source}\0".encode())
    for each in own:
        if _read_module(each.__module__, kind.__module__) is None:
            digest.update(_source_of_object(each).encode())
    return digest.hexdigest()


def _sources(modules: list[str], home: str) -> Iterator[tuple[str, str]]:
    """Yield name and source of these modules and of all that they import, directly or not."""
    waiting, seen = list(modules), set(modules)
    while waiting:
        name = waiting.pop()
        if (source := _read_module(name, home)) is None:
            continue
        yield name, source
        imported = _imported(source, name) - seen - NOT_PREPARING
        found = [other for other in imported if _is_own(other, home)]
        seen.update(found)
        waiting += found


def _is_own(module: str, home: str) -> bool:
    """Return whether a module's code counts for what is written in the module `home`."""
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


def _imported(source: str, module: str) -> set[str]:
    """Return the names of modules that a source may import: `from a import b` gives a and a.b."""
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
    """Find a module's source file without loading it; None: there is no such module or file."""
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


def _source_of_object(kind: type | Callable) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return uuid.uuid4().hex
