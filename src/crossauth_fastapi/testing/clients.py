"""Test clients that send the CSRF token by themselves, as a page of the application would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from crossauth_backend.users.record import User
from crossauth_fastapi._session.source import SessionSource
from crossauth_fastapi.testing.applications import base_url_of, is_local, set_cookie, source_of
from crossauth_fastapi.testing.logins import alogin_as, login_as

if TYPE_CHECKING:
    from starlette.testclient import TestClient

_SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE")


@contextmanager
def client_for(app: FastAPI, user: User | None = None, **login: Any) -> Iterator[TestClient]:
    """Open a `TestClient` that sends the CSRF token with every request that changes something.

    It starts and stops the application, uses the origin of the option `site_url`, and does not follow redirects.

    Parameters:
        app: the application.
        user: who is logged in; without one nobody is.
        login: `factor2` and `minutes_ago`, as for `login_as`.

    Raises:
        CrossauthError: `Configuration` where the application has no session server.
    """
    # Imported here, for it needs httpx2, which an application without such tests need not have.
    from starlette.testclient import TestClient

    with TestClient(app, base_url=base_url_of(app), follow_redirects=False) as client:
        _send_csrf(client, app)
        if user is not None:
            login_as(client, user, **login)
        client.event_hooks["request"].append(lambda request: _add_token(request, app))
        yield client


@asynccontextmanager
async def aclient_for(app: FastAPI, user: User | None = None, **login: Any) -> AsyncIterator[Any]:
    """Open an `httpx2.AsyncClient` (or that of `httpx`, where only this is installed); otherwise as `client_for`.

    It does not start the application: what your lifespan function does is yours to call.
    """
    try:
        import httpx2 as httpx
    except ModuleNotFoundError:
        import httpx  # type: ignore[no-redef, import-not-found, unused-ignore]

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=base_url_of(app), follow_redirects=False) as client:
        _send_csrf(client, app)
        if user is not None:
            await alogin_as(client, user, **login)

        async def add_token(request: Any) -> None:
            _add_token(request, app)

        client.event_hooks["request"].append(add_token)
        yield client


def _send_csrf(client: Any, app: FastAPI) -> None:
    """Give a client that is not logged in the cookie that it would get from the first page."""
    tokens = source_of(app, SessionSource, "session server").csrf.tokens
    cookie = tokens.make_csrf_cookie(tokens.create_csrf_token(), local=is_local(client, app))
    set_cookie(client, cookie)


def _add_token(request: Any, app: FastAPI) -> None:
    """Send the token of the CSRF cookie in the header, where the test sends none."""
    tokens = source_of(app, SessionSource, "session server").csrf.tokens
    if request.method in _SAFE or tokens.header_name in request.headers:
        return
    names = {tokens.cookie.shape(local).name for local in (True, False)}
    for pair in request.headers.get("cookie", "").split("; "):
        name, _, value = pair.partition("=")
        if name in names:
            request.headers[tokens.header_name] = tokens.mask_csrf_token(value.partition(".")[0])
