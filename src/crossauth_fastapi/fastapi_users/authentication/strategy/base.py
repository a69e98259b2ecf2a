"""What a token is, and whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, runtime_checkable
from zlib import crc32

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.models import ID, UP

# How many tokens a user may have in one storage, as with sessions.
MAX_PER_USER: Final = 50


class StrategyDestroyNotSupportedError(Exception):
    """Tokens of this kind end by themselves only."""


class Strategy(Protocol[UP, ID]):
    """Makes, reads and ends tokens.

    A strategy of an application's own that stores a fingerprint of the user's credentials with its tokens, and refuses a token
    when it differs, says so: `checks_login_mark = True`. With a session server, where passwords and second factors change
    without these routes, no other is accepted.
    """

    async def read_token(self, token: str | None, user_manager: BaseUserManager[UP, ID]) -> UP | None:
        """The user of a token; `None` where it is not good."""
        ...

    async def write_token(self, user: UP) -> str:
        """A new token for a user."""
        ...

    async def destroy_token(self, token: str, user: UP) -> None:
        """End a token.

        Raises:
            StrategyDestroyNotSupportedError: such tokens cannot be ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """One login of a user. `handle` names it and is worth nothing as a token; `sid` is the id of the login it began with."""

    handle: str
    created: datetime
    expires: datetime | None
    current: bool
    sid: str | None = field(default=None, repr=False)


@runtime_checkable
class SupportsTokenLists(Protocol):
    """A strategy that knows the tokens of a user."""

    async def list_tokens(self, user: Any, current: str | None = None) -> Sequence[TokenInfo]:
        """The live tokens of a user, newest first; `current` is the token that asks."""
        ...

    async def destroy_listed(self, user: Any, handle: str) -> bool:
        """End the token of this handle; whether there was one."""
        ...

    async def destroy_all(self, user: Any, except_token: str | None = None) -> None:
        """End every token of a user, but one."""
        ...


@runtime_checkable
class SupportsLoginIds(Protocol):
    """A strategy whose tokens say of which login they are, so that refresh tokens end with them.

    The id is what OpenID Connect calls `sid`.
    """

    async def write_token_of(self, user: Any, sid: str) -> str:
        """As `write_token`, for the login `sid`."""
        ...

    async def read_sid(self, token: str) -> str | None:
        """The id of a token's login."""
        ...

    async def destroy_sid(self, user: Any, sid: str) -> None:
        """End the tokens of a login, where tokens of this kind can be ended."""
        ...


@runtime_checkable
class SupportsClaims(Protocol):
    """A strategy whose tokens say themselves whose they are."""

    def read_claims(self, token: str) -> dict[str, Any] | None:
        """What a good token says; `None` where it is not good. No storage is asked."""
        ...


def ends_surplus(token: str, most: int) -> bool:
    """Whether the login that writes `token` is one of those that end the oldest tokens of a user beyond `most`; 0 for any number.

    A quarter of `most` go by without looking, on average: it costs a query. Which ones depends on nothing but the token, so
    that any number of workers need not know of each other.
    """
    return most > 0 and crc32(token.encode()) % max(1, most // 4) == 0


def check_most(component: str, max_per_user: int) -> None:
    """Refuse a number of tokens that is none.

    Raises:
        CrossauthError: `Configuration`.
    """
    if type(max_per_user) is not int or max_per_user < 0:
        raise CrossauthError(
            ErrorCode.Configuration, f"{component}: 'max_per_user' must be a whole number, 0 (any number) or above"
        )


def check_lifetime(component: str, lifetime_seconds: int | None) -> None:
    """Refuse a lifetime that is no time.

    Raises:
        CrossauthError: `Configuration`.
    """
    whole = type(lifetime_seconds) is int and 0 < lifetime_seconds <= MAX_SECONDS
    if lifetime_seconds is not None and not whole:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{component}: 'lifetime_seconds' must be a whole number above 0 and at most {MAX_SECONDS}, or None for tokens that "
            "never expire",
        )
