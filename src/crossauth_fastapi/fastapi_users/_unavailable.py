"""A storage that is away, said so that any application answers 503, whether or not a server of ours is attached to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from crossauth_backend.core.errors import CrossauthError


class Unavailable(CrossauthError, HTTPException):  # type: ignore[misc]
    """What cannot be done now and may be later: an application's own route that lets it through answers 503.

    An application's handler for `CrossauthError` comes first, then its handler for `HTTPException`.
    """

    def __init__(self, e: CrossauthError) -> None:
        CrossauthError.__init__(self, e.code, e.messages, status=e.http_status, retry_after=e.retry_after)
        self.status_code = e.http_status
        self.headers = {"Retry-After": str(e.retry_after)} if e.retry_after else None
        # Of an `HTTPException` this is sent; what is private is in the cause.
        self.detail = self.message


@contextmanager
def said_to_http() -> Iterator[None]:
    """Within the block, a refusal with status 503 is an HTTP exception too."""
    try:
        yield
    except CrossauthError as e:
        if e.http_status != 503 or isinstance(e, HTTPException):
            raise
        raise Unavailable(e) from e
