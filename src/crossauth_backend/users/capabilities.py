"""What a storage of users may be able to do besides; checked with `isinstance` by whoever needs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable

from crossauth_backend.users.record import User, UserId


@runtime_checkable
class SupportsSecretReplacement(Protocol):
    """A user storage that can replace a secret only if nobody else did meanwhile."""

    async def replace_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """Set the secret `name` of the user to `new` if it still is `old`; whether it was. One atomic step.

        The user gets a new security stamp with it; see `UserStorage.rewrite_secret` for the same secret in another form.
        """
        ...


@runtime_checkable
class SupportsSignupExpiry(Protocol):
    """A user storage that can throw away sign-ups that nobody finished."""

    async def expired_signups(self, now: datetime, limit: int, after: UserId | None = None) -> list[UserId]:
        """At most `limit` ids of users in one of the states `UNFINISHED` whose `signup_expires` is before `now`.

        Parameters:
            now: the time.
            limit: how many.
            after: only ids that come after this one, in the order of the ids returned.
        """
        ...

    async def delete_expired_signup(self, id: UserId, now: datetime) -> bool:
        """Delete the user and the secrets if it still is an expired sign-up; whether it was. One atomic step.

        Raises:
            CrossauthError: `ConstraintViolation` where rows of the application's refer to the user.
        """
        ...


@runtime_checkable
class SupportsUserReplacement(Protocol):
    """A user storage that can change a user only if nobody else did meanwhile."""

    async def replace_user(
        self,
        id: UserId,
        expected: Mapping[str, Any],
        values: Mapping[str, Any],
        *,
        expected_secrets: Mapping[str, Any] | None = None,
        secrets: Mapping[str, Any] | None = None,
        stamp: str | None = None,
    ) -> bool:
        """See `UserStorage.replace_user`; every `UserStorage` has it."""
        ...


ReadUser: TypeAlias = Callable[[UserId], Awaitable[User | None]]


@runtime_checkable
class SupportsUserReader(Protocol):
    """A user storage that reads users for requests: without secrets, at the least cost that the database allows."""

    def user_reader(self) -> ReadUser:
        """A function from an id to the user, in whatever state, or to `None` where there is none."""
        ...
