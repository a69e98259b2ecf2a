"""What every endpoint of an OAuth client works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from crossauth_backend.events.listeners import Events
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.oauth.client.client import OAuthClient
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._actions.context import ActionContext
from crossauth_fastapi._oauth_client.attempts import Attempts
from crossauth_fastapi._oauth_client.formpost import FormPosts
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_client.seals import Seals
from crossauth_fastapi._oauth_client.tokenstore import TokenStore
from crossauth_fastapi._oauth_client.users.people import People
from crossauth_fastapi.fastapiserverbase import FastApiServerBase


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientContext(ActionContext):
    """One OAuth client of an application.

    Parameters:
        client: the client itself.
        server: the server that it is a part of.
        options: its options, but for those of `OAuthClient`, which are `client.settings`.
        tokens: keeps the tokens of a browser.
        attempts: logins at the authorization server that are under way.
        form_posts: answers of the authorization server that come as a form.
        accounts: the session server; `None` on other sessions, and on none.
        users: where the users are that ID tokens are matched with; `None` where nowhere.
        people: makes users of ID tokens.
        keys: where keys are kept for all workers; `None` where nowhere.
        events: who is told of what happens.
        limits: counts attempts.
        seals: seals what pages carry.
        flows: the flows that are on, by their names in `OAuthFlows`.
        protected_flows: those that only users who are logged in may use.
        redirect_uri: where the authorization server sends browsers back to.
        callback: the path of that in this application.
        site_url: where browsers find the site, without a slash at the end.
        name: the option `session_data_name`, which no two clients have in common.
        clock: what time it is.
    """

    client: OAuthClient
    server: FastApiServerBase
    options: ClientServerSettings
    tokens: TokenStore
    attempts: Attempts
    form_posts: FormPosts
    accounts: AccountServices | None
    users: UserStorage | None
    people: People
    keys: KeyStorage | None
    events: Events
    limits: AttemptLimits
    seals: Seals
    flows: frozenset[str]
    protected_flows: frozenset[str]
    redirect_uri: str
    callback: str
    site_url: str
    name: str
    clock: Callable[[], datetime]

    @property
    def now(self) -> datetime:
        """The time."""
        return self.clock()

    @property
    def has_sessions(self) -> bool:
        """Whether browsers have sessions, ours or an adapter's."""
        return self.server.have_session_adapter

    def has_flow(self, *flows: str) -> bool:
        """Whether one of these flows is on."""
        return not self.flows.isdisjoint(flows)


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a flow has given, to be answered.

    Parameters:
        response: what the client has returned.
        flow: which flow, by its name in `OAuthFlows`.
        target: where the browser is to go on; empty for what the options say.
        before: the tokens that these renew; `None` after a login.
        tokens: as they are to be kept; by default what the response says.
    """

    response: OAuthTokenResponse = field(repr=False)
    flow: str
    target: str = ""
    before: TokenSet | None = None
    tokens: TokenSet | None = None


class WebClient(Protocol):
    """The documented client, as its documented functions are given it."""

    @property
    def context(self) -> ClientContext:
        """What it works with."""
        ...
