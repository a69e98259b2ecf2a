"""Find the parts of an application under test, and run coroutines where its storages are in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from crossauth_backend.accounts.purge import SignupPurger
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.delivery.queue import DeliveryQueue
from crossauth_backend.keys.lastuse import LastUse
from crossauth_backend.keys.purge import Purger
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.sessions.cookie import Cookie
from crossauth_fastapi._actions.accounts import accounts_on
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._middleware.protection import SOURCES_ATTRIBUTE
from crossauth_fastapi._middleware.sources import Source
from crossauth_fastapi._session.services import SessionServices

T = TypeVar("T")
# Parts of an application that only have tasks of their own. Storages in memory are no parts at all.
_WITHOUT_SOCKETS: Final = (Purger, SignupPurger, LastUse, DeliveryQueue)


def app_of(target: Any) -> FastAPI:
    """Return the application: `target` itself, or the application of a test client.

    Raises:
        CrossauthError: `Configuration` where it is not a FastAPI application.
    """
    transport = getattr(target, "_transport", None)
    app = target if isinstance(target, FastAPI) else getattr(target, "app", None) or getattr(transport, "app", None)
    if not isinstance(app, FastAPI):
        raise CrossauthError(
            ErrorCode.Configuration, "testing: the client's application is no FastAPI; name it in the argument 'app'"
        )
    return app


def source_of(app: FastAPI, kind: type[Any], name: str) -> Any:
    """Return what reads one kind of credential for `app`.

    Raises:
        CrossauthError: `Configuration` where the application has no such server.
    """
    sources: list[Source] = getattr(getattr(app.state, SOURCES_ATTRIBUTE, None), "sources", [])
    for source in sources:
        if isinstance(source, kind):
            return source
    raise CrossauthError(ErrorCode.Configuration, f"testing: this application has no {name}")


def manager_of(app: FastAPI) -> SessionManager:
    """Return the session manager of `app`.

    Raises:
        CrossauthError: `Configuration` where the application has no session server.
    """
    services = accounts_on(app)
    if not isinstance(services, SessionServices):
        raise CrossauthError(ErrorCode.Configuration, "testing: this application has no session server")
    return services.context.manager


def base_url_of(app: FastAPI) -> str:
    """Return the origin that a client is to use: that of the option `site_url`, or https, which cookies need.

    Raises:
        CrossauthError: `Configuration` where the application has no session server.
    """
    return manager_of(app).settings.site_url or "https://testserver"


def set_cookie(client: Any, cookie: Cookie) -> None:
    """Give a client a cookie as if the application had set it, so that the application can replace it.

    Without its attributes, for a test client that does not speak https sends it all the same.
    """
    host = client.base_url.host
    client.cookies.delete(cookie.name)
    # As `http.cookiejar` keeps the cookie of a host without dots.
    client.cookies.set(cookie.name, cookie.value, domain=host if "." in host else f"{host}.local")


def is_local(client: Any, app: FastAPI) -> bool:
    """Return whether the client gets the cookies of http://localhost, as a browser there would."""
    base = client.base_url
    known: bool | None = getattr(app.state, SOURCES_ATTRIBUTE).site.local
    return base.scheme == "http" and is_local_host(base.host) if known is None else known


def run(target: Any, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on the event loop of a `TestClient` in its `with` block; otherwise on one of its own."""
    portal = getattr(target, "portal", None)
    if portal is not None:
        done: T = portal.call(work)
        return done
    with start_blocking_portal() as own:
        return own.call(partial(_closing, app_of(target), work))


async def _closing(app: FastAPI, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work`, and close what it opened: connections cannot outlive the event loop. What is in memory stays open."""
    try:
        return await work()
    finally:
        servers = getattr(app.state, SOURCES_ATTRIBUTE, None)
        if servers is not None and not servers.lifecycle.running and not _is_in_memory(manager_of(app).key_storage):
            await servers.lifecycle.close()
            if not all(isinstance(part, _WITHOUT_SOCKETS) for part in servers.lifecycle.parts):
                # Sockets are closed by callbacks, for which the event loop has to go on a little.
                await asyncio.sleep(0.1)


def _is_in_memory(storage: Any) -> bool:
    """Return whether the storage is an SQLite database that ends with its connection."""
    url = getattr(getattr(storage, "engine", None), "url", None)
    return url is not None and url.database in (None, "", ":memory:")
