"""Going on as logged in: in the same session, or in a new one once a credential has changed."""

from __future__ import annotations

from dataclasses import replace

from crossauth_backend.accounts import issue
from crossauth_backend.accounts.attempt import Attempt, attempt_of
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp
from crossauth_fastapi._session.context import SessionRequest


def current_attempt(call: SessionRequest, user: User) -> Attempt:
    """The attempt of the user who is asking to go on as logged in. How one who asks by a key or a token has logged in is not
    known, for the session beside it may be anybody's.

    Parameters:
        call: the call.
        user: the user, as stored now.
    """
    key = call.state["session_key"] if call.state["auth_type"] in ("cookie", None) else None
    return replace(attempt_of(user, key, call.state.auth), now=call.ctx.accounts.now)


async def renew_session(call: SessionRequest, user: User) -> None:
    """Let whoever is logged in go on after changing a credential, which has ended every session of the user: in a new one.

    Nothing happens where another user was changed, or nothing that the session rests on.

    Parameters:
        call: the call.
        user: the user as stored now.
    """
    key = call.state["session_key"]
    if key is None or call.state["auth_type"] != "cookie" or str(key.userid) != str(user.id):
        return
    if same_stamp(key.stamp, user.security_stamp):
        return
    ctx = call.ctx
    result = await issue.sign_in(
        ctx.accounts, current_attempt(call, user), previous=key, extra_fields=await ctx.extra_columns(call.request),
        origin=call.origin,
    )  # fmt: skip
    ctx.start_session(call.request, result.session, user if result.asked is None else None, False)
