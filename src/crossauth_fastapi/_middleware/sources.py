"""What says who is asking: one source for each kind of credential; `AuthenticationMiddleware` asks them all."""

from __future__ import annotations

from typing import Protocol

from fastapi import HTTPException
from starlette.types import Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._middleware.identity import Identity
from crossauth_fastapi._middleware.state import RequestState


class Source(Protocol):
    """One way of knowing who is asking: a session cookie, a bearer token, an API key."""

    name: str
    """Which of `PRECEDENCE` it is."""
    ambient: bool
    """Whether browsers send its credential by themselves, as they do cookies, also for a page of somebody else's."""
    header: bytes | None
    """The one header of a request that can hold its credential; `None` where it may be anywhere."""

    async def identify(self, scope: Scope, state: RequestState) -> Identity | None:
        """What the request's credential of this kind says; `None` where it carries none.

        Called for every request that has `header`, so it must cost little where there is no such credential. One that was sent
        and is refused is an identity with an `error`, unless nobody can tell it from another application's.
        """
        ...

    async def recheck(self, scope: Scope, state: RequestState) -> None:
        """Make sure that the credential still stands; asked where a request's body comes later than its headers, and from time to
        time on a WebSocket. Nothing happens where it said nothing before.

        Raises:
            CrossauthError: where it does not.
        """
        ...


class CredentialEnded(CrossauthError, HTTPException):  # type: ignore[misc]  # `detail`, which may be empty here
    """The credential ended while the request was being sent.

    Raised where the body is read, by whomever. FastAPI, which reads bodies for its routes, lets an `HTTPException` through.
    """

    def __init__(self, code: ErrorCode) -> None:
        CrossauthError.__init__(self, code)
        self.status_code, self.headers = self.http_status, None
