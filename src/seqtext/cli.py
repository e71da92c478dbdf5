"""The command line: names of run folders, and mistakes told in one sentence."""

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqtext.options import UserError

OUTPUTS = "outputs"
IN_THE_START = ("dataset", "model", "resume")  # of a run's name
LONGEST_NAME = 120


def told_simply(main: Callable[[], object]) -> None:
    """Call `main`; a user's mistake ends in one sentence and exit status 2, without a traceback.

    HYDRA_FULL_ERROR=1 shows the traceback too.
    """
    traceback_wanted = os.environ.setdefault("HYDRA_FULL_ERROR", "0") not in ("", "0")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints and exits by itself
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if traceback_wanted:
            raise
        sys.exit(_say(sentence(error), 2))
    except KeyboardInterrupt:
        sys.exit(_say("Interrupted: go on with python train.py resume=<run folder>.", 130))


def sentence(error: BaseException) -> str:
    """An error as one line; Hydra's own are put together from all that they say."""
    if isinstance(error, UserError):
        return str(error)
    said = [str(error)]
    if isinstance(error.__cause__, OmegaConfBaseException):
        said.append(str(error.__cause__))
    lines = [line.strip() for text in said for line in text.splitlines()]
    useful = (
        line for line in lines if line and not line.startswith(("full_key", "object_type", "See "))
    )
    return " ".join(dict.fromkeys(useful))


def _say(text: str, status: int) -> int:
    print(text, file=sys.stderr)
    return status


def run_dir(resume: str | None, overrides: Sequence[str], dataset: str, model: str) -> str:
    """The folder of a new run (its name is never given twice), or that of the run to go on with."""
    return resume or f"{OUTPUTS}/{run_name(overrides, dataset, model)}_{_stamp()}"


def sweep_dir(overrides: Sequence[str]) -> str:
    """The folder of a new sweep."""
    return f"{OUTPUTS}/{run_name(overrides, 'sweep')}_{_stamp()}"


def run_name(overrides: Sequence[str], *start: str) -> str:
    """`start`, then the overrides: ``model.units=64`` becomes ``units-64``.

    The name holds letters, digits and ``-._`` only, so that a shell and ``resume=`` take it
    unquoted, and is cut where file systems would refuse it.
    """
    parts = ["-".join(start)]
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key not in IN_THE_START and not key.startswith("hydra"):
            parts.append(f"{key.rsplit('.', 1)[-1]}-{value}")
    name = "_".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-") for part in parts)
    return name[:LONGEST_NAME]


def _stamp() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


OmegaConf.register_resolver("run_dir", run_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("sweep_dir", sweep_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("run_name", run_name, replace=True)
OmegaConf.register_resolver(
    "config_dir", lambda resume: ".hydra/resumed" if resume else ".hydra", replace=True
)
