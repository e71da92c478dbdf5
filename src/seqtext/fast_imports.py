"""Faster imports: without garbage collection, and without modules that nothing needs."""

import gc
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from seqtext.speedups import pause_garbage_collection


@contextmanager
def hide_modules(*modules: str) -> Iterator[None]:
    """Hide modules that are not imported yet, within the context, as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def fast_imports() -> Iterator[None]:
    """Import within the context without the garbage collector, the first time."""
    if gc.get_freeze_count():
        yield
        return
    with pause_garbage_collection(), _dying_of_interrupts():
        yield


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
