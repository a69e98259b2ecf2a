"""Flows that leave for the pages of the session server; see `_actions.interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import HTTPConnection

from crossauth_backend.accounts import interaction as stored
from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.accounts.interaction import Completion, Interaction
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.sessionmanager import SessionManager
from crossauth_fastapi._actions.interactions import PARAMETER
from crossauth_fastapi._http.address import Proxies, peer_address
from crossauth_fastapi._http.redirects import with_more_query, with_query
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._pages.policy import PagePolicy

OTHER_BROWSER: Final = mark("This request was started in another browser. Go back to the application and start again.")
# A page may lead to the login page, and that one on: so deep is a flow found in `next`.
_DEPTH: Final = 4
_MOST_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True)
class BrowserInteractions:
    """See `Interactions`.

    Parameters:
        manager: the session manager.
        prefix: goes before the path of every page.
        proxies: whose forwarded addresses are believed; `None` where none is named.
    """

    manager: SessionManager
    prefix: str
    proxies: Proxies | None = None

    async def begin(
        self, request: HTTPConnection, flow: str, checked: Mapping[str, Any], resume: str, *, ends_at: str | None = None
    ) -> Interaction:
        """See `Interactions.begin`."""
        _check_end(ends_at)
        origin = ClientInfo(peer_address(request.scope, self.proxies))
        begun = await stored.begin(self._accounts, flow, checked, resume, ends_at=ends_at, origin=origin)
        self._give_cookie(state_of(request), begun)
        return begun

    async def push(
        self,
        flow: str,
        checked: Mapping[str, Any],
        resume: str,
        *,
        ends_at: str | None = None,
        lasts: float | None = None,
    ) -> Interaction:
        """See `Interactions.push`."""
        _check_end(ends_at)
        time = stored.LASTS if lasts is None else timedelta(seconds=lasts)
        return await stored.begin(self._accounts, flow, checked, resume, ends_at=ends_at, pushed=True, lasts=time)

    async def find(self, request: HTTPConnection, flow: str, handle: str) -> Interaction:
        """See `Interactions.find`."""
        found = await stored.find(self._accounts, flow, handle)
        state = state_of(request)
        if not self._is_here(state, found):
            if not found.pushed or not await stored.claim(self._accounts, found):
                raise CrossauthError(ErrorCode.Forbidden, OTHER_BROWSER)
            self._give_cookie(state, found)
        return found

    async def complete(self, request: HTTPConnection, flow: str, handle: str) -> Completion:
        """See `Interactions.complete`."""
        found = await self.find(request, flow, handle)
        return await stored.complete(self._accounts, flow, found.handle)

    def resume_url(self, request: HTTPConnection, interaction: Interaction) -> str:
        """See `Interactions.resume_url`."""
        return with_more_query(state_of(request).url(interaction.resume), {PARAMETER: interaction.handle})

    def page_url(self, request: HTTPConnection, interaction: Interaction, page: str = "login", **query: str) -> str:
        """See `Interactions.page_url`."""
        after = self.resume_url(request, interaction)
        return with_query(state_of(request).url(self.prefix + page), next=after, **query)

    async def policy_before(self, request: HTTPConnection, after: str, policy: PagePolicy) -> PagePolicy:
        """`policy` for a page that leads on to `after`: its forms may lead to where the flow ends that resumes there.

        Where that is says the checked request, and only for the browser in which the flow began.
        """
        named, state = flow_in(after), state_of(request)
        if named is None:
            return policy
        path, handle = named
        try:
            found = await stored.find_any(self._accounts, handle)
        except CrossauthError as e:
            if e.http_status >= 500:
                raise
            return policy
        here = state.url(found.resume) == path and self._is_here(state, found)
        if found.ends_at is None or found.completed is not None or not here:
            return policy
        return replace(policy, form_action=(*policy.form_action, found.ends_at))

    @property
    def _accounts(self) -> Accounts:
        return self.manager.accounts()

    def _is_here(self, state: RequestState, interaction: Interaction) -> bool:
        """Whether the flow is that of the browser that sent the request."""
        cookie = self.manager.claims.of_flow(interaction.handle)
        return state.signed_value(cookie, interaction.handle) is not None

    def _give_cookie(self, state: RequestState, interaction: Interaction) -> None:
        claims, local = self.manager.claims, state.local
        sent = [(name, values[0]) for name, values in state.cookies.items()]
        for name in claims.surplus_flows(sent, local):
            state.queue_deletion(name, claims.cookie.options(local))
        state.queue(claims.begin_flow(interaction.handle, local, interaction.begun, interaction.expires))


def flow_in(after: str) -> tuple[str, str] | None:
    """The path and the handle of the flow that `after` leads to, also by way of the `next` of other pages; `None` for none."""
    for _ in range(_DEPTH):
        try:
            parts = urlsplit(after)
            query = parse_qs(parts.query, max_num_fields=_MOST_PARAMETERS)
        except ValueError:
            return None
        if PARAMETER in query:
            return parts.path, query[PARAMETER][0]
        after = query.get("next", [""])[0]
    return None


def _check_end(ends_at: str | None) -> None:
    """Refuse a URL to which no page could allow a form to lead.

    Raises:
        CrossauthError: `BadRequest`.
    """
    try:
        PagePolicy(form_action=() if ends_at is None else (ends_at,))
    except CrossauthError as e:
        raise CrossauthError(
            ErrorCode.BadRequest, mark("The flow ends at a URL that no page can lead to"), detail=e.message
        ) from e
