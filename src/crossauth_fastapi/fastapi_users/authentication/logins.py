"""The logins of a user, over every backend; and those that the request at hand shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    SupportsLoginIds,
    SupportsTokenLists,
    TokenInfo,
)

Shown: TypeAlias = tuple[AuthenticationBackend[Any, Any], Strategy[Any, Any], str | None]


@dataclass(frozen=True, slots=True)
class Logins:
    """What can be done with logins whose tokens are stored. Tokens that say themselves whose they are end by themselves.

    Parameters:
        shown: every backend, its strategy, and the token for it in the request, good or not.
    """

    shown: Sequence[Shown] = field(default=(), repr=False)

    async def end_all(self, user: Any, *, keep_shown: bool = False) -> None:
        """End every login of a user, but with `keep_shown` the one that asks."""
        tokens = [token for _, _, token in self.shown if token is not None]
        for _, strategy, token in self.shown:
            if isinstance(strategy, SupportsTokenLists):
                # Two backends may have one storage: what the other one shows is kept too.
                await strategy.destroy_all(user, (token or next(iter(tokens), None)) if keep_shown else None)

    async def list(self, user: Any) -> Sequence[TokenInfo]:
        """The live logins of a user, newest first."""
        found: dict[str, TokenInfo] = {}
        for _, strategy, token in self.shown:
            if isinstance(strategy, SupportsTokenLists):
                for info in await strategy.list_tokens(user, token):
                    if info.current or info.handle not in found:
                        found[info.handle] = info
        return sorted(found.values(), key=lambda info: info.created, reverse=True)

    async def end(self, user: Any, handle: str) -> TokenInfo | None:
        """End the login of this handle; `None` where the user has none."""
        for _, strategy, token in self.shown:
            if isinstance(strategy, SupportsTokenLists):
                for info in await strategy.list_tokens(user, token):
                    if info.handle == handle and await strategy.destroy_listed(user, handle):
                        return info
        return None

    async def ids(self) -> set[str]:
        """The ids of the logins that the request shows, where their tokens say them."""
        found = [
            await strategy.read_sid(token)
            for _, strategy, token in self.shown
            if token is not None and isinstance(strategy, SupportsLoginIds)
        ]
        return {sid for sid in found if sid is not None}
