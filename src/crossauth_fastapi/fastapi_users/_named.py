"""The user whom a login names, where the route has read it before the password is checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_read: ContextVar[tuple[str, Any] | None] = ContextVar("user_read", default=None)


@contextmanager
def user_read(name: str, user: Any) -> Iterator[None]:
    """Within the block, `name` need not be looked up again: it names `user`, or with `None` no user."""
    token = _read.set((name, user))
    try:
        yield
    finally:
        _read.reset(token)


async def named_user(name: str, look_up: Callable[[str], Awaitable[Any]]) -> Any:
    """The user of `name`, by `look_up` where it has not been read."""
    read = _read.get()
    return read[1] if read is not None and read[0] == name else await look_up(name)
