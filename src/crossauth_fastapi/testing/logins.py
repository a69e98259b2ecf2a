"""Log a test client in, without a form."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Final

from fastapi import FastAPI

from crossauth_backend.accounts.authentication import AUTH, OURS, auth_facts
from crossauth_backend.core.clock import utc_now
from crossauth_backend.users.record import User
from crossauth_fastapi._session.source import SessionSource
from crossauth_fastapi.testing.applications import app_of, is_local, run, set_cookie, source_of

_MINUTE: Final = timedelta(minutes=1)


def login_as(
    client: Any, user: User, *, factor2: bool = False, minutes_ago: int = 0, app: FastAPI | None = None
) -> dict[str, str]:
    """Log `user` in: give a Starlette `TestClient` the cookies of a new session.

    Parameters:
        client: the client, in a `with` block where its storages are in a database.
        user: a user that the session server's storage knows.
        factor2: whether it is a login with a second factor, as `require(factor2=True)` asks.
        minutes_ago: how old the login is, in minutes, for `require(fresh=…)`.
        app: the application that has the session server, where it is not the client's.

    Returns:
        The header with the CSRF token, for requests that change something.

    Raises:
        CrossauthError: `Configuration` where the application has no session server.
    """
    work = partial(alogin_as, client, user, factor2=factor2, minutes_ago=minutes_ago, app=app)
    return run(client if app is None or getattr(client, "portal", None) else app, work)


async def alogin_as(
    client: Any, user: User, *, factor2: bool = False, minutes_ago: int = 0, app: FastAPI | None = None
) -> dict[str, str]:
    """As `login_as`, for a client of `httpx` or `httpx2` with an `ASGITransport`, in an `async` test."""
    app = app or app_of(client)
    source = source_of(app, SessionSource, "session server")
    sessions, csrf = source.sessions, source.csrf
    facts = auth_facts(utc_now() - minutes_ago * _MINUTE, ["pwd", "otp"] if factor2 else ["pwd"])
    key = await sessions.create_session_key(user.id, data={OURS: {AUTH: facts.to_data()}})
    token = csrf.tokens.create_csrf_token()
    local = is_local(client, app)
    for cookie in (
        sessions.make_cookie(key, local=local),
        csrf.tokens.make_csrf_cookie(token, local=local, session_id=key.value),
    ):
        set_cookie(client, cookie)
    return {csrf.tokens.header_name: csrf.tokens.mask_csrf_token(token)}
