"""Names of run and sweep folders, made from the command line."""

import hashlib
import re
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePath

from omegaconf import OmegaConf

from seqtext.config.groups import WITH_CHOICES
from seqtext.config.overrides import UNLIMITED_EPOCHS
from seqtext.display import name_commands
from seqtext.errors import OptionError, UserError
from seqtext.identity import FOLDER_OPTIONS, PATH_OPTIONS
from seqtext.listing import describe_choices
from seqtext.run_dir import RunDir, build_run_exists_error, check_links

NOT_IN_NAMES = (
    *("dataset", "model", "name", "resume", "mode", "tags", "notes", "label", "plugins"),
    *FOLDER_OPTIONS,
    *("dataset.dir", "dataset.download", "embedding.path", "embedding.download"),
    *("model.download", "tokenizer.download"),
)
GROUP_PREFIX = re.compile(rf"^({'|'.join(WITH_CHOICES)})\.")  # not split: split.seed is not seed
SHORTENED_PATH_OPTIONS = (
    *PATH_OPTIONS,
    *("from_best", "checkpoint"),
)  # a name shows only the last component of these
UNAMBIGUOUS_VALUE = re.compile(  # values with an unambiguous slug
    r"True|False|None|(?![\d.]+(-[\d.]+)+$)(?!.*_.*-)[a-z0-9._-]+|\[[\d.]+(,[\d.]+)+\]"
)
MAX_NAME_LENGTH = 120
TARGET_SUFFIX = "._target_"
DESCRIBE_OVERRIDE, TEST_OVERRIDE = "mode=describe", "mode=test"


def resolve_run_dir(
    output_dir: str | None,
    resume: str | None,
    name: str | None,
    overrides: Sequence[str],
    dataset: str,
    model: str,
) -> str:
    """Return the folder of a new run, with a unique name, or of the run to resume.

    Raises:
        UserError: if there is no run to resume; then nothing is created.
    """
    own = validate_resume_dir(resume) if resume is not None else _build_named_dir(output_dir, name)
    if own:
        check_links(Path(own))
    name = build_run_name(overrides, dataset, model, unique=True)
    return own or _join(output_dir, f"{name}_{_format_timestamp()}")


def resolve_config_dir(resume: str | None, folder: str) -> str:
    """Return the subfolder for Hydra's configuration; never that of an existing run.

    Raises:
        UserError: if there is no run to resume, or the folder of a new run already holds one.
    """
    if resume is not None:
        validate_resume_dir(resume)
        return ".hydra/resumed"
    if RunDir(folder).has_started:
        raise build_run_exists_error(Path(folder))
    return ".hydra"


def validate_resume_dir(resume: object) -> str:
    """Return the folder of the run to resume.

    Raises:
        UserError: if the folder holds no run.
    """
    if not is_path(resume) or not RunDir(str(resume)).has_started:
        raise UserError(f"resume={resume}: there is no run in this folder.")
    return str(resume)


def resolve_sweep_dir(
    output_dir: str | None, name: str | None, experiment: str | None, overrides: Sequence[str]
) -> str:
    """Return the folder of a sweep: the same for the same name or experiment, else a new one."""
    own_name = name if name is not None else experiment and experiment.replace("/", "-")
    own = _build_named_dir(output_dir, own_name)
    name = build_run_name(overrides, "sweep", unique=True)
    return own or _join(output_dir, f"{name}_{_format_timestamp()}")


def build_run_name(
    overrides: Sequence[str], *start: str, swept: Collection[str] = (), unique: bool = False
) -> str:
    """Build a name from `start` and the overrides: ``model.units=64`` becomes ``units-64``.

    The name contains only letters, digits and ``-._``, so that it needs no quotes in a shell or
    after ``resume=``. If other overrides could have the same name, it ends in a hash; in a very
    long name, a hash replaces the middle.

    Args:
        swept: keys that differ between the jobs of a sweep; the name contains all of their values
        unique: the caller appends a unique suffix, so that the name needs no hash
    """
    if DESCRIBE_OVERRIDE in overrides:
        start = (*(start if "model" in swept else start[:1]), "description")
    if TEST_OVERRIDE in overrides:  # the other data set, if there is one
        start = ("test", *(start[:1] if any(_get_key(o) == "dataset" for o in overrides) else ()))
    keys = {_get_key(override) for override in overrides}
    implied = {f"~{key.removesuffix(TARGET_SUFFIX)}" for key in keys if TARGET_SUFFIX in key}
    implied.add(UNLIMITED_EPOCHS)
    named = [o for o in overrides if _is_in_name(_get_key(o), swept) and o not in implied]
    name = "_".join(["-".join(start), *map(format_override_slug, named)])
    values = [_get_distinct_value(override, swept) for override in named]
    digest = _compute_short_digest(f"{_get_key(o)}={v}" for o, v in zip(named, values, strict=True))
    if len(name) > MAX_NAME_LENGTH - len(digest) - 1:
        return f"{name[: MAX_NAME_LENGTH // 3]}--{digest}--{name[-MAX_NAME_LENGTH // 2 :]}"
    has_class = any(_get_key(override).endswith(TARGET_SUFFIX) for override in named)
    if not unique and (has_class or not all(map(UNAMBIGUOUS_VALUE.fullmatch, values))):
        return f"{name}-{digest}"
    return name


def append_hash(name: str, overrides: Sequence[str]) -> str:
    """Return the name of a job whose usual name belongs to a job with other overrides."""
    return f"{name}-{_compute_short_digest(overrides)}"


def is_path(value: object) -> bool:
    """Return whether the value of an option can name a file or folder."""
    return isinstance(value, str | int | float) and bool(str(value).strip())


def _is_in_name(key: str, swept: Collection[str]) -> bool:
    if key in ("dataset", "model") or key.startswith("hydra"):  # the name starts with these
        return False
    return key in swept or key not in NOT_IN_NAMES


def _get_distinct_value(override: str, swept: Collection[str]) -> str:
    """Return the value, but only the last component of a path shared by all jobs.

    Then the folder of the path may be moved without changing the name.
    """
    key, value = _get_key(override), override.partition("=")[2]
    return _get_end_of_path(value) if key in SHORTENED_PATH_OPTIONS and key not in swept else value


def _compute_short_digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def _get_end_of_path(value: str) -> str:
    return PurePath(value.strip("'\"")).name


def format_override_slug(override: str) -> str:
    """Format an override for a name: ``model.units=[64,32]`` becomes ``units-64-32``.

    A class is shown without its module: ``optimizer._target_=my_project.Lion``, ``optimizer-Lion``.
    """
    key, value = _get_key(override), override.partition("=")[2]
    if key in SHORTENED_PATH_OPTIONS:
        value = _get_end_of_path(value)
    if key.endswith(TARGET_SUFFIX):
        key, value = key.removesuffix(TARGET_SUFFIX), value.rpartition(".")[2]
    key = GROUP_PREFIX.sub("", key)
    value = re.sub(r"[^A-Za-z0-9._-]+", "-", value.strip("[]'\""))
    return f"{key}-{value or 'none'}"


def _get_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _build_named_dir(output_dir: str | None, name: object) -> str | None:
    if name is None or name == "":
        return None
    text = str(name)  # may be any value in an experiment's file or a sweep
    if not re.fullmatch(r"[\w.-]+", text) or not text.strip("."):
        raise UserError(f"name={text} is not possible: use only letters, digits and -._.")
    return _join(output_dir, text)


def _join(output_dir: str | None, name: str) -> str:
    if not is_path(output_dir):
        raise OptionError("paths.output_dir", output_dir, "a folder")
    return str(Path(str(output_dir)).expanduser() / name)


def _format_timestamp() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


OmegaConf.register_resolver(
    "program", lambda name="train": name_commands(f"python {name}.py"), replace=True
)
OmegaConf.register_resolver("choices", describe_choices, replace=True)
OmegaConf.register_resolver("run_dir", resolve_run_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("sweep_dir", resolve_sweep_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("config_dir", resolve_config_dir, replace=True)
