"""Defaults of classes equal those of their configuration files in conf."""

import inspect
import json
import re
from typing import Any

import pytest
from lightning import Trainer

from seqtext.config.groups import GROUPS
from seqtext.config.instantiate import resolve_target
from seqtext.config.trainer import DEFAULTS
from tests.conftest import ROOT, settings_of

PRESETS = {"attention": {"units", "bidirectional", "pooling"}}  # of a class with its own file
NOT_OPTIONS = {"embedding", "classes", "features", "vocabulary_size", "vocabulary", "description"}
OF_ENCODERS = "encoder"  # choices whose options follow those of model=pretrained


def constructor_defaults(kind: type) -> dict[str, Any]:
    """Return the defaults of all options, also of bases that receive `**options`."""
    defaults: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        named = {p.name: p.default for p in parameters if p.default is not p.empty}
        defaults = named | defaults
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return defaults


def list_files(group: str) -> list[str]:
    files = (ROOT / "conf" / group).glob("*.yaml")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", list_files("model"))
def test_models(name):
    config = settings_of(f"model={name}")["model"]
    kind = resolve_target("model", config.pop("_target_"))
    defaults = constructor_defaults(kind)
    own = {option for option in config if option not in PRESETS.get(name, ())}
    assert {o: config[o] for o in own} == {o: as_list(defaults[o]) for o in own}
    unlisted = set(defaults) - set(config) - NOT_OPTIONS
    has_no_gates = getattr(kind, "cell", None) == "rnn"
    assert unlisted == ({"recurrent_activation"} if has_no_gates else set())


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, n) for group in ("embedding", "tokenizer") for n in list_files(group)],
)
def test_embeddings_and_tokenizers(group, name):
    others = ["model=pretrained"] if name == OF_ENCODERS else []
    config = settings_of(*others, f"{group}={name}")[group]
    defaults = constructor_defaults(resolve_target(group, config.pop("_target_")))
    assert config == {option: as_list(default) for option, default in defaults.items()}


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, n) for group in ("optimizer", "scheduler") for n in list_files(group)],
)
def test_optimizers_and_schedulers(group, name):
    """Where a value is not torch's, a comment says why and ends with torch's: `torch: 0.001`."""
    config = settings_of(f"{group}={name}")[group]
    defaults = constructor_defaults(resolve_target(group, config.pop("_target_")))
    assert config.pop("_partial_", None) is (True if group == "optimizer" else None)
    config.pop("interval", None)
    differing = {o: defaults[o] for o in config if config[o] != as_list(defaults[o])}
    file = (ROOT / "conf" / group / f"{name}.yaml").read_text()
    comments = dict(re.findall(r"^(\w+):.*# .+; torch: (\S+)$", file, re.MULTILINE))
    assert {option: json.loads(value) for option, value in comments.items()} == differing


@pytest.mark.parametrize("name", list_files("dataset"))
def test_datasets(name):
    config = settings_of(f"dataset={name}")["dataset"]
    kind = resolve_target("dataset", config.pop("_target_"))
    defaults = constructor_defaults(kind)
    own = {"cleaning": list(kind.default_cleaning), "batch_size": kind.default_batch_size}
    assert {option: defaults[option] for option in own} == dict.fromkeys(own)
    config = {o: own.get(o) if value is None else value for o, value in config.items()}
    assert config == {option: own.get(option, defaults[option]) for option in config}
    unlisted = set(defaults) - set(config) - {"dir", "download"}  # a table names its files
    assert unlisted == set(GROUPS["dataset"].runtime_args)


def test_trainer():
    config = settings_of("trainer=auto")["trainer"]
    lightnings = {p.name: p.default for p in inspect.signature(Trainer).parameters.values()}
    assert config == {option: (lightnings | DEFAULTS)[option] for option in config}
