"""What a database of users must do, for user managers."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, runtime_checkable

from crossauth_fastapi.fastapi_users.models import ID, OAP, UOAP, UP
from crossauth_fastapi.fastapi_users.types import DependencyCallable


class BaseUserDatabase(Generic[UP, ID]):
    """Base of every database adapter."""

    @property
    def keeps_oauth_accounts(self) -> bool:
        """Whether accounts at providers can be kept: nobody is sent to a provider otherwise."""
        return type(self).add_oauth_account is not BaseUserDatabase.add_oauth_account

    async def get(self, id: ID) -> UP | None:
        """The user of this id."""
        raise NotImplementedError

    async def get_by_email(self, email: str) -> UP | None:
        """The user of this email address, whatever the case of its letters."""
        raise NotImplementedError

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> UP | None:
        """The user who logs in with this account at the provider `oauth`."""
        raise NotImplementedError

    async def create(self, create_dict: dict[str, Any]) -> UP:
        """Store a new user. Where the address is taken, by a request at the same time too, it raises."""
        raise NotImplementedError

    async def update(self, user: UP, update_dict: dict[str, Any]) -> UP:
        """Change a user."""
        raise NotImplementedError

    async def delete(self, user: UP) -> None:
        """Delete a user."""
        raise NotImplementedError

    async def add_oauth_account(self: BaseUserDatabase[UOAP, ID], user: UOAP, create_dict: dict[str, Any]) -> UOAP:
        """Link an account at a provider to a user."""
        raise NotImplementedError

    async def update_oauth_account(
        self: BaseUserDatabase[UOAP, ID], user: UOAP, oauth_account: OAP, update_dict: dict[str, Any]
    ) -> UOAP:
        """Change a linked account."""
        raise NotImplementedError


UserDatabaseDependency: TypeAlias = DependencyCallable[BaseUserDatabase[UP, ID]]


@runtime_checkable
class SupportsReplace(Protocol):
    """A database that can change a user only if nobody else did meanwhile: what is used once needs it."""

    async def replace(self, user: Any, expected: Mapping[str, Any], update_dict: Mapping[str, Any]) -> Any | None:
        """Set `update_dict` where the stored user still has every value of `expected`: the changed user. `None` where it had
        not, and nothing is changed. One atomic step."""
        ...


@runtime_checkable
class SupportsRewrite(Protocol):
    """A database in which more changes with a password than its hash: it is told where only the hash is another."""

    async def rewrite_password(self, user: Any, hashed_password: str) -> Any | None:
        """Keep the password of `user` as another hash, if it still is the hash that `user` has: the user, whose logins go on.
        `None` where it was replaced meanwhile. One atomic step."""
        ...


@runtime_checkable
class SupportsAccounts(Protocol):
    """A database that stores a user together with an account at a provider, both or neither."""

    async def create_with_oauth_account(self, create_dict: dict[str, Any], account_dict: dict[str, Any]) -> Any:
        """The new user."""
        ...


@runtime_checkable
class SupportsPasswordRules(Protocol):
    """A database whose users have rules of their own for passwords."""

    def password_problems(self, password: str) -> Sequence[str] | Awaitable[Sequence[str]]:
        """What is wrong with a new password, as texts for the user; plain or `async`."""
        ...


@runtime_checkable
class SupportsFields(Protocol):
    """A database that finds users by other unique fields than the email address."""

    async def get_by_field(self, name: str, value: str) -> Any | None:
        """The user whose field `name` is `value`."""
        ...


@runtime_checkable
class SupportsConstraints(Protocol):
    """A database whose exceptions can be told apart: those about a constraint, and all others."""

    def violated(self, error: Exception) -> str | None:
        """The name of the constraint that `error` is about, for the log; `None` where it is about something else."""
        ...


@runtime_checkable
class SupportsUnlink(Protocol):
    """A database that can unlink accounts at providers."""

    async def remove_oauth_account(self, user: Any, oauth_account: Any) -> Any:
        """Unlink an account; the user without it."""
        ...
