"""What other servers of ours keep in sessions, and the logins that they bring about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fastapi import Request
from starlette.requests import HTTPConnection

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.signup_rules import SETTING_UP
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.data import KeyDataEntry, changed_data, get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import can_swap
from crossauth_fastapi._actions.accounts import SignedInBrowser
from crossauth_fastapi._http.redirects import local_path, with_query
from crossauth_fastapi._middleware.state import RequestState, state_of
from crossauth_fastapi._session.context import SessionContext
from crossauth_fastapi._session.guards import session_id
from crossauth_fastapi._session.login import open_session
from crossauth_fastapi._session.source import session_identity

# Where a login goes on that is not complete, and why it cannot where that page is not there.
_ASKED: Final = {
    Requirement.FACTOR2: ("loginfactor2", ErrorCode.MfaRequired),
    Requirement.PASSWORD_CHANGE: ("changepassword", ErrorCode.PasswordChangeNeeded),
    Requirement.FACTOR2_CHANGE: ("changefactor2", ErrorCode.Factor2ResetNeeded),
}

# Other entries may be written at the same time; each time one is, somebody else has got on.
_TRIES: Final = 20


async def write_data(ctx: SessionContext, connection: HTTPConnection, data: Mapping[str, Any]) -> None:
    """See `AccountServices.write_data`."""
    entries = _entries(data)
    try:
        await ctx.manager.update_many_session_data(session_id(connection), entries)
    except CrossauthError as e:
        if e.code is ErrorCode.InvalidKey:
            raise CrossauthError(ErrorCode.InvalidSession, mark("The session has ended")) from e
        raise
    state = state_of(connection)
    key: Key = state["session_key"]
    _say_anew(ctx, state, replace(key, data=changed_data(key.data, entries)))


async def swap_data(ctx: SessionContext, connection: HTTPConnection, name: str, before: Any, after: Any) -> bool:
    """See `AccountServices.swap_data`."""
    state, keys, entries = state_of(connection), ctx.manager.key_storage, _entries({name: after})
    if state["session_id"] is None:
        return False
    for _ in range(_TRIES):
        try:
            key = await keys.get_key(ctx.manager.session.hash_session_id(session_id(connection)))
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return False
        if get_json_data(key).get(name) != before:
            return False
        data = changed_data(key.data, entries)
        if not can_swap(keys):
            await write_data(ctx, connection, {name: after})
            return True
        if await keys.swap_data(key.value, key.data, data):
            _say_anew(ctx, state, replace(key, data=data))
            return True
    raise CrossauthError(
        ErrorCode.Connection, mark("The session was changed too often at once. Try again."), status=503
    )


async def open_anonymous(ctx: SessionContext, request: Request, data: Mapping[str, Any]) -> None:
    """See `AccountServices.open_session`.

    Raises:
        CrossauthError: `BadRequest` where somebody is logged in.
    """
    state, sessions = state_of(request), ctx.manager.session
    before: Key | None = state["session_key"]
    if before is not None and before.userid is not None:
        raise CrossauthError(ErrorCode.BadRequest, mark("A user is logged in"))
    # As it is by now: what was ended while this request was under way does not come back.
    stored = {} if before is None else await _data_of(ctx, before.value)
    key = await sessions.create_session_key(None, await ctx.extra_columns(request), {**stored, **data})
    ctx.start_session(request, key, None, False)
    if before is not None:
        await ctx.manager.key_storage.delete_key(before.value)


async def sign_in(
    ctx: SessionContext, request: Request, attempt: Attempt, after: str, data: Mapping[str, Any] | None
) -> SignedInBrowser:
    """See `AccountServices.sign_in`."""
    state = state_of(request)
    result = await open_session(ctx, request, attempt, None, carried=data)
    if result.asked is None:
        return SignedInBrowser(result.user, True, after)
    endpoint, code = _ASKED[result.asked]
    if endpoint not in ctx.endpoints:
        raise CrossauthError(ErrorCode.TwoFactorIncomplete if result.user.state in SETTING_UP else code)
    if result.asked is Requirement.FACTOR2:
        return SignedInBrowser(result.user, False, with_query(state.url(ctx.prefix + endpoint), next=after))
    back = local_path(with_query(state.url(ctx.prefix + "login"), next=after), after)
    return SignedInBrowser(result.user, False, with_query(state.url(ctx.prefix + endpoint), required="true", next=back))


async def _data_of(ctx: SessionContext, value: str) -> dict[str, Any]:
    try:
        return get_json_data(await ctx.manager.key_storage.get_key(value))
    except CrossauthError as e:
        if e.code is not ErrorCode.InvalidKey:
            raise
        return {}


def _entries(data: Mapping[str, Any]) -> list[KeyDataEntry]:
    return [
        {"data_name": name} if value is None else {"data_name": name, "value": value} for name, value in data.items()
    ]


def _say_anew(ctx: SessionContext, state: RequestState, key: Key) -> None:
    """Let what is known of the session in this request be what is stored now."""
    known = state.identities.get(ctx.source.name)
    if known is not None:
        state.add_identity(ctx.source.name, session_identity(state["session_id"], key, known.user))
