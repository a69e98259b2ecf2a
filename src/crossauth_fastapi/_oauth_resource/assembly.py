"""Putting the resource server onto an application."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from fastapi import FastAPI
from starlette.routing import Mount

from crossauth_backend.events.listeners import Events
from crossauth_backend.oauth.resserver import OAuthResourceServer
from crossauth_backend.users.matchfields import match_field_problems
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._http.router import include
from crossauth_fastapi._middleware.described import ListedGuard
from crossauth_fastapi._middleware.order import attach_source, servers_on
from crossauth_fastapi._middleware.protection import Target, all_targets, has_own_users, wrap
from crossauth_fastapi._oauth_resource.context import HEADER, SESSION, ResourceContext
from crossauth_fastapi._oauth_resource.endpoints import EndpointRule, read_rules, route_rules
from crossauth_fastapi._oauth_resource.guard import AudienceGuard, BearerGuard
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings, wrong
from crossauth_fastapi._oauth_resource.resources import Resources, read_resources
from crossauth_fastapi._oauth_resource.source import BearerSource
from crossauth_fastapi._oauth_resource.users import UserLookup

logger = logging.getLogger("crossauth.oauth")
_ORIGIN: Final = ("https://", "http://")


def build(
    app: FastAPI, server: OAuthResourceServer, settings: FastApiResourceServerSettings, events: Events
) -> ResourceContext:
    """The parts of a resource server.

    Parameters:
        app: the application.
        server: accepts tokens.
        settings: its options.
        events: who is told of what happens.

    Raises:
        CrossauthError: `Configuration`, naming the option, what was wrong with it and what would be right.
    """
    rules = read_rules(settings.protected_endpoints)
    locations = settings.locations()
    servers = servers_on(app)
    _check_sessions(settings, locations, rules, "session" in servers.names)
    for origin in settings.allowed_origins or ():
        if not isinstance(origin, str) or not origin.startswith(_ORIGIN) or origin.count("/") != 2:
            raise wrong("option 'allowed_origins' must be origins such as 'https://app.example.com', without a path")
    issuers = list(dict.fromkeys(consumer.auth_server_base_url for consumer in server.token_consumers))
    audiences = list(dict.fromkeys(name for consumer in server.token_consumers for name in consumer.audiences))
    resources = Resources(read_resources(settings.resources, rules, issuers, audiences))
    # The servers beside this one may come after it.
    users = replace(
        _user_lookup(settings, issuers),
        has_accounts=lambda: any(source.name != BearerSource.name for source in servers.sources),
    )
    return ResourceContext(server, settings, locations, settings.session_adapter, users, resources, rules, events, app)


def attach(app: FastAPI, ctx: ResourceContext) -> None:
    """Let `ctx` say who is asking `app`, put its guards before the routes, and serve the metadata of its resources."""

    def protect() -> None:
        for rules in route_rules(app.router.routes, ctx.rules, ctx.resources.router.routes):
            wrap(rules.target, BearerGuard(ctx, rules, ctx.resources.place_of(rules.target.path or "/")))
        for target in all_targets(app.router.routes):
            place = ctx.resources.place_of(target.path or "/")
            if place.has_audience and not _is_seen_through(target):
                wrap(target, AudienceGuard(ctx.source, place))

    servers_on(app).lists.append(partial(_listed, app, ctx))
    if HEADER in ctx.locations:
        attach_source(app, ctx.source, protect, ctx.scheme)
    else:
        servers_on(app).protections.add(protect)
    servers_on(app).lifecycle.add([_Closing(ctx.server)])
    if ctx.resources:
        include(app, ctx.resources.router)


def _is_seen_through(target: Target) -> bool:
    """Whether it is a mounted application whose routes are guarded each by itself, or by the application."""
    return isinstance(target.served, Mount) and (bool(target.served.routes) or has_own_users(target))


def _listed(app: FastAPI, ctx: ResourceContext) -> Iterator[ListedGuard]:
    """What the guards ask for, for OpenAPI."""
    by_token = {"bearer"} if HEADER in ctx.locations else set()
    by_session = {"session"} if SESSION in ctx.locations else set()
    for rules in route_rules(app.router.routes, ctx.rules, ctx.resources.router.routes):
        for methods, rule in rules.rules:
            credentials = by_token | by_session | ({"session"} if rule.sessions else set())
            yield ListedGuard(rules.target, methods, rule.scopes, frozenset(credentials), required=not rule.public)


class _Closing:
    """Closes the connections of a resource server when the application ends."""

    def __init__(self, server: OAuthResourceServer) -> None:
        self._server = server

    async def start(self) -> None:
        """Nothing: keys are fetched when the first token arrives, so an authorization server that is away stops no start."""

    async def close(self) -> None:
        """Close them."""
        await self._server.aclose()


def _check_sessions(
    settings: FastApiResourceServerSettings, locations: tuple[str, ...], rules: tuple[EndpointRule, ...], has: bool
) -> None:
    if SESSION not in locations and settings.session_data_name != "oauth":
        raise wrong("option 'session_data_name' has no effect without 'session' in option 'token_locations'")
    if SESSION in locations and settings.session_adapter is None:
        raise wrong("option 'token_locations': 'session' needs option 'session_adapter', or a session server")
    if not has and any(rule.sessions for rule in rules):
        raise wrong("option 'protected_endpoints': 'accept_session_authorization' needs option 'session_adapter'")


def _user_lookup(settings: FastApiResourceServerSettings, issuers: list[str]) -> UserLookup:
    own, field = settings.oauth_issuer, settings.user_match_field
    if settings.user_storage is not None and own is None and field is None:
        raise wrong(
            "option 'user_storage' needs 'oauth_issuer', the issuer whose 'sub' is the id of a user, or 'user_match_field', the "
            "field of users that 'sub' equals; whoever may choose a 'sub' at the authorization server can be any user here"
        )
    if own is not None and own not in issuers:
        raise wrong(
            f"option 'oauth_issuer' must be the 'auth_server_base_url' of a token consumer: {', '.join(issuers)}"
        )
    if settings.user_storage is not None and field is not None:
        _check_field(settings.user_storage, field)
    for issuer in issuers:
        if field is not None and issuer != own:
            logger.warning(
                "Tokens of %s name users here by %r: whoever may choose it there can be any of them", issuer, field
            )
    return UserLookup(settings.user_storage, own, field, settings.require_local_account, len(issuers) == 1)


def _check_field(storage: UserStorage, field: str) -> None:
    """Refuse a field by which nobody can be found, or that many users have alike."""
    for problem in match_field_problems(storage, field):
        raise wrong(f"option 'user_match_field': {problem}")
