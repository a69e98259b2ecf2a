"""Tokens in the `Authorization` header (RFC 6750 §2.1)."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from crossauth_fastapi.fastapi_users.authentication.transport.base import Transport, TransportLogoutNotSupportedError
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType

# RFC 6749 §5.1: no cache on the way may keep a token.
NO_STORE = {"Cache-Control": "no-store"}


class BearerResponse(BaseModel):
    """The answer to a login."""

    access_token: str
    token_type: str


class _Bearer(OAuth2PasswordBearer):
    """Reads the header of requests and of WebSockets. Anything but one Bearer token is no token."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        values = request.headers.getlist("Authorization")
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        return token.strip() or None if scheme.lower() == "bearer" else None


class BearerTransport(Transport):
    """Tokens in the `Authorization` header.

    Parameters:
        tokenUrl: path of the login route, for the interactive API page.
    """

    scheme: OAuth2PasswordBearer

    def __init__(self, tokenUrl: str) -> None:
        self.scheme = _Bearer(tokenUrl, scheme_name="OAuth2PasswordBearer", auto_error=False)

    async def get_login_response(self, token: str) -> Response:
        """The token as JSON."""
        body = BearerResponse(access_token=token, token_type="bearer")
        return JSONResponse(body.model_dump(), headers=NO_STORE)

    async def get_logout_response(self) -> Response:
        """Not supported: the client forgets the token."""
        raise TransportLogoutNotSupportedError

    @staticmethod
    def get_openapi_login_responses_success() -> OpenAPIResponseType:
        """How the answer to a login is described."""
        example = {"access_token": "1jR3OnBOpDaMa8iDUkYvJCDI4SFKUNEOwV9Lw3IYQPg", "token_type": "bearer"}
        return {200: {"model": BearerResponse, "content": {"application/json": {"example": example}}}}

    @staticmethod
    def get_openapi_logout_responses_success() -> OpenAPIResponseType:
        """How the answer to a logout is described."""
        return {}
