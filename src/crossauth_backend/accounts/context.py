"""What every account service works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.sessions.manager import SessionCookie
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.storage import UserStorage, UserStorageGetOptions

ANY_STATE: Final[UserStorageGetOptions] = {"skip_active_check": True, "skip_email_verified_check": True}

# What stops being valid with a password: everything that was handed out on the strength of it.
_REVOKED: Final = (
    KeyPrefix.session,
    KeyPrefix.password_reset_token,
    KeyPrefix.refresh_token,
    KeyPrefix.mfa_token,
    KeyPrefix.known_device,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Storages, factors and settings that the services in this room share."""

    users: UserStorage
    sessions: SessionCookie
    factors: Factors
    allowed_factor2: tuple[str, ...] = ()
    validate_user: Callable[[Mapping[str, Any]], list[str]] = default_user_validator

    def factor1(self, user: User) -> Authenticator:
        """The first factor of `user`."""
        return self.factors[user.factor1]

    async def end_sessions(self, userid: UserId) -> None:
        """End every session of a user and revoke every token that could start a new one."""
        for prefix in _REVOKED:
            await self.sessions.key_storage.delete_all_for_user(userid, prefix)


def has_factor2(user: User) -> bool:
    """Whether `user` signs in with a second factor."""
    return user.factor2 not in (None, "", NO_FACTOR2)
