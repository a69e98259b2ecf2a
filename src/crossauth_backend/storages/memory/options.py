"""The options of the storage of users in memory, as an application writes them and as they are read at the start."""

from __future__ import annotations

from dataclasses import dataclass

from crossauth_backend.core.options import option
from crossauth_backend.users.options import UserStorageOptions
from crossauth_backend.users.record import User


class InMemoryUserStorageOptions(UserStorageOptions, total=False):
    """Options of `InMemoryUserStorage`."""

    record: type[User]


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemoryUserStorageSettings:
    """`InMemoryUserStorageOptions`, parsed: those the base class does not have."""

    record: type[User] = option(User, doc="The class of user records: `User` or a subclass of it.", shown="User")
