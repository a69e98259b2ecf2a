"""Attaching the middleware to an application: once, with a source for each kind of credential."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.errors import OAuthError
from crossauth_fastapi._middleware.authentication import AuthenticationMiddleware, answer_refusals
from crossauth_fastapi._middleware.described import ListedGuard, check_guards, describe
from crossauth_fastapi._middleware.lifespan import Lifecycle
from crossauth_fastapi._middleware.protection import SOURCES_ATTRIBUTE, Protections, all_targets, has_own_users
from crossauth_fastapi._middleware.refusals import answer_nobody, refuse, refuse_oauth
from crossauth_fastapi._middleware.sentusers import check_parameters
from crossauth_fastapi._middleware.site import Site
from crossauth_fastapi._middleware.sources import Source


class Servers:
    """What the servers of ours on one application have in common."""

    def __init__(self) -> None:
        self.site = Site()
        self.protections = Protections()
        self.lifecycle = Lifecycle(self.protections.install)
        self.sources: list[Source] = []
        self.headers: set[bytes] = set()
        self.anywhere = False
        self.lists: list[Callable[[], Iterable[ListedGuard]]] = []
        """What tells of the routes that lists of paths guard; asked when OpenAPI is made."""
        self._told: dict[str, Any] = {}

    def listed(self) -> Sequence[ListedGuard]:
        """See `described.Attached`."""
        try:
            return [guard for entries in self.lists for guard in entries()]
        except CrossauthError:
            # The routes are not all there yet, or the start will say what is wrong.
            return ()

    @property
    def names(self) -> frozenset[str]:
        """The names of the sources."""
        return frozenset(source.name for source in self.sources)

    @property
    def authorization_code(self) -> Mapping[str, str] | None:
        """Where clients get access tokens, for OpenAPI; `None` where that is not known."""
        found = (getattr(source, "authorization_code", None) for source in self.sources)
        return next((urls for urls in found if urls), None)

    def register(self, source: Source, challenge: str | None = None) -> None:
        """Add a source; see `attach_source`.

        Raises:
            CrossauthError: `Configuration` where the application has one of this name already, or one that reads the same scheme.
        """
        if any(source.name == other.name for other in self.sources):
            raise CrossauthError(ErrorCode.Configuration, f"This application already has a {source.name} server")
        if challenge is not None:
            self._check_scheme(source.name, _scheme(challenge))
            self.site = replace(self.site, challenges={**self.site.challenges, source.name: challenge})
        self.sources.append(source)
        if source.header is None:
            self.anywhere = True
        else:
            self.headers.add(source.header)

    def _check_scheme(self, name: str, scheme: str) -> None:
        """One header has one reader: to the other one, every credential of the first would be a bad one."""
        for other, challenge in self.site.challenges.items():
            if _scheme(challenge).lower() == scheme.lower():
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"Two servers on this application, {other} and {name}, read the scheme {scheme!r} of the header "
                    "Authorization: give API keys another one by the option 'auth_scheme', such as 'ApiKey'",
                )

    def set_site_facts(self, values: Mapping[str, Any]) -> None:
        """See `set_site_facts` below."""
        differing = sorted(n for n, v in values.items() if n in self._told and self._told[n] != v)
        if differing:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"Two servers on this application disagree about {', '.join(differing)}: give both the same options",
            )
        self._told |= values
        self.site = replace(self.site, **values)


def _scheme(challenge: str) -> str:
    """The authentication scheme that a challenge begins with (RFC 9110 §11.6.1)."""
    return challenge.partition(" ")[0]


def servers_on(app: FastAPI) -> Servers:
    """What the servers on `app` have in common; the first to ask attaches the middleware.

    Raises:
        CrossauthError: `Configuration` where the application has started, or is none of FastAPI.
    """
    if not isinstance(app, FastAPI):
        raise CrossauthError(
            ErrorCode.Configuration, f"The application must be a FastAPI, not {type(app).__name__}: give it as 'app'"
        )
    servers: Servers | None = getattr(app.state, SOURCES_ATTRIBUTE, None)
    if servers is None:
        servers = Servers()
        try:
            app.add_middleware(AuthenticationMiddleware, attached=servers)
        except RuntimeError as e:
            raise CrossauthError(ErrorCode.Configuration, "Create the server before the application starts") from e
        setattr(app.state, SOURCES_ATTRIBUTE, servers)
        _answer_on(app)
        answer_refusals(app)
        servers.lifecycle.attach(app)
        describe(app, servers)
        servers.protections.add(partial(_reach_mounted, app, servers))
        servers.protections.add(partial(check_guards, app, servers))
        servers.protections.add(partial(check_parameters, app))
    return servers


def _answer_on(app: Starlette) -> None:
    """Answer refusals that routes of `app` let through."""
    # One of the application's own is left alone. Starlette hands a handler WebSockets too, its types do not say so.
    handlers: dict[Any, Any] = app.exception_handlers
    handlers.setdefault(CrossauthError, refuse)
    handlers.setdefault(OAuthError, refuse_oauth)
    handlers.setdefault(ClientDisconnect, answer_nobody)


def _reach_mounted(app: FastAPI, servers: Servers) -> None:
    """The same for applications that are mounted on `app` and have no users of their own: theirs are those of `app`."""
    for target in all_targets(app.routes):
        mounted = getattr(target.served, "_base_app", None)
        if isinstance(mounted, Starlette) and not has_own_users(target):
            _answer_on(mounted)
            if isinstance(mounted, FastAPI):
                describe(mounted, servers)


def set_site_facts(app: FastAPI, **values: Any) -> None:
    """Say what a server knows of the site of `app`: values for some fields of `Site`.

    Raises:
        CrossauthError: `Configuration` where another server said something else.
    """
    servers_on(app).set_site_facts(values)


def attach_source(
    app: FastAPI, source: Source, protect: Callable[[], None] | None = None, challenge: str | None = None
) -> None:
    """Let `source` take part in finding out who is asking `app`.

    Parameters:
        app: the application.
        source: the source.
        protect: puts guards before routes; called once, when they are there: at the start, or before the first request.
        challenge: what a 401 says of how to send such a credential (RFC 9110 §11.6.1); `None` where there is no such scheme.

    Raises:
        CrossauthError: `Configuration` where the application has started, or has such a source already.
    """
    servers = servers_on(app)
    servers.register(source, challenge)
    if protect is not None:
        servers.protections.add(protect)
