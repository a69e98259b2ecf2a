"""What the session server offers to the actions of other servers on its application; see `_actions.accounts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.requests import HTTPConnection

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.sessions import log_out
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secretoption import ring_for
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.events.listeners import Events
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.accounts import SignedInBrowser
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._session import freshness, guards, keptdata
from crossauth_fastapi._session.context import SessionContext, SessionRequest
from crossauth_fastapi._session.interactions import BrowserInteractions


@dataclass(frozen=True, slots=True)
class SessionServices:
    """See `AccountServices`.

    Parameters:
        context: the session server.
        router: its routes.
    """

    context: SessionContext
    router: APIRouter

    @property
    def users(self) -> UserStorage | None:
        """See `AccountServices.users`."""
        return self.context.manager.user_storage

    @property
    def has_administrators(self) -> bool:
        """See `AccountServices.has_administrators`."""
        return self.context.settings.enable_admin_endpoints

    @property
    def interactions(self) -> BrowserInteractions:
        """See `AccountServices.interactions`."""
        return self.context.interactions

    @property
    def accounts(self) -> Accounts | None:
        """See `AccountServices.accounts`."""
        return self.context.services

    @property
    def keys(self) -> KeyStorage:
        """See `AccountServices.keys`."""
        return self.context.manager.key_storage

    @property
    def events(self) -> Events:
        """See `AccountServices.events`."""
        return self.context.manager.events

    @property
    def limits(self) -> AttemptLimits:
        """See `AccountServices.limits`; in memory, where the key storage cannot count."""
        manager = self.context.manager
        if manager.limits is None:
            return AttemptLimits(InMemoryKeyStorage(), manager.settings.attempt_limits, manager.session.now)
        return manager.limits

    @property
    def now(self) -> datetime:
        """See `AccountServices.now`."""
        return self.context.manager.session.clock()

    def key_ring(self, purpose: str) -> KeyRing:
        """See `AccountServices.key_ring`."""
        return ring_for(self.context.manager.ring, purpose)

    def reserve_data(self, name: str) -> None:
        """See `AccountServices.reserve_data`."""
        self.context.reserved.add(name)

    async def session_data(self, request: HTTPConnection, name: str) -> Any:
        """See `AccountServices.session_data`."""
        return await guards.get_session_data(self.context, request, name)

    async def write_data(self, request: HTTPConnection, data: Mapping[str, Any]) -> None:
        """See `AccountServices.write_data`."""
        await keptdata.write_data(self.context, request, data)

    async def swap_data(self, request: HTTPConnection, name: str, before: Any, after: Any) -> bool:
        """See `AccountServices.swap_data`."""
        return await keptdata.swap_data(self.context, request, name, before, after)

    async def open_session(self, request: Request, data: Mapping[str, Any]) -> None:
        """See `AccountServices.open_session`."""
        await keptdata.open_anonymous(self.context, request, data)

    async def sign_in(
        self, request: Request, attempt: Attempt, after: str, data: Mapping[str, Any] | None = None
    ) -> SignedInBrowser:
        """See `AccountServices.sign_in`."""
        return await keptdata.sign_in(self.context, request, attempt, after, data)

    async def log_out(self, request: Request) -> None:
        """See `AccountServices.log_out`."""
        state, ctx = state_of(request), self.context
        session_id = state["session_id"]
        if session_id is None:
            return
        identity = state.identities.get(ctx.source.name)
        if ctx.services is not None:
            await log_out(ctx.accounts, session_id, identity.user if identity else None, ctx.origin(request))
        else:
            await ctx.manager.delete_session(session_id)
        ctx.end_session(request)

    def emails(self, root_path: str) -> TokenEmailer | None:
        """See `AccountServices.emails`."""
        found = self.context.accounts.emails
        return None if found is None else found.at(root_path)

    def needs_password(self, call: ActionRequest[Any, Any], user: User) -> bool:
        """See `AccountServices.needs_password`."""
        return freshness.needs_password(self._own(call), user)

    async def require_recent_login(self, call: ActionRequest[Any, Any], user: User) -> None:
        """See `AccountServices.require_recent_login`."""
        await freshness.require_recent_login(self._own(call), user)

    def keep_identities(self, identities: IdentityStorage) -> None:
        """See `AccountServices.keep_identities`."""
        stored = self.context.manager.identities
        if not any(identities is other for other in stored):
            stored.append(identities)

    async def user(self, id: str) -> User:
        """See `AccountServices.user`."""
        return await user_by_id(self.context, id)

    def _own(self, call: ActionRequest[Any, Any]) -> SessionRequest:
        """The same request, for the session server."""
        return ActionRequest(self.context, call.request, call.form, call.is_page, call.model)


async def user_by_id(ctx: SessionContext, id: str) -> User:
    """The user of this id, in whatever state.

    Raises:
        CrossauthError: `BadRequest` (404) where there is none.
    """
    found = await or_none(ctx.accounts.user(id))
    if found is None:
        raise CrossauthError(ErrorCode.BadRequest, mark("There is no such user"), status=404)
    return found
