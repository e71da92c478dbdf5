"""Read the stored settings of a run, and refuse everything except plain values."""

import io
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqtext.config.paths import list_missing_paths
from seqtext.errors import UserError, format_reason
from seqtext.files import MALFORMED_YAML, read_shallow_yaml

log = logging.getLogger(__name__)

DOWNLOADED_PATHS = (  # options of groups that have an option `download`
    *(("dataset", "dir"), ("embedding", "path"), ("model", "path"), ("tokenizer", "path")),
)

INTERPOLATION = "${"
PLAIN_INTERPOLATION = re.compile(r"\$\{\.*[A-Za-z_][\w-]*(\.[\w-]+)*\}")  # ${model.units}
OWN_VARIABLE = re.compile(r"\$\{oc\.env:SEQTEXT_(DATA|OUTPUT|CACHE)_DIR,[\w.-]+\}")  # of conf/


def check_stored_settings(settings: Mapping[str, Any]) -> None:
    """Refuse stored settings that are not plain values, or that contain interpolations.

    OmegaConf would resolve an interpolation such as ``${oc.env:HOME}`` on the machine that uses the
    settings, and the value would be written to files that people share.

    Raises:
        UserError: for the first such option.
    """
    _check(settings, "", lambda text: INTERPOLATION not in text)


def read_stored_settings(path: Path) -> DictConfig:
    """Read Hydra's stored configuration of a run folder.

    Only interpolations of other options of the same file, such as ``${model.units}``, are resolved,
    and those of the folders in conf/config.yaml, which a killed run leaves.

    Raises:
        UserError: if the file is missing or damaged, or has other interpolations.
    """
    try:
        config = OmegaConf.load(io.BytesIO(read_shallow_yaml(path)))
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there.") from error
    except (
        *MALFORMED_YAML,
        OmegaConfBaseException,
        OSError,
    ) as error:  # OmegaConf's, if it is not a mapping
        raise UserError(f"{path} is damaged, or no configuration of a run.") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path} is no configuration of a run.")
    try:
        _check(OmegaConf.to_container(config), "", _refers_to_options_only)
        resolved = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
        check_stored_settings(resolved)  # values that interpolations may have composed
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    except (OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{path} cannot be used: {format_reason(error)}.") from error
    return OmegaConf.create(resolved)


def replace_untrusted_paths(settings: dict[str, Any], config: DictConfig) -> None:
    """Prevent stored settings, which may be untrusted, from creating arbitrary folders.

    Their cache is used only if it already contains prepared data, their data folder only if it
    exists; nothing is downloaded into it, or into a folder that does not exist.

    Args:
        settings: settings, changed in place
        config: configuration with the folders to use instead
    """
    current = cast(dict[str, Any], OmegaConf.to_container(config.paths, resolve=True))
    stored = settings.get("paths")
    paths = current | (stored if isinstance(stored, dict) else {})
    for option in list_missing_paths(paths, current):
        log.warning("paths.%s=%s is not there: %s is used.", option, paths[option], current[option])
        paths[option] = current[option]
    settings["paths"] = paths | {"output_dir": current["output_dir"]}
    for group, option in DOWNLOADED_PATHS:
        options = settings.get(group)
        if not isinstance(options, dict) or not options.get("download"):
            continue
        folder = options.get(option)
        if folder is None:
            options["download"] = paths["data_dir"] == current["data_dir"]
        elif not Path(str(folder)).expanduser().exists():
            log.warning(
                "Nothing is downloaded to %s.%s=%s: it is not there.", group, option, folder
            )
            options["download"] = False


def forbid_download(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of a group that may not download what an untrusted checkpoint names."""
    return options | {"download": False} if "download" in options else options


def has_interpolations(config: DictConfig) -> bool:
    """Return whether any option of a configuration, except Hydra's own, is an interpolation."""
    own = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    try:
        check_stored_settings(cast(dict[str, Any], OmegaConf.to_container(own)))
    except UserError:
        return True
    return False


def _refers_to_options_only(text: str) -> bool:
    return INTERPOLATION not in PLAIN_INTERPOLATION.sub("", OWN_VARIABLE.sub("", text))


def _check(value: Any, option: str, is_allowed: Callable[[str], bool]) -> None:
    if isinstance(value, Mapping):
        for key, below in value.items():
            if type(key) is not str or INTERPOLATION in key:
                raise UserError(f"{option or 'a stored setting'} has the key {key!r}.")
            _check(below, f"{option}.{key}" if option else key, is_allowed)
    elif isinstance(value, list | tuple):
        for below in value:
            _check(below, option, is_allowed)
    elif isinstance(value, str):
        if not is_allowed(value):
            raise UserError(
                f"{option}={value} is an interpolation: stored settings must be plain values."
            )
    elif not isinstance(value, int | float | None):
        raise UserError(f"{option} must be a plain value.")
