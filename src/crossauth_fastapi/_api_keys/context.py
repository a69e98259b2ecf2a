"""What the actions of API keys work with, and whose keys a request is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.rows import RequestedBy
from crossauth_backend.users.record import User
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._actions.context import ActionContext, NamesTemplates
from crossauth_fastapi._actions.request import ActionRequest
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings
from crossauth_fastapi._middleware.state import RequestState


@dataclass(frozen=True, slots=True)
class Templates:
    """Names templates: those of API keys by their own options, the others by those of the session server."""

    own: ApiKeyServerSettings
    others: NamesTemplates

    def page(self, option_name: str) -> str:
        """See `NamesTemplates.page`."""
        found: str | None = getattr(self.own, option_name, None)
        return self.others.page(option_name) if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyContext(ActionContext):
    """The server for API keys, and the session server beside it."""

    manager: ApiKeyManager
    options: ApiKeyServerSettings
    accounts: AccountServices

    def changed_csrf_token(self, state: RequestState) -> str | None:
        """See `ActionContext.changed_csrf_token`."""
        return self.accounts.context.changed_csrf_token(state)


KeyRequest: TypeAlias = ActionRequest[ApiKeyContext, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose keys a request is about.

    Parameters:
        user: whose keys.
        who: who asks: the same user, or an administrator.
        by: on whose word something is changed.
        administered: whether it is asked as an administrator.
    """

    user: User
    who: User
    by: RequestedBy
    administered: bool = False


Whose: TypeAlias = Callable[[KeyRequest], Awaitable[Owner]]


async def own_account(call: KeyRequest) -> Owner:
    """The user who is logged in. One who asks by an API key is not: a key makes no keys.

    Raises:
        CrossauthError: `Unauthorized`.
    """
    user, session = call.session_user(), call.state["session_key"]
    return Owner(user, user, RequestedBy(call.origin.address, session.stamp))


async def account_of_path(call: KeyRequest) -> Owner:
    """The user whom the path names, for an administrator.

    Raises:
        CrossauthError: `Unauthorized`, `InsufficientPriviledges`; `BadRequest` (404) where there is no such user.
    """
    who = await call.admin()
    user = await call.ctx.accounts.user(call.path_parameter)
    return Owner(user, who, RequestedBy(call.origin.address, actor=who), administered=True)
