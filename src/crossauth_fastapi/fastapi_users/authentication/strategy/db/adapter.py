"""What a database of tokens must do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, runtime_checkable

from crossauth_fastapi.fastapi_users.authentication.strategy.db.models import AP


class AccessTokenDatabase(Protocol, Generic[AP]):
    """Keeps tokens."""

    async def get_by_token(self, token: str, max_age: datetime | None = None) -> AP | None:
        """The row of a token; `None` where there is none, or it was created before `max_age`."""
        ...

    async def create(self, create_dict: dict[str, Any]) -> AP:
        """Store a token."""
        ...

    async def update(self, access_token: AP, update_dict: dict[str, Any]) -> AP:
        """Change a row."""
        ...

    async def delete(self, access_token: AP) -> None:
        """Delete a row."""
        ...


@runtime_checkable
class SupportsUserTokens(Protocol):
    """A database that finds the tokens of a user: without it logins cannot be listed, nor ended with a password."""

    async def get_all_for_user(self, user_id: Any) -> Sequence[Any]:
        """Every row of a user, newest first."""
        ...

    async def delete_all_for_user(self, user_id: Any, except_token: str | None = None) -> None:
        """Delete every row of a user, but that of one token."""
        ...
