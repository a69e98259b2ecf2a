"""What the session server offers to the actions of other servers on its application; see `_actions.accounts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._session import freshness
from crossauth_fastapi._session.context import SessionContext, SessionRequest
from crossauth_fastapi._session.interactions import BrowserInteractions


@dataclass(frozen=True, slots=True)
class SessionServices:
    """See `AccountServices`.

    Parameters:
        context: the session server.
    """

    context: SessionContext

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
        kept = self.context.manager.identities
        if not any(identities is other for other in kept):
            kept.append(identities)

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
        raise CrossauthError(ErrorCode.BadRequest, "There is no such user", status=404)
    return found
