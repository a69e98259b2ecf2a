"""Helpers for the tests of an application: log in without a form, and make access tokens that it accepts.

    with TestClient(app) as client:
        csrf = login_as(client, alice)
        assert client.post("/orders", headers=csrf).is_success

They make real sessions and real tokens, so what is tested is what runs. Nothing here belongs into an application that is served.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any, Final

from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from crossauth_backend.accounts.authentication import AUTH, OURS, auth_facts
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose import SigningKey, SigningKeys, TokenType, generate_signing_key, sign
from crossauth_backend.core.secrets import random_value
from crossauth_backend.users.record import User
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._middleware.protection import SOURCES_ATTRIBUTE
from crossauth_fastapi._middleware.sources import Source
from crossauth_fastapi._oauth_resource.source import BearerSource
from crossauth_fastapi._session.source import SessionSource

__all__: Final = ["alogin_as", "issue_token", "login_as"]
_MINUTE: Final = timedelta(minutes=1)
# The key that signs the tokens of tests; made when it is first needed, and of no worth in another process.
_keys: list[SigningKey] = []


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
    return _run(client, work)


async def alogin_as(
    client: Any, user: User, *, factor2: bool = False, minutes_ago: int = 0, app: FastAPI | None = None
) -> dict[str, str]:
    """As `login_as`, for a client of `httpx` or `httpx2` with an `ASGITransport`, in an `async` test."""
    app = app or _app_of(client)
    source = _source(app, SessionSource, "session server")
    sessions, csrf = source.sessions, source.csrf
    facts = auth_facts(utc_now() - minutes_ago * _MINUTE, ["pwd", "otp"] if factor2 else ["pwd"])
    key = await sessions.create_session_key(user.id, data={OURS: {AUTH: facts.to_data()}})
    token = csrf.tokens.create_csrf_token()
    local = _is_local(client, app)
    for cookie in (
        sessions.make_cookie(key, local=local),
        csrf.tokens.make_csrf_cookie(token, local=local, session_id=key.value),
    ):
        # One of a login before; and without the attributes, for a test client that does not speak https sends these all the same.
        client.cookies.delete(cookie.name)
        client.cookies.set(cookie.name, cookie.value)
    return {csrf.tokens.header_name: csrf.tokens.mask_csrf_token(token)}


def issue_token(
    target: Any, user: User | None = None, *, scope: str = "", lifetime: timedelta = 5 * _MINUTE, **claims: Any
) -> str:
    """An access token (RFC 9068) that the resource server of an application accepts, and no other process does.

    From the first call on the resource server verifies tokens with a key of this process, and fetches none.

    Parameters:
        target: the application, or a client of it.
        user: whose token it is; without one it is that of a client that acts for itself.
        scope: its scopes, with blanks between.
        lifetime: until it expires.
        claims: further claims, or other values; `None` leaves a claim out. `iss` chooses among several token consumers.

    Raises:
        CrossauthError: `Configuration` where the application has no resource server.
    """
    app = target if isinstance(target, FastAPI) else _app_of(target)
    source = _source(app, BearerSource, "resource server")
    wanted = claims.get("iss")
    consumers = source.server.token_consumers
    consumer = next((c for c in consumers if c.auth_server_base_url == wanted), consumers[0])
    if not _keys:
        _keys.append(generate_signing_key("ES256"))
    consumer.keys = dict(SigningKeys((_keys[0],)).jwks())
    now = int(utc_now().timestamp())
    said = {
        "iss": consumer.auth_server_base_url, "aud": consumer.audiences[0], "client_id": "test", "sub": "test",
        "iat": now, "exp": now + int(lifetime.total_seconds()), "jti": random_value(16), "scope": scope or None,
        **({} if user is None else source.users.claims_of(user, consumer.auth_server_base_url)), **claims,
    }  # fmt: skip
    return sign({name: value for name, value in said.items() if value is not None}, _keys[0], TokenType.ACCESS)


def _app_of(client: Any) -> FastAPI:
    app = getattr(client, "app", None) or getattr(getattr(client, "_transport", None), "app", None)
    if not isinstance(app, FastAPI):
        raise CrossauthError(
            ErrorCode.Configuration, "testing: the client's application is no FastAPI; name it in the argument 'app'"
        )
    return app


def _is_local(client: Any, app: FastAPI) -> bool:
    """Whether the client gets the cookies of http://localhost, as a browser there would."""
    servers, base = getattr(app.state, SOURCES_ATTRIBUTE), client.base_url
    known: bool | None = servers.site.local
    return base.scheme == "http" and is_local_host(base.host) if known is None else known


def _source(app: FastAPI, kind: type[Any], name: str) -> Any:
    sources: list[Source] = getattr(getattr(app.state, SOURCES_ATTRIBUTE, None), "sources", [])
    for source in sources:
        if isinstance(source, kind):
            return source
    raise CrossauthError(ErrorCode.Configuration, f"testing: this application has no {name}")


def _run(client: Any, work: Callable[[], Coroutine[Any, Any, dict[str, str]]]) -> dict[str, str]:
    portal = getattr(client, "portal", None)
    if portal is not None:
        done: dict[str, str] = portal.call(work)
        return done
    with start_blocking_portal() as own:
        return own.call(work)
