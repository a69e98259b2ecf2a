"""What the answers of one application have in common, whichever servers of ours it has: where it is, who is an administrator.

There is one `Site` for an application. Each server sets what it knows of it when it is assembled (`order.set_site_facts`);
two that disagree are a configuration error, so it never depends on which of them came first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.hooks import decide
from crossauth_backend.core.languages import Languages
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import default_is_admin_fn
from crossauth_fastapi._http.openapi import session_scheme
from crossauth_fastapi._http.proxies import TrustedProxies


@dataclass(frozen=True, slots=True)
class Site:
    """One application as browsers see it.

    Parameters:
        public_url: the option `site_url`.
        local: whether the site is on http://localhost, as `site_url` says; `None` to judge by each request.
        prefix: goes before every path of the session server.
        admin_prefix: the same for administrators.
        login_path: path of the login page from the application's own root; `None` where there is none.
        is_admin_fn: the application's own test, plain or `async`.
        session_scheme: how OpenAPI describes the session cookie.
        csrf_header: header that carries the CSRF token, in lower case.
        csrf_token: makes the token of a request that has none yet.
        csrf_check: looks for the token of a request that changes something, and returns what the application is to read from.
        csrf_refusal: the refusal of a request without a valid token, saying what its sender can do about it.
        challenges: how a request may say who is asking, for the header `WWW-Authenticate`, by the name of the source.
        trusted_proxies: whose forwarded headers are believed.
        error_page: shows a refusal to a browser.
        languages: what pages and mails are written in; `None` for English.
    """

    public_url: str | None = None
    local: bool | None = None
    prefix: str = "/"
    admin_prefix: str = "/admin/"
    login_path: str | None = None
    is_admin_fn: Callable[[User], Any] = default_is_admin_fn
    session_scheme: Mapping[str, Any] = field(default_factory=session_scheme)
    csrf_header: bytes | None = None
    csrf_token: Callable[[Any], str | None] | None = None
    csrf_check: Callable[[Any, Receive], Awaitable[Receive]] | None = None
    csrf_refusal: Callable[[Any], CrossauthError] | None = None
    challenges: Mapping[str, str] = field(default_factory=dict)
    trusted_proxies: TrustedProxies | None = None
    error_page: Callable[[HTTPConnection, CrossauthError], Response] | None = None
    languages: Languages | None = None

    async def is_admin(self, user: User) -> bool:
        """Whether `user` is an administrator, as the option `is_admin_fn` says.

        Raises:
            CrossauthError: `Configuration` where it returns anything but a `bool`.
            Exception: whatever it raises.
        """
        return await decide("is_admin_fn", self.is_admin_fn, user)


NO_SITE: Final = Site()
