"""Format user errors and errors of Hydra and the operating system as one sentence each."""

import errno
import os
import re

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from seqtext.config.available_options import (
    describe_missing_choice,
    explain_other_choice,
    find_nearest_options,
    find_override,
)
from seqtext.config.overrides import OVERRIDE, explain_unreadable
from seqtext.errors import UserError, format_reason

USER_ERRORS = (UserError, OSError, HydraException, OmegaConfBaseException, yaml.YAMLError)
SHOW_ALL_HINT = "python train.py --cfg job shows all."
DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def format_error(error: BaseException) -> str:
    """Format one of `USER_ERRORS` as one line that states how to fix it."""
    if isinstance(error, UserError):
        return str(error)
    if found := re.search(r"UserError raised while resolving interpolation: (.*)", str(error)):
        return found[1]
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return describe_missing_choice(error.missing_cfg_file, error.options or ())
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _describe_os_error(error)
    if isinstance(error, OverrideParseException):
        return _describe_unreadable(str(error.override))
    return _describe_composition_error(error)


HABITS = {  # options of other templates, and what they are here
    "ckpt_path": "resume=outputs/<run>, or mode=test checkpoint=outputs/<run>",
    "data": "dataset=",
    "extras.print_config": "python train.py --cfg job",
    "hparams_search": "hydra/sweeper=optuna, or an experiment that is a search",
    "optimized_metric": "monitor=",
    "task_name": "name=",
    "test": "every run is tested; mode=test checkpoint=outputs/<run> tests it again",
    "train": "mode=test checkpoint=outputs/<run> does not train",
}


COMPOSITION_ERRORS = {  # beginnings of Hydra's messages, and ours
    r"Ambiguous value for argument '([^=]+)=(.*)'": (
        "{0}={1} has commas: add -m to run each of these values, write \"{0}='{1}'\" for one text, "
        "or '{0}=[{1}]' for a list."
    ),
    r"Sweep parameters '(.*)' requires --multirun": (
        "{0} is a sweep: add -m to run each of its values."
    ),
    r"Error merging override [+~]*([^=]+)=(.*)": (
        "{0}={1} is not possible: the option has another type of value."
    ),
    r"Could not delete from config. '([^']+)' does not exist": (
        f"There is no option {{0}} to leave out: {SHOW_ALL_HINT}"
    ),
}


def _explain_habit(option: str) -> str | None:
    """Explain what an option of another template is here."""
    known = option if option in HABITS else option.partition(".")[0]
    return f"There is no option {option}. Here: {HABITS[known]}." if known in HABITS else None


def _describe_unreadable(override: str) -> str:
    meant = None if OVERRIDE.fullmatch(override) else find_override(override)
    if meant:
        return f"{override!r} is no option: each one is <word>=<value>. Did you mean {meant}?"
    return explain_unreadable(override)


def _describe_composition_error(error: BaseException) -> str:
    """Describe an error of Hydra or OmegaConf in composing the configuration."""
    text, cause = str(error), str(error.__cause__ or "")
    for pattern, sentence in COMPOSITION_ERRORS.items():
        if found := re.match(pattern, text):
            return sentence.format(*found.groups())
    if found := re.match(r"Could not override '([^']+)'", text):
        option = found[1]
        if explanation := _explain_habit(option) or explain_other_choice(option):
            return explanation
        near = re.search(r"Did you mean(?: one of)?: '([^']+)'", cause)
        parent, _, name = option.rpartition(".")
        meant = find_nearest_options(option)
        if near and not any(found.rpartition(".")[2] == name for found in meant):
            meant = [".".join(filter(None, [parent, near[1]]))]
        show_all = SHOW_ALL_HINT.replace("job", "hydra" if option.startswith("hydra") else "job")
        hint = f"did you mean {' or '.join(meant)}?" if meant else show_all
        return f"There is no option {option}: {hint}"
    lines = [line.strip() for part in (text, cause) for line in part.splitlines()]
    noise = ("full_key", "object_type", "See ", "Set the environment")
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(noise)))


def _describe_os_error(error: OSError) -> str:
    reason = format_reason(error.strerror or error)
    named = dict.fromkeys([error.filename, error.filename2])
    files = [os.fsdecode(file) for file in named if isinstance(file, str | bytes | os.PathLike)]
    if files:
        return f"{' or '.join(files)} cannot be used: {reason}."
    if error.errno in DISK_FULL_ERRORS or any(
        os.strerror(number) in reason for number in DISK_FULL_ERRORS
    ):
        return f"{reason}: the disk, or where the output goes, is full; make room, then try again."
    return f"A file cannot be used: {reason}."
