"""Random tokens in a table of the application's own."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_fastapi.fastapi_users.authentication.strategy.base import Strategy, TokenInfo, check_lifetime
from crossauth_fastapi.fastapi_users.authentication.strategy.db.adapter import AccessTokenDatabase, SupportsUserTokens
from crossauth_fastapi.fastapi_users.authentication.strategy.db.models import AP
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.models import ID, UP

logger = logging.getLogger("crossauth.fastapi_users")
_TOKEN_BYTES: Final = 32
# The column has 43 characters. No token can look like a stored hash, for no token holds a colon.
_HASHED: Final = "h:"
_COLUMN: Final = 43
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,43}")


class DatabaseStrategy(Strategy[UP, ID], Generic[UP, ID, AP]):
    """Random tokens in a table: they can be listed and ended. What is stored is a hash, worth nothing as a token.

    Parameters:
        database: the table.
        lifetime_seconds: seconds a token is good; `None` for ever.
        accept_plain_tokens: whether rows that hold tokens in clear, from before this library, are still good. Whoever reads
            such a table signs in as its users.

    Raises:
        CrossauthError: `Configuration` for a lifetime that is not above 0.
    """

    def __init__(
        self,
        database: AccessTokenDatabase[AP],
        lifetime_seconds: int | None = None,
        *,
        accept_plain_tokens: bool = False,
    ) -> None:
        check_lifetime("DatabaseStrategy", lifetime_seconds)
        self.database = database
        self.lifetime_seconds = lifetime_seconds
        self.accept_plain_tokens = accept_plain_tokens

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        row = await self._row(token) if token else None
        if row is None:
            return None
        try:
            return await user_manager.get(user_manager.parse_id(row.user_id))
        except (UserNotExists, InvalidID):
            return None

    async def write_token(self, user: UP) -> str:
        """A new token."""
        token = random_value(_TOKEN_BYTES)
        await self.database.create({"token": _stored(token), "user_id": user.id})
        return token

    async def destroy_token(self, token: str, user: UP) -> None:
        """End a token."""
        row = await self._row(token)
        if row is not None:
            await self.database.delete(row)

    async def list_tokens(self, user: Any, current: str | None = None) -> Sequence[TokenInfo]:
        """See `SupportsTokenLists`."""
        if not isinstance(self.database, SupportsUserTokens):
            return []
        mine = {_stored(current), current} if current else set()
        end, life = self._oldest(), timedelta(seconds=self.lifetime_seconds or 0)
        return [
            TokenInfo(_handle(row), _aware(row), _aware(row) + life if life else None, row.token in mine)
            for row in await self.database.get_all_for_user(user.id)
            if end is None or _aware(row) >= end
        ]

    async def destroy_listed(self, user: Any, handle: str) -> bool:
        """See `SupportsTokenLists`."""
        if isinstance(self.database, SupportsUserTokens):
            for row in await self.database.get_all_for_user(user.id):
                if _handle(row) == handle:
                    await self.database.delete(row)
                    return True
        return False

    async def destroy_all(self, user: Any, except_token: str | None = None) -> None:
        """See `SupportsTokenLists`."""
        if not isinstance(self.database, SupportsUserTokens):
            logger.warning(
                "%s cannot end the logins of a user: it has no delete_all_for_user", type(self.database).__name__
            )
        else:
            keep = await self._row(except_token) if except_token else None
            await self.database.delete_all_for_user(user.id, keep.token if keep is not None else None)

    async def _row(self, token: str) -> AP | None:
        oldest = self._oldest()
        row = await self.database.get_by_token(_stored(token), oldest)
        if row is None and self.accept_plain_tokens and _PLAIN.fullmatch(token):
            row = await self.database.get_by_token(token, oldest)
        return row

    def _oldest(self) -> datetime | None:
        return utc_now() - timedelta(seconds=self.lifetime_seconds) if self.lifetime_seconds else None


def _stored(token: str) -> str:
    return f"{_HASHED}{hash_token(token.encode(errors='replace'))}"[:_COLUMN]


def _handle(row: Any) -> str:
    return hash_token(row.token)[:22]


def _aware(row: Any) -> datetime:
    created: datetime = row.created_at
    return created if created.tzinfo is not None else created.replace(tzinfo=UTC)
