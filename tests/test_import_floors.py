"""Modules import only from their own or a lower layer of the package."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import seqtext

ROOT = Path(seqtext.__file__).parent
FLOORS = (  # from the lowest; a module of the top level, or a folder, is one room
    {
        "errors",
        "display",
        "files",
        "fast_imports",
        "cache",
        "distributed",
        "validation",
        "html_templates",
        "lightning_messages",
    }
    | {"command_line", "identity", "metrics_file", "run_dir", "metrics", "losses", "checkpoints"}
    | {"optim", "speedups", "token_ids", "choices", "env_file"},
    {"layers", "embeddings", "encoders", "tokenizers", "data", "objectives"},
    {"models", "datasets", "figures"},
    {"callbacks", "loggers", "config", "listing"},
    {"training", "inference", "best_run", "run_names"},
    {"sweeps", "reporting"},
    {"main", "hydra_job", "error_handling", "scripts", "api"},
)
APART = {
    "layers": {"embeddings", "encoders", "tokenizers", "data"}
}  # on one floor, and yet not to be imported


def list_modules() -> dict[str, Path]:
    """Map module names, without the package's, to files; a folder is its __init__."""
    found = {}
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    del found[""]  # the package itself imports, when asked, what notebooks need
    return found


def list_imports(file: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of this package that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        own = (name.removeprefix("seqtext.") for name in names if name.startswith("seqtext."))
        yield from (name for name in own if name in modules)


def build_graph() -> dict[str, set[str]]:
    """Map each module to the modules that it imports."""
    modules = list_modules()
    return {name: set(list_imports(file, modules)) for name, file in modules.items()}


def room_of(module: str) -> str:
    """Return the first part of a module's name."""
    return module.partition(".")[0]


def test_every_room_has_a_floor():
    rooms = [room for floor in FLOORS for room in floor]
    assert len(rooms) == len(set(rooms))
    assert {room_of(module) for module in list_modules()} <= set(rooms)


def test_imports_point_downwards():
    floors = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    found = set()
    for module, imported in build_graph().items():
        one = room_of(module)
        for other in imported:
            two = room_of(other)
            if floors[two] > floors[one] or two in APART.get(one, ()):
                found.add((module, other))
    assert not found


def test_nothing_imports_the_commands():
    commands = FLOORS[-1]
    wrong = {
        (module, other)
        for module, imported in build_graph().items()
        for other in imported
        if other in commands and module not in commands
    }
    assert not wrong


def test_no_module_imports_itself_by_way_of_others():
    graph = build_graph()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
