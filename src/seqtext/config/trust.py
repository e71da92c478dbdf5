"""Who may name a class.

Whoever types the command line, and the conf folder they own, may name any importable class. Stored
settings, which may be untrusted, may name only known classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_is_owner: ContextVar[bool] = ContextVar("is_owner", default=False)


def may_name_any_class() -> bool:
    """Return whether the settings in use were composed from the command line."""
    return _is_owner.get()


@contextmanager
def allow_any_class(is_allowed: bool = True) -> Iterator[None]:
    """Allow settings to name any importable class while the context is open."""
    token = _is_owner.set(is_allowed)
    try:
        yield
    finally:
        _is_owner.reset(token)


def is_new(config: Any) -> bool:
    """Return whether all settings are from the command line and conf, and none of another run."""
    return config.resume is None and config.from_best is None
