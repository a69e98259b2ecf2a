"""Who may edit an account."""

from __future__ import annotations

from crossauth_backend.users.record import User
from crossauth_fastapi._actions.request import login_required
from crossauth_fastapi._middleware.identity import ClaimedUser
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.context import SessionRequest
from crossauth_fastapi._session.options import SessionServerSettings


def editor_of(call: SessionRequest) -> User:
    """The user who may edit the account: logged in by cookie, or by a token with the scope `edit_user_scope`.

    Raises:
        CrossauthError: `Unauthorized` where there is none.
    """
    user = call.user
    if user is None or not can_edit(call.ctx.settings, call.state):
        raise login_required(call.state)
    return user


def can_edit(settings: SessionServerSettings, state: RequestState) -> bool:
    """Whether the request may edit the account it is made for: one of this application, which a user of claims alone has not."""
    if state["user"] is None or isinstance(state["user"], ClaimedUser):
        return False
    scope = settings.edit_user_scope
    return state["auth_type"] == "cookie" or (scope is not None and scope in (state["scope"] or ()))
