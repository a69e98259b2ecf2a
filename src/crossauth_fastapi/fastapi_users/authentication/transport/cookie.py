"""Tokens in a cookie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastapi import Response
from fastapi.security import APIKeyCookie
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.origins import read_origins
from crossauth_fastapi.fastapi_users._cookies import cookie_value
from crossauth_fastapi.fastapi_users.authentication.transport.base import EmptyResponse, Transport
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType


class _Cookie(APIKeyCookie):
    """Reads the cookie of requests and WebSockets. Whether their page may use it is asked by the `Authenticator`."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        return cookie_value(request, self.model.name) or None


class CookieTransport(Transport):
    """Tokens in a cookie.

    Parameters:
        cookie_name: its name.
        cookie_max_age: seconds it lives; `None` as long as the browser.
        cookie_path, cookie_domain, cookie_secure, cookie_httponly, cookie_samesite: its attributes.
        trusted_origins: origins such as `https://app.example.com` whose pages may use the cookie as those of this site may: to
            log in, to change something, to open WebSockets. Those that a `CORSMiddleware` of the application allows with
            credentials may anyway.

    Raises:
        CrossauthError: `Configuration` for a name with a prefix that its attributes do not allow, so that no browser would keep
            the cookie (RFC 6265bis §4.1.3), or for what is no origin.
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
        *,
        trusted_origins: Sequence[str] = (),
    ) -> None:
        self.cookie_name = cookie_name
        self.cookie_max_age = cookie_max_age
        self.cookie_path = cookie_path
        self.cookie_domain = cookie_domain
        self.cookie_secure = cookie_secure
        self.cookie_httponly = cookie_httponly
        self.cookie_samesite = cookie_samesite
        self.trusted_origins = read_origins("trusted_origins", trusted_origins, cookie_secure)
        self._check_prefix()
        self.scheme = _Cookie(name=cookie_name, scheme_name="APIKeyCookie", auto_error=False)

    def _check_prefix(self) -> None:
        name = self.cookie_name.lower()
        host_only = self.cookie_path == "/" and self.cookie_domain is None
        if not name.startswith(("__host-", "__secure-")) or (
            self.cookie_secure and (host_only or name.startswith("__secure-"))
        ):
            return
        needed = "cookie_secure=True" + (", cookie_path='/' and no cookie_domain" if name.startswith("__host-") else "")
        text = f"CookieTransport: 'cookie_name' {self.cookie_name!r} needs {needed}, or browsers refuse the cookie"
        raise CrossauthError(ErrorCode.Configuration, text)

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
