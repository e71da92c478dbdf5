"""One-line messages for operating system errors."""

import errno
import sys
import threading
from importlib import import_module

import pytest

from seqtext.config.error_messages import format_error
from seqtext.error_handling import _report_thread_error
from seqtext.fast_imports import hide_modules
from seqtext.validation import Seed, describe_type


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EACCES, "Permission denied", "a.csv"), "a.csv cannot be used: Permission"),
        (OSError(errno.EXDEV, "Cross-device", "a", None, "b"), "a or b cannot be used: Cross"),
        (OSError(errno.EINVAL, "Invalid argument"), "A file cannot be used: Invalid argument."),
        (OSError(errno.EBADF, "Bad descriptor", 7), "A file cannot be used: Bad descriptor."),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: the disk"),
        (OSError("writing. Detail: [errno 28] No space left on device"), "is full; make room"),
        (OSError(), "A file cannot be used: OSError."),
    ],
)
def test_of_files(error, words):
    assert words in format_error(error)
    assert "None" not in format_error(error)


def test_whole_bounds_are_written_whole():
    assert describe_type(Seed) == "a whole number at least 0 and at most 4294967295"


def test_a_full_disk_has_no_traceback_of_tensorboard(capsys):
    kind = type("Writer", (threading.Thread,), {"__module__": "tensorboard.summary"})
    for thread, shown in ((kind(), False), (threading.Thread(), True)):
        error = OSError(errno.ENOSPC, "full")
        _report_thread_error(threading.ExceptHookArgs((OSError, error, None, thread)))
        assert ("OSError" in capsys.readouterr().err) == shown


def test_absent():
    with hide_modules("imghdr", "json"):
        with pytest.raises(ImportError):
            import_module("imghdr")
        json = import_module("json")
    assert json is sys.modules["json"]
    assert "imghdr" not in sys.modules
