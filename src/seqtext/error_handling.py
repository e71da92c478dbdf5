"""The frame around every command: streams, signals, and one sentence for a mistake of the user."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from seqtext.config.error_messages import USER_ERRORS, format_error
from seqtext.display import PrintableFormatter, print_line, replace_unencodable
from seqtext.errors import SweepFailed, UserErrorExit


def run_with_friendly_errors(main: Callable[[], object]) -> None:
    """Call `main`; a user's mistake ends in one sentence and exit status 2, without a traceback.

    HYDRA_FULL_ERROR=1 shows the traceback too.
    """
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
    _open_closed_streams()
    replace_unencodable()
    if logging.lastResort is not None:  # of scripts that set up no logging
        logging.lastResort.setFormatter(PrintableFormatter())
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
    except (UserErrorExit, *USER_ERRORS) as caught:
        error = caught.__cause__ if isinstance(caught, UserErrorExit) else caught
        assert error is not None  # the exit is raised from the mistake
        if traceback_wanted:
            raise error from None
        print_line(" ".join(format_error(error).splitlines()), sys.stderr)
        sys.exit(2)
    except SweepFailed:
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
