"""From options to the parts of an OAuth client, and its routes; everything that can be wrong with them is found here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secretoption import check_secret, ring_for
from crossauth_backend.core.secrets import KeyRing, hash_token
from crossauth_backend.core.text import with_slashes
from crossauth_backend.events.listeners import Events, LoggingListener
from crossauth_backend.keys.reading import key_with_user_reader
from crossauth_backend.keys.storage import KeyStorage, SupportsCounting, SupportsLifecycle
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.oauth.client.client import OAuthClient
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._actions.kepttokens import offer_tokens
from crossauth_fastapi._middleware.order import servers_on
from crossauth_fastapi._oauth_client import attempts as under_way
from crossauth_fastapi._oauth_client import (
    authzcode,
    clientcredentials,
    device,
    formpost,
    logout,
    password,
    refresh,
    sealing,
    seals,
    tokens,
)
from crossauth_fastapi._oauth_client.attempts import Attempts
from crossauth_fastapi._oauth_client.bff.routes import add_routes as add_bff_routes
from crossauth_fastapi._oauth_client.checks import Whole, check_options, check_templates, read_flows
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint, add
from crossauth_fastapi._oauth_client.formpost import FormPosts
from crossauth_fastapi._oauth_client.linkroutes import add_links
from crossauth_fastapi._oauth_client.logout_markers import is_logged_out
from crossauth_fastapi._oauth_client.once import InMemory, InStorage
from crossauth_fastapi._oauth_client.options import COMPONENT, ClientServerSettings, wrong
from crossauth_fastapi._oauth_client.places import AdapterSessions, OwnSessions
from crossauth_fastapi._oauth_client.refreshing import Refresher
from crossauth_fastapi._oauth_client.sealing import Seal
from crossauth_fastapi._oauth_client.seals import Seals
from crossauth_fastapi._oauth_client.source import attach_id_tokens
from crossauth_fastapi._oauth_client.tokenstore import Ended, NoTokens, StoredTokens, TokenStore
from crossauth_fastapi._oauth_client.users.people import people_of
from crossauth_fastapi._pages.environment import Pages
from crossauth_fastapi.fastapiserverbase import FastApiServerBase

# Every endpoint of a client, in the order of the documented table.
ENDPOINTS: Final[tuple[ClientEndpoint, ...]] = (
    *authzcode.ENDPOINTS,
    *clientcredentials.ENDPOINTS,
    *refresh.ENDPOINTS,
    *password.ENDPOINTS,
    *device.ENDPOINTS,
    *tokens.ENDPOINTS,
    *logout.ENDPOINTS,
)  # fmt: skip
# What the library itself keeps in session data, besides what other servers reserve.
_TAKEN: Final = frozenset({"2fa", "pre2fa", "pre2falook", "passwordchange", "factor2change", "crossauth"})


def redirect_uri_of(options: ClientServerSettings, configured: str | None) -> str:
    """Where the authorization server sends browsers back to: by configuration, whatever a request says of its host."""
    return configured or f"{options.site_url.rstrip('/')}{with_slashes(options.prefix)}{authzcode.CALLBACK}"


def build(
    client: OAuthClient,
    server: FastApiServerBase,
    options: ClientServerSettings,
    accounts: AccountServices | None,
    pages: Pages,
    given: frozenset[str],
) -> ClientContext:
    """The parts of a client.

    Parameters:
        client: the client without the web.
        server: the server that it is a part of.
        options: its options.
        accounts: the session server; `None` on other sessions, and on none.
        pages: the templates.
        given: names of the options that the application gave.

    Raises:
        CrossauthError: `Configuration`, naming the option, what is wrong with it and what would be right.
    """
    flows = read_flows("valid_flows", options.valid_flows)
    check_options(Whole(options, flows, given, server.have_session_adapter))
    check_templates(options, pages)
    if options.session_data_name in _TAKEN:
        raise wrong(
            f"option 'session_data_name': {options.session_data_name!r} is what the library keeps its own data under"
        )
    clock = clock_of(accounts)
    ring = _rings(options, accounts)
    keys = options.key_storage or (None if accounts is None else accounts.keys)
    if keys is None and "backchannel_logout_url" in given:
        raise wrong(
            "option 'backchannel_logout_url' needs a key storage, where what the provider says is kept for all workers: give "
            "option 'key_storage', or a session server"
        )
    prefix = with_slashes(options.prefix)
    redirect_uri = client.settings.redirect_uri or ""
    tag = hash_token(f"{options.session_data_name}\n{client.issuer}\n{client.client_id}")
    protected = read_flows("login_protected_flows", options.login_protected_flows) & flows
    users = options.user_storage or (None if accounts is None else accounts.users)
    return ClientContext(
        settings=options,
        pages=pages,
        endpoints=set() if accounts is None else accounts.context.endpoints,
        prefix=prefix,
        admin_prefix="/admin/" if accounts is None else accounts.context.admin_prefix,
        proxies=None if accounts is None else accounts.context.proxies,
        client=client,
        server=server,
        options=options,
        tokens=_token_store(client, server, options, accounts, Seal(ring(sealing.PURPOSE), tag), clock),
        attempts=Attempts(
            ring(under_way.PURPOSE), name=options.session_data_name, issuer=client.issuer, redirect_uri=redirect_uri,
            clock=clock, use_once=InMemory(clock) if keys is None else InStorage(keys, clock),
            state_length=client.settings.state_length,
        ),
        form_posts=FormPosts(ring(formpost.PURPOSE), tag, clock),
        accounts=accounts,
        users=users,
        people=people_of(options, client.issuer, users, None if accounts is None else accounts.accounts),
        keys=keys,
        events=Events([LoggingListener()], clock) if accounts is None else accounts.events,
        limits=_limits(accounts, keys, clock),
        seals=Seals(ring(seals.PURPOSE), tag),
        flows=flows,
        protected_flows=protected,
        redirect_uri=redirect_uri,
        callback=_callback(prefix, redirect_uri),
        site_url=options.site_url.rstrip("/"),
        name=options.session_data_name,
        clock=clock,
    )  # fmt: skip


def attach(app: FastAPI, router: APIRouter, ctx: ClientContext) -> None:
    """Put the client onto `app`: its routes, and what is closed when the application ends.

    Parameters:
        app: the application.
        router: gets the routes.
        ctx: the client.

    Raises:
        CrossauthError: `Configuration` where two endpoints have one URL, or a template is missing.
    """
    servers = servers_on(app)
    add_bff_routes(router, ctx)
    add(router, ctx, ENDPOINTS)
    add_links(app, router, ctx)
    identities = ctx.options.identity_storage
    if isinstance(identities, SupportsLifecycle):
        servers.lifecycle.add([identities])
    if ctx.accounts is not None:
        ctx.accounts.reserve_data(ctx.name)
        if identities is not None:
            ctx.accounts.keep_identities(identities)
    if ctx.has_sessions:
        offer_tokens(app, ctx.name, ctx.tokens)
        attach_id_tokens(app, ctx)
    servers.lifecycle.add([_Closing(ctx.client)])


def clock_of(accounts: AccountServices | None) -> Callable[[], datetime]:
    """What time it is: as the session server says, so that all times of an application are of one clock."""
    return utc_now if accounts is None else lambda: accounts.now


def _rings(options: ClientServerSettings, accounts: AccountServices | None) -> Callable[[str], KeyRing]:
    """What makes the key rings, by purpose."""
    for number, key in enumerate(options.encryption_keys):
        check_secret(key, f"{COMPONENT}: option 'encryption_keys'[{number}]")
    if accounts is not None and options.secret is None and not options.encryption_keys:
        return accounts.key_ring
    keys = options.encryption_keys or [check_secret(options.secret, COMPONENT)]
    # As those of a session server that has this secret, wherever it was given.
    return partial(ring_for, KeyRing(keys, "stored secrets"))


def _token_store(
    client: OAuthClient,
    server: FastApiServerBase,
    options: ClientServerSettings,
    accounts: AccountServices | None,
    seal: Seal,
    clock: Callable[[], datetime],
) -> TokenStore:
    if not server.have_session_adapter:
        return NoTokens()
    name = options.session_data_name
    keys = options.key_storage or (None if accounts is None else accounts.keys)
    refresher = Refresher(client, keys, clock)
    ended = _ended(options, keys, accounts, clock)
    if accounts is None:
        return StoredTokens(name, AdapterSessions(server, name), seal, refresher, ended)

    async def end_session(connection: Any) -> None:
        await accounts.log_out(Request(connection.scope))

    return StoredTokens(name, OwnSessions(accounts, name), seal, refresher, ended, end_session)


def _ended(
    options: ClientServerSettings,
    keys: KeyStorage | None,
    accounts: AccountServices | None,
    clock: Callable[[], datetime],
) -> Ended | None:
    """What knows of logins that have ended: the provider says so, or the account was unlinked; `None` where neither can be."""
    can_say = OAuthFlows.OidcAuthorizationCode in read_flows("valid_flows", options.valid_flows)
    if keys is None or not (can_say or options.link_accounts):
        return None
    return partial(is_logged_out, key_with_user_reader(keys, accounts.users if accounts else None), clock=clock)


def _limits(accounts: AccountServices | None, keys: KeyStorage | None, clock: Callable[[], datetime]) -> AttemptLimits:
    """What counts attempts: as the session server does; without one by the defaults, and where nothing else can, in memory."""
    if accounts is not None:
        return accounts.limits
    return AttemptLimits(keys if isinstance(keys, SupportsCounting) else InMemoryKeyStorage(), {}, clock)


def _callback(prefix: str, redirect_uri: str) -> str:
    """The path of the redirect URI in this application.

    A configured one ends with what the application knows it by; what is before that is where it is mounted. One that ends in
    another way names the whole path.
    """
    path, usual = urlsplit(redirect_uri).path, f"{prefix}{authzcode.CALLBACK}"
    return usual if path.endswith(usual) else path


class _Closing:
    """Closes the connections of a client when the application ends."""

    def __init__(self, client: OAuthClient) -> None:
        self._client = client

    async def start(self) -> None:
        """Nothing: metadata is fetched when it is first needed, so an authorization server that is away stops no start."""

    async def close(self) -> None:
        """Close them."""
        await self._client.aclose()
