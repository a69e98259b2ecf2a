"""Random tokens in a table of the application's own."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Generic, NamedTuple

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import equal, hash_token, random_value
from crossauth_fastapi.fastapi_users._records import credential_fingerprint
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    MAX_PER_USER,
    Strategy,
    TokenInfo,
    check_lifetime,
    check_most,
    ends_surplus,
)
from crossauth_fastapi.fastapi_users.authentication.strategy.db.adapter import AccessTokenDatabase, SupportsUserTokens
from crossauth_fastapi.fastapi_users.authentication.strategy.db.models import AP
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.models import ID, UP

logger = logging.getLogger("crossauth.fastapi_users")
_TOKEN_BYTES: Final = 32
_MAX_TOKEN: Final = 600
_AT_ONCE: Final = 100
# The column of the documented table has 43 characters. No token can look like what is stored, for no token holds a colon.
_STORED: Final = "m:"
_SID, _MARK, _HASH = 12, 8, 21
_SIDS: Final = re.compile(r"[A-Za-z0-9_-]{0,12}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,43}")


class _Token(NamedTuple):
    """What a client holds: whose it is, of which login, and a secret."""

    owner: str
    sid: str
    secret: str

    def __str__(self) -> str:
        owner = base64.urlsafe_b64encode(self.owner.encode()).decode().rstrip("=")
        return f"{owner}.{self.sid}.{self.secret}"


class DatabaseStrategy(Strategy[UP, ID], Generic[UP, ID, AP]):
    """Random tokens in a table: they can be listed and ended. What is stored is a hash, worth nothing as a token.

    Beside the hash of the token a row holds the id of its login, and a mark of the password and second factor on which it
    rests: when these change the token is over, whoever changed them and wherever.

    Parameters:
        database: the table.
        lifetime_seconds: seconds a token is good; `None` for ever.
        max_per_user: how many rows a user may have, looked at now and then where the table finds those of a user; the oldest are
            deleted with more. 0 for any number.
        accept_plain_tokens: whether rows that hold tokens in clear, from before this library, are still good. Whoever reads
            such a table signs in as its users, and no mark ends such a row: only what ends logins by deleting them does.

    Raises:
        CrossauthError: `Configuration` for a lifetime that is not above 0, or a number below it.
    """

    checks_login_mark: ClassVar[bool] = True

    def __init__(
        self,
        database: AccessTokenDatabase[AP],
        lifetime_seconds: int | None = None,
        *,
        max_per_user: int = MAX_PER_USER,
        accept_plain_tokens: bool = False,
    ) -> None:
        check_lifetime("DatabaseStrategy", lifetime_seconds)
        check_most("DatabaseStrategy", max_per_user)
        self.database = database
        self.lifetime_seconds = lifetime_seconds
        self.max_per_user = max_per_user
        self.accept_plain_tokens = accept_plain_tokens

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        if not token or len(token) > _MAX_TOKEN:
            return None
        parts = _read(token)
        if parts is None:
            row = await self._plain_row(token)
            return await _owner(user_manager, row.user_id) if row is not None else None
        user = await _owner(user_manager, parts.owner)
        row = await self._row(token, user) if user is not None else None
        return user if row is not None else None

    async def write_token(self, user: UP) -> str:
        """A new token."""
        return await self.write_token_of(user, "")

    async def write_token_of(self, user: UP, sid: str) -> str:
        """See `SupportsLoginIds`.

        Raises:
            ValueError: the column has no room for such an id; `new_sid` makes those that fit.
        """
        if not _SIDS.fullmatch(sid):
            raise ValueError(f"the id of a login has at most {_SID} characters of base64url")
        token = str(_Token(str(user.id), sid, random_value(_TOKEN_BYTES)))
        stored = _stored(token, credential_fingerprint(user))
        await self.database.create({"token": stored, "user_id": user.id})
        if ends_surplus(token, self.max_per_user):
            await self._end_surplus(user, stored)
        return token

    async def read_sid(self, token: str) -> str | None:
        """See `SupportsLoginIds`. What a token says that is not good itself is worth nothing."""
        parts = _read(token) if len(token) <= _MAX_TOKEN else None
        return parts.sid or None if parts is not None else None

    async def destroy_sid(self, user: Any, sid: str) -> None:
        """See `SupportsLoginIds`."""
        for row in await self._rows(user):
            if sid and _sid_of(row) == sid:
                await self.database.delete(row)

    async def destroy_token(self, token: str, user: UP) -> None:
        """End a token."""
        row = await self._row(token, user) or await self._plain_row(token)
        if row is None:
            # Its user may have other credentials by now.
            row = next((row for row in await self._rows(user) if _is_of(row, token)), None)
        if row is not None:
            await self.database.delete(row)

    async def list_tokens(self, user: Any, current: str | None = None) -> Sequence[TokenInfo]:
        """See `SupportsTokenLists`."""
        end, life = self._oldest(), timedelta(seconds=self.lifetime_seconds or 0)
        return [
            TokenInfo(
                _handle(row), _aware(row), _aware(row) + life if life else None, _is_of(row, current), _sid_of(row)
            )
            for row in await self._rows(user)
            if self._is_live(row, user) and (end is None or _aware(row) >= end)
        ]

    async def destroy_listed(self, user: Any, handle: str) -> bool:
        """See `SupportsTokenLists`."""
        for row in await self._rows(user):
            if _handle(row) == handle:
                await self.database.delete(row)
                return True
        return False

    async def destroy_all(self, user: Any, except_token: str | None = None) -> None:
        """See `SupportsTokenLists`. The one that is kept goes on with what its user has now."""
        if not isinstance(self.database, SupportsUserTokens):
            logger.warning(
                "%s cannot list the logins of a user: it has no get_all_for_user and delete_all_for_user",
                type(self.database).__name__,
            )
            return
        stored = next((row for row in await self._rows(user) if _is_of(row, except_token)), None)
        await self.database.delete_all_for_user(user.id, stored.token if stored is not None else None)
        if stored is not None and stored.token.startswith(_STORED) and not self._is_live(stored, user):
            await self.database.update(stored, {"token": _marked(stored.token, credential_fingerprint(user))})

    async def _end_surplus(self, user: Any, new: str) -> None:
        """Delete the oldest rows of a user beyond `max_per_user`, a few at a time: a table that is old may have any number."""
        older = [row for row in await self._rows(user) if row.token != new]
        for row in older[self.max_per_user - 1 :][:_AT_ONCE]:
            await self.database.delete(row)

    def _is_live(self, row: Any, user: Any) -> bool:
        """Whether a row still rests on what its user has."""
        if row.token.startswith(_STORED):
            return equal(row.token, _marked(row.token, credential_fingerprint(user)))
        return self.accept_plain_tokens and _PLAIN.fullmatch(row.token) is not None

    async def _rows(self, user: Any) -> Sequence[Any]:
        return await self.database.get_all_for_user(user.id) if isinstance(self.database, SupportsUserTokens) else ()

    async def _row(self, token: str, user: Any) -> AP | None:
        if _read(token) is None:
            return None
        return await self.database.get_by_token(_stored(token, credential_fingerprint(user)), self._oldest())

    async def _plain_row(self, token: str) -> AP | None:
        if not self.accept_plain_tokens or not _PLAIN.fullmatch(token):
            return None
        return await self.database.get_by_token(token, self._oldest())

    def _oldest(self) -> datetime | None:
        return utc_now() - timedelta(seconds=self.lifetime_seconds) if self.lifetime_seconds else None


async def _owner(user_manager: BaseUserManager[Any, Any], userid: Any) -> Any | None:
    try:
        return await user_manager.get(user_manager.parse_id(userid))
    except (UserNotExists, InvalidID):
        return None


def _read(token: str) -> _Token | None:
    """A token taken apart; `None` for anything else."""
    try:
        owner, sid, secret = token.split(".")
        text = base64.b64decode(owner + "=" * (-len(owner) % 4), b"-_", validate=True).decode()
    except (ValueError, UnicodeError):
        return None
    return _Token(text, sid, secret)


def _stored(token: str, mark: str) -> str:
    """The row of a token: the id of its login, what it rests on, and its hash."""
    parts = _read(token)
    sid = parts.sid if parts is not None else ""
    return _marked(f"{_STORED}{sid:~<{_SID}}{'':~<{_MARK}}{_hash(token)}", mark)


def _marked(stored: str, mark: str) -> str:
    """A row that rests on something else."""
    begin = len(_STORED) + _SID
    return f"{stored[:begin]}{hash_token(mark)[:_MARK]}{stored[begin + _MARK :]}"


def _hash(token: str) -> str:
    return hash_token(token.encode(errors="replace"))[:_HASH]


def _is_of(row: Any, token: str | None) -> bool:
    """Whether a row is a token's, whatever it rests on."""
    if not token:
        return False
    return equal(row.token[-_HASH:], _hash(token)) if row.token.startswith(_STORED) else equal(row.token, token)


def _sid_of(row: Any) -> str | None:
    stored: str = row.token
    return stored[len(_STORED) :][:_SID].rstrip("~") or None if stored.startswith(_STORED) else None


def _handle(row: Any) -> str:
    return hash_token(_marked(row.token, "") if row.token.startswith(_STORED) else row.token)[:22]


def _aware(row: Any) -> datetime:
    created: datetime = row.created_at
    return created if created.tzinfo is not None else created.replace(tzinfo=UTC)
