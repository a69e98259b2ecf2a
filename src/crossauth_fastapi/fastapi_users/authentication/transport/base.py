"""How a token travels."""

from __future__ import annotations

from typing import Any, Protocol

from fastapi import Response
from fastapi.security.base import SecurityBase

from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType


class TransportLogoutNotSupportedError(Exception):
    """There is nothing that the answer to a logout would tell the client."""


class Transport(Protocol):
    """Carries tokens between client and server."""

    scheme: SecurityBase

    async def get_login_response(self, token: str) -> Response:
        """The answer that hands the client its token."""
        ...

    async def get_logout_response(self) -> Response:
        """The answer that takes it away.

        Raises:
            TransportLogoutNotSupportedError: the client forgets it by itself.
        """
        ...

    @staticmethod
    def get_openapi_login_responses_success() -> OpenAPIResponseType:
        """How that answer is described."""
        ...

    @staticmethod
    def get_openapi_logout_responses_success() -> OpenAPIResponseType:
        """How that answer is described."""
        ...


class EmptyResponse(Response):
    """An answer without content: nothing at all with status 204, `null` with any other."""

    def __init__(self, status_code: int = 204, **kwargs: Any) -> None:
        empty = status_code == 204
        super().__init__(
            None if empty else "null", status_code, media_type=None if empty else "application/json", **kwargs
        )

    def with_status(self, status_code: int) -> EmptyResponse:
        """The same answer with another status."""
        other = EmptyResponse(status_code)
        other.raw_headers += [pair for pair in self.raw_headers if pair[0] not in (b"content-length", b"content-type")]
        other.background = self.background
        return other
