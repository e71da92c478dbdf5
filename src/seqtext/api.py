"""Train from Python with the options, checks and files of the command line."""

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from seqtext.config.conf_dir import find_conf_dir, is_installed
from seqtext.config.error_messages import USER_ERRORS, format_error
from seqtext.config.overrides import MULTIRUN, quote_text
from seqtext.errors import OptionError, UserError, UserErrorExit

if TYPE_CHECKING:
    from omegaconf import DictConfig

PLAIN_WORD = re.compile(r"(?!(null|true|false|nan|inf)$)[A-Za-z][\w./-]*", re.ASCII | re.IGNORECASE)
OPTION = re.compile(r"[+~]*[\w/@][\w./@-]*")
MODES = (None, "train")


def run_training(options: Mapping[str, Any], config_dir: str | Path | None) -> dict[str, Any]:
    """Train one model, see `seqtext.train`."""
    for option, value in options.items():
        if not OPTION.fullmatch(option):
            raise UserError(f"{option!r} is no option: they look like model or model.units.")
        if option.lstrip("+~") == "mode" and value not in MODES:
            raise OptionError("mode", value, "train here; the command line has other modes")
    arguments = [f"{option}={format_override_value(option, v)}" for option, v in options.items()]
    if config_dir is not None:
        arguments += ["--config-dir", str(config_dir)]
    results: list[dict[str, Any]] = []
    with _replace_command_line(arguments), _restore_logging(), _leave_hydra():
        try:
            _run(results)
        except (UserErrorExit, *USER_ERRORS) as caught:
            error = caught.__cause__ if isinstance(caught, UserErrorExit) else caught
            assert error is not None  # raised with `from`
            raise UserError(" ".join(format_error(error).splitlines())) from error
    return results[0] if results else {}


def format_override_value(option: str, value: Any) -> str:
    """Format a Python value in Hydra's grammar; texts stay texts, whatever they contain.

    Raises:
        OptionError: if the value has another type than those of configuration files.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        return text if PLAIN_WORD.fullmatch(text) else quote_text(text)
    if isinstance(value, Mapping):
        entries = (f"{k}:{format_override_value(option, v)}" for k, v in value.items())
        return f"{{{','.join(entries)}}}"
    if isinstance(value, Sequence):
        return f"[{','.join(format_override_value(option, each) for each in value)}]"
    raise OptionError(option, value, "a text, number, boolean, None, list or dictionary")


def _run(results: list[dict[str, Any]]) -> None:
    """Run the command line, and append the content of metrics.json to `results`."""
    from seqtext.main import read_arguments, run_job, run_with_hydra

    def run_and_read(config: "DictConfig") -> None:
        from hydra.core.hydra_config import HydraConfig

        from seqtext.run_dir import RunDir

        run_job(config)
        folder = str(config.resume or HydraConfig.get().runtime.output_dir)
        results.append({**(RunDir(folder).read_metrics() or {}), "run": folder})

    conf = find_conf_dir()
    sys.argv[1:] = read_arguments(conf)
    if MULTIRUN in sys.argv:
        raise UserError("train() trains one model: start a sweep from the command line.")
    run_with_hydra(conf, run_and_read)


@contextmanager
def _replace_command_line(arguments: Sequence[str]) -> Iterator[None]:
    """Replace the arguments of this process, which Hydra and the record of a run read."""
    program = "seqtext-train" if is_installed() else "train.py"
    with (
        patch.object(sys, "argv", [program, *arguments]),
        patch.dict(os.environ, HYDRA_FULL_ERROR="1"),  # otherwise Hydra prints errors and exits
    ):
        yield


@contextmanager
def _restore_logging() -> Iterator[None]:
    """Remove the handlers of a run from the root logger at the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _leave_hydra() -> Iterator[None]:
    """Let a program that is itself a Hydra job start another one."""
    from hydra.core.global_hydra import GlobalHydra

    current = GlobalHydra.instance()
    before, current.hydra = current.hydra, None
    try:
        yield
    finally:
        current.hydra = before
