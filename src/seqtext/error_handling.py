"""Common error handling of all commands: streams, signals and one-sentence messages."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from seqtext.config.error_messages import USER_ERRORS, format_error
from seqtext.display import PrintableFormatter, name_commands, print_line, replace_unencodable
from seqtext.errors import SweepFailed, UserErrorExit
from seqtext.fast_imports import INTERRUPTS


def run_with_friendly_errors(main: Callable[[], object]) -> None:
    """Call `main`; report a user error in one sentence, without traceback, with exit status 2.

    HYDRA_FULL_ERROR=1 shows the traceback too.
    """
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    _open_closed_streams()
    replace_unencodable()
    if logging.lastResort is not None:  # handles records of scripts that do not configure logging
        logging.lastResort.setFormatter(PrintableFormatter())
    logging.raiseExceptions = False  # ignore closed pipes, as after `| head`
    threading.excepthook = _report_thread_error
    for number in INTERRUPTS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints errors and exits itself
    try:
        try:
            main()
        finally:
            sys.stdout.flush()  # if Python flushes at exit and fails, it prints a traceback
    except BrokenPipeError:  # as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (UserErrorExit, *USER_ERRORS) as caught:
        error = caught.__cause__ if isinstance(caught, UserErrorExit) else caught
        assert error is not None  # raised with `from`
        if traceback_wanted:
            raise error from error.__cause__
        print_line(name_commands(" ".join(format_error(error).splitlines())), sys.stderr)
        sys.exit(2)
    except SweepFailed:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _open_closed_streams() -> None:
    """Replace streams that the shell closed (``>&-``), so that no opened file gets their number.

    sys.stdin stays None, so that its reader can report that it is closed.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _report_thread_error(error: threading.ExceptHookArgs) -> None:
    """Print the traceback of a thread, but not of TensorBoard's writer thread on a full disk.

    TensorBoard raises that error again when the run writes to it next.
    """
    is_tensorboard = type(error.thread).__module__.startswith("tensorboard")
    if not (is_tensorboard and isinstance(error.exc_value, OSError)):
        threading.__excepthook__(error)
