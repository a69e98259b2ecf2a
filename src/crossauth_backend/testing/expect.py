"""What the suites share."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

from crossauth_backend.core.errors import CrossauthError, ErrorCode


@contextmanager
def refused(*codes: ErrorCode) -> Iterator[None]:
    """Passes where the block is refused for one of `codes`."""
    try:
        yield
    except CrossauthError as e:
        assert e.code in codes, f"refused for {e.code}, not {codes}"
        return
    raise AssertionError(f"not refused, though it should be for {codes}")


async def outcome(call: Awaitable[object]) -> ErrorCode | None:
    """Why a call was refused; `None` where it was not."""
    try:
        await call
    except CrossauthError as e:
        return e.code
    return None
