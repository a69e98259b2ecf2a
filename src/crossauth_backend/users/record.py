"""A user and a user's secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NotRequired, Required, TypeAlias, TypedDict
from uuid import UUID

from crossauth_backend.core.records import ItemReads
from crossauth_backend.users.states import UserState

UserId: TypeAlias = str | int | UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class User(ItemReads):
    """One account.

    Typed attributes, and item reads for them and for the extra columns of the application's table (`user["nickname"]`).
    An application may subclass it to give its extra columns types, and hand the class to its storage.

    `email_normalized` is empty while a sign-up is unfinished (see `users.states.UNFINISHED`); `signup_expires` is when an
    unfinished sign-up ends, with its name.
    `security_stamp` is the storage's to set, see `users.stamp`. `email_verified_at` says since when `email` is known to be the
    user's; it is emptied with every other address.
    """

    id: UserId
    username: str
    state: str = UserState.active
    factor1: str = "localpassword"
    factor2: str | None = None
    email: str | None = None
    phone: str | None = None
    admin: bool = False
    username_normalized: str | None = None
    email_normalized: str | None = None
    security_stamp: str | None = field(default=None, repr=False)
    email_verified_at: datetime | None = None
    signup_expires: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def with_fields(user: User, values: Mapping[str, Any]) -> User:
    """`user` with some fields and extra columns replaced.

    Parameters:
        user: the user; the record may be of the application's own class.
        values: the new values by the name of the field or column.
    """
    own = {name for name in type(user).__dataclass_fields__ if name != "extra"}
    known = {name: value for name, value in values.items() if name in own}
    extra = {name: value for name, value in values.items() if name not in own}
    return replace(user, **known, extra={**user.extra, **extra})


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSecrets(ItemReads):
    """What proves that somebody is this user. Its `repr` shows nothing of it."""

    userid: UserId
    password: str | None = field(default=None, repr=False)
    totpsecret: str | None = field(default=None, repr=False)
    otp: str | None = field(default=None, repr=False)
    expiry: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class UserAndSecrets(ItemReads):
    """What a user storage returns: `found.user`, `found.secrets`."""

    user: User
    secrets: UserSecrets


class UserInputFields(TypedDict, total=False):
    """A user to be created: everything but the id. Any further keys are columns of the application's table."""

    username: Required[str]
    state: Required[str]
    factor1: Required[str]
    factor2: NotRequired[str | None]
    email: NotRequired[str | None]
    admin: NotRequired[bool]


class UserSecretsInputFields(TypedDict, total=False):
    """Secrets to be stored; `expiry` in milliseconds since the epoch."""

    password: str | None
    totpsecret: str | None
    otp: str | None
    expiry: int | None
