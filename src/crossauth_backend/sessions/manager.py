"""Sessions as stored keys: made, read, kept alive, ended.

A session id is 256 random bits. The browser holds it signed, the storage its hash. An id that we did not sign is never looked
up, one that we did not issue is never adopted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import decide
from crossauth_backend.core.options import read_options
from crossauth_backend.core.records import ItemReads
from crossauth_backend.core.redaction import loggable
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.core.secrets import derive_key, hash_token, random_value
from crossauth_backend.keys.data import encode_data
from crossauth_backend.keys.lastuse import TOUCH_INTERVAL, LastUse
from crossauth_backend.keys.reading import find_user, key_with_user_reader
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, KeyWithUser
from crossauth_backend.sessions.attributes import HasCookie
from crossauth_backend.sessions.cookie import Cookie, SignedCookie
from crossauth_backend.sessions.options import SessionCookieOptions, SessionCookieSettings
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import UserState, refusal

logger = logging.getLogger("crossauth.sessions")
ID_BYTES: Final = 32
# Of how many users a process remembers how many sessions it has opened since their surplus was ended.
_REMEMBERED_USERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class UserAndKey(ItemReads):
    """A session: its key and its user, who is `None` in an anonymous one."""

    user: User | None
    key: Key


def session_refusal(key: Key, user: User | None, now: datetime, idle: timedelta | None) -> ErrorCode | None:
    """Why `key` signs nobody in, or `None` where it is good. Pure.

    A session ends at its `expires`, after `idle` without a request (sessions of users only), with its user, as soon as its
    user's state is anything but active, and as soon as its user's security stamp is another than the one that the key records.
    """
    if key.expires is not None and key.expires <= now:
        return ErrorCode.Expired
    if key.userid is None:
        return None
    if idle is not None and (key.lastactive or key.created) + idle <= now:
        return ErrorCode.Expired
    if user is None:
        return ErrorCode.InvalidSession
    if user.state != UserState.active:
        return refusal(user.state)
    return None if same_stamp(key.stamp, user.security_stamp) else ErrorCode.InvalidSession


class SessionCookie(HasCookie):
    """Keeps sessions in `key_storage`.

    Parameters:
        key_storage: where the keys are.
        options: see `SessionCookieOptions`.
        clock: what time it is.
        max_per_user: how many sessions a user may have at once; the oldest end with one more. 0 for any number.

    Raises:
        CrossauthError: `Configuration` without a fit secret, or where ids were asked to be stored in clear.
    """

    def __init__(
        self,
        key_storage: KeyStorage,
        options: SessionCookieOptions | None = None,
        clock: Clock = utc_now,
        max_per_user: int = 0,
    ) -> None:
        self.settings = read_options(SessionCookieSettings, options or {}, component="SessionCookie")
        if not self.settings.hash_session_id:
            raise CrossauthError(ErrorCode.Configuration, "SessionCookie: session ids are always stored hashed")
        secret = check_secret(self.settings.secret, "SessionCookie")
        self.cookie = SignedCookie(self.settings, "SESSIONID", derive_key(secret, "session cookie"))
        self.key_storage = key_storage
        self.last_use = LastUse(key_storage)
        self.user_storage = self.settings.user_storage
        self.clock = clock
        # Why a session of a user is refused although it is good in itself; the session manager says it.
        self.user_refusal: Callable[[Key, User], ErrorCode | None] | None = None
        self._max_per_user = max_per_user
        self._opened: dict[UserId, int] = {}
        self._idle = timedelta(seconds=self.settings.idle_timeout) if self.settings.idle_timeout else None
        self._read = key_with_user_reader(key_storage, self.user_storage)

    @property
    def idle_timeout(self) -> int:
        """Seconds without a request after which a user's session expires; 0 for never."""
        return self.settings.idle_timeout

    @property
    def maxAge(self) -> int:
        """Seconds after which a session ends; 0 for never."""
        return self.settings.maxAge

    def now(self) -> datetime:
        """What the clock says; also where another one was put into `clock` after the start."""
        return self.clock()

    @staticmethod
    def hash_session_id(session_id: str) -> str:
        """The value under which a session id is stored."""
        return KeyPrefix.session + hash_token(session_id)

    async def create_session_key(
        self,
        userid: UserId | None,
        extra_fields: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        stamp: str | None = None,
    ) -> Key:
        """Store a new session.

        Parameters:
            userid: whose session it is; `None` for an anonymous one.
            extra_fields: further columns of the key table.
            data: the session data to begin with.
            stamp: the security stamp of the user as whoever opens the session has read it; where none is given, it is read now.

        Returns:
            The key with the session id itself as `value`, for `make_cookie`; stored is only its hash.
        """
        now = self.clock()
        expires = now + timedelta(seconds=self.settings.maxAge) if self.settings.maxAge else None
        session_id = random_value(ID_BYTES)
        text = encode_data(data)
        if userid is not None and stamp is None:
            stamp = await self._current_stamp(userid)
        extra = {"lastactive": now, **(extra_fields or {}), **({} if stamp is None else {"stamp": stamp})}
        await self.key_storage.save_key(userid, self.hash_session_id(session_id), now, expires, text, extra)
        await self._end_surplus(userid)
        return Key(
            value=session_id, created=now, expires=expires, userid=userid, lastactive=now, data=text, stamp=stamp
        )

    def make_cookie(self, session_key: Key, persist: bool | None = None, *, local: bool = False) -> Cookie:
        """The cookie for a new session; it outlives the browser if `persist` (default: option `persist`) says so."""
        keep = self.settings.persist if persist is None else persist
        return self.cookie.make(session_key.value, local, session_key.expires if keep else None)

    def unsign_cookie(self, cookie_value: str) -> str:
        """The session id in a cookie.

        Raises:
            CrossauthError: `InvalidSession` where we did not sign it.
        """
        session_id = self.cookie.unsign(cookie_value)
        if session_id is None:
            raise CrossauthError(ErrorCode.InvalidSession)
        return session_id

    async def get_user_for_session_id(self, session_id: str) -> UserAndKey:
        """The session, if it is good; the time of use is written at most once a minute, a moment later.

        Raises:
            CrossauthError: `InvalidSession`, `Expired`, or the reason for which the user's state refuses.
        """
        key, user = await self.read_session(session_id)
        return UserAndKey(user, key)

    async def read_session(self, session_id: str) -> KeyWithUser:
        """As `get_user_for_session_id`, for every request that has a session: without a record made for it.

        Raises:
            CrossauthError: as `get_user_for_session_id`.
        """
        return await self.read_stored(self.hash_session_id(session_id))

    async def read_stored(self, value: str) -> KeyWithUser:
        """As `read_session`, where the id has been hashed before.

        Parameters:
            value: the session id as `hash_session_id` makes it.

        Raises:
            CrossauthError: as `get_user_for_session_id`.
        """
        found = await self._read(value)
        if found is None:
            raise CrossauthError(ErrorCode.InvalidSession)
        key, user = found
        if user is not None and user.security_stamp is None:
            # A row that an older version wrote, or a reader that says no stamps: the credentials themselves say it.
            user = await find_user(self.user_storage, user.id)
        now, used = self.clock(), self.last_use.waiting.get(value)
        if used is not None:
            key = replace(key, lastactive=used)
        code = session_refusal(key, user, now, self._idle)
        if code is None and user is not None and self.user_refusal is not None:
            code = self.user_refusal(key, user)
        hook = self.settings.filter_function
        if code is None and hook is not None and not await _passes_filter(hook, key):
            code = ErrorCode.InvalidSession
        if code is not None:
            raise CrossauthError(code)
        if key.lastactive is None or now - key.lastactive >= TOUCH_INTERVAL:
            self.last_use.note(value, now)
        return key, user

    async def get_session_key(self, session_id: str) -> Key:
        """The session's key, if the session is good.

        Raises:
            CrossauthError: as `get_user_for_session_id`.
        """
        return (await self.read_session(session_id))[0]

    async def update_session_key(self, session_key: Mapping[str, Any]) -> None:
        """Change fields of a stored session; `session_key["value"]` is the session id."""
        await self.key_storage.update_key({**session_key, "value": self.hash_session_id(session_key["value"])})

    async def delete_session(self, session_id: str) -> None:
        """End one session; nothing happens where there is none."""
        await self.key_storage.delete_key(self.hash_session_id(session_id))

    async def delete_all_for_user(self, userid: UserId, except_key: str | None = None) -> None:
        """End every session of a user but the one with the id `except_key`."""
        keep = self.hash_session_id(except_key) if except_key else None
        await self.key_storage.delete_all_for_user(userid, KeyPrefix.session, keep)

    async def _current_stamp(self, userid: UserId) -> str | None:
        user = await find_user(self.user_storage, userid)
        return None if user is None else user.security_stamp

    async def _end_surplus(self, userid: UserId | None) -> None:
        """End the oldest sessions of a user beyond `max_per_user`.

        Looked at once in so many logins of a user that no more than a quarter of the bound is added meanwhile by one process:
        it costs a query, and a login is to cost one read.
        """
        if userid is None or not self._max_per_user:
            return
        opened = self._opened.pop(userid, 0) + 1
        if opened >= max(1, self._max_per_user // 4):
            await self.key_storage.delete_oldest_for_user(userid, KeyPrefix.session, self._max_per_user)
            return
        self._opened[userid] = opened
        if len(self._opened) > _REMEMBERED_USERS:
            del self._opened[next(iter(self._opened))]


async def _passes_filter(hook: Callable[[Key], Any], key: Key) -> bool:
    try:
        return await decide("filter_function", hook, key)
    except Exception as e:
        logger.exception("filter_function failed; the session is refused", exc_info=loggable(e))
        return False
