"""Where a user is logged in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crossauth_backend.accounts.authentication import auth_of
from crossauth_backend.accounts.changes import check_still, end_address_changes
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal, hash_token
from crossauth_backend.core.texts import mark
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import same_stamp

# Every browser names those it wants to be taken for, so the pretenders come first.
_BROWSERS: Final = (
    ("Edg/", "Edge"), ("EdgA/", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session as its user sees it. `handle` identifies it and can't be used as a cookie."""

    handle: str
    created: datetime
    last_active: datetime | None
    agent: str
    address: str
    current: bool

    @property
    def browser(self) -> str:
        """The browser and its system as people call them; what it says of itself where that tells neither."""
        name = next((name for sign, name in _BROWSERS if sign in self.agent), "")
        system = next((name for sign, name in _SYSTEMS if sign in self.agent), "")
        if not system:
            return name or self.agent
        return mark("%(browser)s on %(system)s", browser=name or mark("A browser"), system=system)


async def list_sessions(accounts: Accounts, user: User, current: str | None) -> list[SessionInfo]:
    """The live sessions of `user`, the current one first and then the latest used.

    Parameters:
        accounts: the account services.
        user: whose.
        current: id of the session that asks.
    """
    own = accounts.sessions.hash_session_id(current) if current else None
    found = []
    for key in await _keys(accounts, user):
        told = get_json_data(key).get("crossauth")
        told = told if isinstance(told, dict) else {}
        found.append(SessionInfo(
            _handle(key), key.created, key.lastactive, str(told.get("agent", "")), str(told.get("address", "")),
            key.value == own,
        ))  # fmt: skip
    return sorted(found, key=lambda s: (s.current, s.last_active or s.created), reverse=True)


async def log_out(
    accounts: Accounts, session_id: str, user: User | None = None, origin: ClientInfo = UNKNOWN_CLIENT
) -> None:
    """End one session."""
    await accounts.sessions.delete_session(session_id)
    if user is not None:
        accounts.events.emit(EventName.logged_out, user, address=origin.address)


async def end_session(accounts: Accounts, user: User, handle: str, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """End one session of `user`.

    Raises:
        CrossauthError: `BadRequest` where the user has no such session.
    """
    for key in await _keys(accounts, user):
        if _handle(key) == handle:
            await accounts.keys.delete_key(key.value)
            accounts.events.emit(EventName.session_ended, user, address=origin.address)
            return
    raise CrossauthError(ErrorCode.BadRequest, mark("This session doesn't exist. It may have ended already."))


async def end_other_sessions(
    accounts: Accounts, user: User, current: str | None, origin: ClientInfo = UNKNOWN_CLIENT
) -> None:
    """End every session of `user` but the one with the id `current`, and every change of the address that waits for its link.

    Raises:
        CrossauthError: `InvalidSession`, `UserNotActive` where the account was changed since `user` was read.
    """
    await check_still(accounts, user)
    await accounts.sessions.delete_all_for_user(user.id, current)
    await end_address_changes(accounts, user.id)
    accounts.events.emit(EventName.sessions_ended, user, address=origin.address)


async def sessions_of_login(accounts: Accounts, userid: UserId, sid: str) -> list[Key]:
    """The stored sessions of one login, as OpenID Connect's back-channel logout names it (§2.4).

    It is one as a rule: two where requests that renew it overtake each other. `accounts.keys.delete_key(key.value)` ends one.

    Parameters:
        accounts: the account services.
        userid: whose login it is.
        sid: see `authentication.Authentication`.
    """
    keys = await accounts.keys.get_all_for_user(userid, KeyPrefix.session)
    logins = [(key, auth_of(key)) for key in keys]
    return [key for key, auth in logins if auth is not None and auth.sid is not None and equal(auth.sid, sid)]


async def _keys(accounts: Accounts, user: User) -> list[Key]:
    now = accounts.now
    keys = await accounts.keys.get_all_for_user(user.id, KeyPrefix.session)
    return [k for k in keys if (k.expires is None or k.expires > now) and same_stamp(k.stamp, user.security_stamp)]


def _handle(key: Key) -> str:
    return hash_token(key.value)[:22]
