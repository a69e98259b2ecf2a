"""Requests whose body comes later than their headers.

Whoever holds a stolen credential could else send the headers of a request, wait until the account was taken back, and send the
body then.
"""

from __future__ import annotations

import time
from typing import Any, Final, Protocol

from fastapi import HTTPException
from starlette.types import Message, Receive, Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode

# Seconds after which a body has come later than the request that it belongs to.
_LATE: Final = 0.005


class CredentialEnded(CrossauthError, HTTPException):  # type: ignore[misc]  # `detail`, which may be empty here
    """The credential ended while the request was being sent.

    Raised where the body is read, by whomever. FastAPI, which reads bodies for its routes, lets an `HTTPException` through.
    """

    def __init__(self, code: ErrorCode) -> None:
        CrossauthError.__init__(self, code)
        self.status_code, self.headers = self.http_status, None


class LooksAgain(Protocol):
    """A source, as far as this module needs it."""

    async def look_again(self, scope: Scope, state: Any) -> None:
        """See `Source.look_again`."""
        ...


def look_again_when_late(source: LooksAgain, scope: Scope, state: Any, receive: Receive) -> Receive:
    """A `receive` that has `source` look at its credential once more where the body ends later than it should."""
    looked = time.monotonic()

    async def again() -> Message:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body") and time.monotonic() - looked > _LATE:
            await source.look_again(scope, state)
        return message

    return again
