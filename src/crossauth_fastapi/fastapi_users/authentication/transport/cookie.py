"""Tokens in a cookie."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from fastapi import Response
from fastapi.security import APIKeyCookie
from starlette.requests import HTTPConnection

from crossauth_fastapi.fastapi_users._cookies import cookie_value
from crossauth_fastapi.fastapi_users.authentication.transport.base import EmptyResponse, Transport
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType


class _Cookie(APIKeyCookie):
    """Reads the cookie of requests, and of WebSockets that a page of this very host opened."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        origin = request.headers.get("origin")
        if request.scope["type"] == "websocket" and origin is not None and not _same_host(origin, request):
            # Cookies travel with WebSockets from everywhere; no header of a page's choosing does.
            return None
        return cookie_value(request, self.model.name) or None


def _same_host(origin: str, request: HTTPConnection) -> bool:
    try:
        parts = urlsplit(origin)
        return parts.scheme in ("https", "http") and parts.netloc == request.headers.get("host", "")
    except ValueError:
        return False


class CookieTransport(Transport):
    """Tokens in a cookie.

    Parameters:
        cookie_name: its name.
        cookie_max_age: seconds it lives; `None` as long as the browser.
        cookie_path, cookie_domain, cookie_secure, cookie_httponly, cookie_samesite: its attributes.
    """

    scheme: APIKeyCookie

    def __init__(
        self,
        cookie_name: str = "fastapiusersauth",
        cookie_max_age: int | None = None,
        cookie_path: str = "/",
        cookie_domain: str | None = None,
        cookie_secure: bool = True,
        cookie_httponly: bool = True,
        cookie_samesite: Literal["lax", "strict", "none"] = "lax",
    ) -> None:
        self.cookie_name = cookie_name
        self.cookie_max_age = cookie_max_age
        self.cookie_path = cookie_path
        self.cookie_domain = cookie_domain
        self.cookie_secure = cookie_secure
        self.cookie_httponly = cookie_httponly
        self.cookie_samesite = cookie_samesite
        self.scheme = _Cookie(name=cookie_name, scheme_name="APIKeyCookie", auto_error=False)

    async def get_login_response(self, token: str) -> Response:
        """204, with the cookie."""
        return self._with_cookie(EmptyResponse(), token, self.cookie_max_age)

    async def get_logout_response(self) -> Response:
        """204, and the cookie is gone."""
        return self._with_cookie(EmptyResponse(), "", 0)

    def _with_cookie(self, response: Response, value: str, max_age: int | None) -> Response:
        response.set_cookie(
            self.cookie_name, value, max_age=max_age, path=self.cookie_path, domain=self.cookie_domain,
            secure=self.cookie_secure, httponly=self.cookie_httponly, samesite=self.cookie_samesite,
        )  # fmt: skip
        return response

    @staticmethod
    def get_openapi_login_responses_success() -> OpenAPIResponseType:
        """How the answer to a login is described."""
        return {204: {"model": None}}

    @staticmethod
    def get_openapi_logout_responses_success() -> OpenAPIResponseType:
        """How the answer to a logout is described."""
        return {204: {"model": None}}
