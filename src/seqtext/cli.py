"""The command line: its start, names of run folders, and mistakes told in one sentence."""

import gc
import hashlib
import logging
import os
import re
import secrets
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from omegaconf import OmegaConf

from seqtext.choices import list_choices
from seqtext.display import PrintableFormatter, print_line, replace_unencodable
from seqtext.errors import MISTAKES, sentence
from seqtext.identity import LOCATIONS
from seqtext.options import UserError
from seqtext.results.folder import RunFolder, already_holds_a_run, check_links

OUTPUTS = "outputs"
NOT_IN_NAMES = (
    *("dataset", "model", "name", "resume", "cache", "describe"),
    *("dataset.dir", "dataset.download", "embedding.path", "embedding.download"),
)
GROUP = re.compile(r"^(dataset|embedding|model|optimizer|trainer)\.")  # split.seed is not seed
PATHS = (*LOCATIONS, "best_of")  # of these a name shows the end
TELLABLE = re.compile(  # values that no other value shares its part of a name with
    r"True|False|None|(?![\d.]+(-[\d.]+)+$)(?!.*_.*-)[a-z0-9._-]+|\[[\d.]+(,[\d.]+)+\]"
)
LONGEST_NAME = 120
HELP_WIDTH, HELP_INDENT = 80, 16  # characters, of lists on the help page
DESCRIBE = "describe=true"


class Incomplete(Exception):
    """A sweep ended without some of its jobs, and has said which."""


class Refused(BaseException):
    """Carries a `UserError` past Hydra, which would print more about it than there is to say."""


def told_simply(main: Callable[[], object]) -> None:
    """Call `main`; a user's mistake ends in one sentence and exit status 2, without a traceback.

    HYDRA_FULL_ERROR=1 shows the traceback too.
    """
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    _open_closed_streams()
    replace_unencodable()
    logging.lastResort.setFormatter(PrintableFormatter())  # of scripts that set up no logging
    logging.raiseExceptions = False  # of a message that nobody reads, as after `| head`
    threading.excepthook = _report_thread_error
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # until now, while scripts import
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints and exits by itself
    try:
        try:
            main()
        finally:
            sys.stdout.flush()  # where it fails later, Python has a traceback to show
    except BrokenPipeError:  # as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (Refused, *MISTAKES) as caught:
        error = caught.__cause__ if isinstance(caught, Refused) else caught
        if traceback_wanted:
            raise error from None
        sys.exit(_say(sentence(error), 2))
    except Incomplete:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _open_closed_streams() -> None:
    """Let what a shell closed (``>&-``) be empty: otherwise the next file takes its number.

    Standard input stays None: who reads it can say that it is closed.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _report_thread_error(error: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread, as Python does, but not of TensorBoard's on a full disk.

    What it raised there is raised again where the run writes to it next.
    """
    is_tensorboard = type(error.thread).__module__.startswith("tensorboard")
    if not (is_tensorboard and isinstance(error.exc_value, OSError)):
        threading.__excepthook__(error)


@contextmanager
def importing() -> Iterator[None]:
    """Within, import what takes seconds; the first time without the garbage collector.

    It would look through all of it, time and again while it comes: a quarter of the time that
    torch and lightning take. Nor does it later, nor at the end: they are told to stay.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        with _dying_of_interrupts():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _dying_of_interrupts() -> Iterator[None]:
    """Within, let Ctrl-C end the process at once, without a word.

    Compiled modules that are interrupted while they are imported say other things than that.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _say(text: str, status: int) -> int:
    print_line(" ".join(text.splitlines()), sys.stderr)
    return status


def run_dir(
    resume: str | None, name: str | None, overrides: Sequence[str], dataset: str, model: str
) -> str:
    """The folder of a new run (its name is never given twice), or that of the run to go on with.

    Raises:
        UserError: if there is no run to go on with: nothing is created then.
    """
    own = resumable(resume) if resume is not None else _named(name)
    if own:
        check_links(Path(own))
    return own or f"{OUTPUTS}/{run_name(overrides, dataset, model, unique=True)}_{_stamp()}"


def config_dir(resume: str | None, folder: str) -> str:
    """Where Hydra writes the configuration within a run's folder, without harm to another run's.

    Raises:
        UserError: if there is no run to go on with, or a new one would write into another's folder.
    """
    if resume is not None:
        resumable(resume)
        return ".hydra/resumed"
    if RunFolder(folder).started:
        raise already_holds_a_run(Path(folder))
    return ".hydra"


def resumable(resume: object) -> str:
    """Return the folder of a run to go on with.

    Raises:
        UserError: if there is none.
    """
    if not is_path(resume) or not RunFolder(str(resume)).started:
        raise UserError(f"resume={resume}: there is no run in this folder.")
    return str(resume)


def sweep_dir(name: str | None, experiment: str | None, overrides: Sequence[str]) -> str:
    """The folder of a sweep: the same for the same name or experiment, else a new one."""
    own = _named(name if name is not None else experiment and experiment.replace("/", "-"))
    return own or f"{OUTPUTS}/{run_name(overrides, 'sweep', unique=True)}_{_stamp()}"


def run_name(
    overrides: Sequence[str], *start: str, swept: Collection[str] = (), unique: bool = False
) -> str:
    """`start`, then the overrides: ``model.units=64`` becomes ``units-64``.

    The name holds letters, digits and ``-._`` only, so that a shell and ``resume=`` take it
    unquoted. Where other overrides could have the same one, a hash stands at its end; of a very
    long name, in its middle, instead of what is left out.

    Args:
        swept: keys that differ between the jobs of a sweep: the name tells each of their values
        unique: the name is made unique by what follows it, and needs no hash
    """
    if DESCRIBE in overrides:
        start = (*start[:1], "description")
    told = [o for o in overrides if _is_told(_key(o), swept)]
    name = "_".join(["-".join(start), *map(part_of_name, told)])
    values = [_distinct_value(override, swept) for override in told]
    digest = _short_digest(f"{_key(o)}={v}" for o, v in zip(told, values, strict=True))
    if len(name) > LONGEST_NAME - len(digest) - 1:
        return f"{name[: LONGEST_NAME // 3]}--{digest}--{name[-LONGEST_NAME // 2 :]}"
    if not unique and not all(map(TELLABLE.fullmatch, values)):
        return f"{name}-{digest}"
    return name


def name_with_hash(name: str, overrides: Sequence[str]) -> str:
    """Another name for a job whose own is taken by a job with other overrides."""
    return f"{name}-{_short_digest(overrides)}"


def is_path(value: object) -> bool:
    """Whether the value of an option can name a file or folder."""
    return isinstance(value, str | int | float) and bool(str(value).strip())


def _is_told(key: str, swept: Collection[str]) -> bool:
    if key in ("dataset", "model") or key.startswith("hydra"):  # they start the name
        return False
    return key in swept or key not in NOT_IN_NAMES


def _distinct_value(override: str, swept: Collection[str]) -> str:
    """Of a path that all jobs share the end, so that its folder may be moved."""
    key, value = _key(override), override.partition("=")[2]
    return _end_of_path(value) if key in PATHS and key not in swept else value


def _short_digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]


def _end_of_path(value: str) -> str:
    return PurePath(value.strip("'\"")).name


def part_of_name(override: str) -> str:
    """``model.units=[64,32]`` becomes ``units-64-32``."""
    key, value = _key(override), override.partition("=")[2]
    if key in PATHS:
        value = _end_of_path(value)
    key = GROUP.sub("", key).rpartition("/")[2]  # of experiment/amazon/architecture its end
    value = re.sub(r"[^A-Za-z0-9._-]+", "-", value.strip("[]'\""))
    return f"{key}-{value}"


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _named(name: object) -> str | None:
    if name is None or name == "":
        return None
    text = str(name)  # of an experiment's file, or of a sweep, any value
    if not re.fullmatch(r"[\w.-]+", text) or not text.strip("."):
        raise UserError(f"name={text} is not possible: use letters, digits and -._ alone.")
    return f"{OUTPUTS}/{text}"


def choices_for_help(group: str) -> str:
    """List a group's choices, as the help page shows them: also those that you add to conf/."""
    lines = textwrap.wrap(", ".join(list_choices(group)), HELP_WIDTH)
    return f"\n{' ' * HELP_INDENT}".join(lines)


def _stamp() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


OmegaConf.register_resolver("choices", choices_for_help, replace=True)
OmegaConf.register_resolver("run_dir", run_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("sweep_dir", sweep_dir, use_cache=True, replace=True)
OmegaConf.register_resolver("config_dir", config_dir, replace=True)
