"""Speed up imports: no garbage collection, and no unneeded modules."""

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from seqtext.speedups import pause_garbage_collection

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)  # stop a command: Ctrl-C, `kill`, `timeout`, Slurm


@contextmanager
def hide_modules(*modules: str) -> Iterator[None]:
    """Make modules that are not imported yet appear as not installed within the context."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: import fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def fast_imports() -> Iterator[None]:
    """Disable garbage collection and Python's Ctrl-C handler for the first imports."""
    if gc.get_freeze_count():
        yield
        return
    with pause_garbage_collection(), _exit_on_interrupt():
        yield


@contextmanager
def _exit_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process silently within the context.

    A KeyboardInterrupt within the import of a compiled module appears as another error.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handled = [n for n in INTERRUPTS if signal.getsignal(n) is signal.default_int_handler]
    for number in handled if is_main else ():
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in handled if is_main else ():
            signal.signal(number, signal.default_int_handler)
