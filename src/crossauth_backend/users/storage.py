"""What a storage of users must do. The docstrings are the contract; `crossauth_backend.testing` checks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature
from typing import Any

from crossauth_backend.core.options import read_options
from crossauth_backend.core.records import refuse_unstorable
from crossauth_backend.core.text import normalize, normalize_address
from crossauth_backend.users.capabilities import SupportsSecretReplacement
from crossauth_backend.users.credentials import CREDENTIALS, credentials_with
from crossauth_backend.users.options import UserStorageOptions, UserStorageSettings
from crossauth_backend.users.reads import ANY_STATE, UserStorageGetOptions, or_none
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.stamp import with_stamp


class UserStorage(ABC):
    """Keeps users and their secrets.

    Five methods are abstract; the others are written in their terms, and a storage may override them.

    A storage gives a user a new `security_stamp` in the same statement in which it changes one of its `credentials` to another
    value, or writes a password or a secret of a second factor; nobody else sets it. One that knows nothing of stamps
    returns users without; a digest of the credentials takes the stamp's place then.
    """

    credentials: tuple[str, ...] = CREDENTIALS
    """The fields of users that are credentials: `users.credentials.CREDENTIALS`, and what `add_credentials` was told of."""

    def __init__(self, options: UserStorageOptions | None = None) -> None:
        self.settings = read_options(
            UserStorageSettings, options or {}, component="UserStorage", also_known=self.own_options()
        )

    @classmethod
    def own_options(cls) -> Mapping[str, str]:
        """Further options that a subclass reads from the same mapping, and what each expects; see `option_names`."""
        return {}

    def add_credentials(self, names: Iterable[str]) -> None:
        """Count further fields among the credentials; each server says at its start which its factors read.

        A storage that keeps its users in another one hands this on to it.

        Parameters:
            names: names of fields; those that are known already stay.
        """
        self.credentials = credentials_with((*self.credentials, *names))

    @property
    def user_editable_fields(self) -> list[str]:
        """Fields that users may set themselves."""
        return self.settings.user_editable_fields

    @property
    def admin_editable_fields(self) -> list[str]:
        """Further fields that administrators may set."""
        return self.settings.admin_editable_fields

    @property
    def normalize_username(self) -> bool:
        """Whether usernames are compared without case and accents."""
        return self.settings.normalize_username

    @property
    def normalize_email(self) -> bool:
        """Whether email addresses are compared without case."""
        return self.settings.normalize_email

    @staticmethod
    def normalize(value: str) -> str:
        """The form in which names are compared, see `core.text.normalize`."""
        return normalize(value)

    @abstractmethod
    async def get_user_by(self, field: str, value: Any, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """The one user whose column `field` equals `value` exactly, with the secrets.

        Raises:
            CrossauthError: `UserNotExist`; or, unless skipped by `options`, the reason that the account's state gives
                (see `refuse_inactive`). `BadRequest` where the storage has no such field.
        """

    @abstractmethod
    async def create_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> User:
        """Store a new user and secrets, both or neither, and return it with its id.

        While the state is one of `UNFINISHED` the user holds no address: `email` is stored and `email_normalized` left
        empty, so that the address may be stored more than once.

        Raises:
            CrossauthError: `UserExists` where the username or email address is taken, also by a request that runs at
                the same time: the storage's uniqueness decides, not a look beforehand. `BadRequest` for an unknown field.
        """

    @abstractmethod
    async def update_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> None:
        """Change the given fields of the user `user["id"]`: an absent key leaves its field, `None` empties it.

        `email_normalized` follows state and address in the same statement: it is filled when the state leaves `UNFINISHED`,
        and emptied when it enters; `signup_expires` is emptied when the state leaves.

        Raises:
            CrossauthError: `UserNotExist`; `UserExists`; `BadRequest` for an unknown field or a missing id.
        """

    @abstractmethod
    async def delete_user_by_id(self, id: UserId) -> None:
        """Delete the user and the secrets; nothing happens where there is none.

        Raises:
            CrossauthError: `ConstraintViolation` (409) where rows of the application's refer to the user.
        """

    def unfit_fields(self, wanted: Mapping[str, type]) -> list[str]:
        """What of `wanted`, names of fields and their Python types, cannot be stored, as texts; asked at the start.

        `object` stands for any type.
        """
        return []

    @abstractmethod
    async def get_users(self, skip: int | None = None, take: int | None = None) -> list[User]:
        """Users in the order of their ids: `take` of them after the first `skip`."""

    def can_keep_secret(self, name: str) -> bool:
        """Whether a secret of this name can be stored; asked at the start for every factor that is used."""
        return True

    async def get_user_by_id(self, id: UserId, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As `get_user_by`, by id."""
        return await self.get_user_by("id", id, options)

    async def get_user_by_username(self, username: str, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As `get_user_by`, by username in its normalised form where the storage normalises."""
        if self.normalize_username:
            return await self.get_user_by("username_normalized", normalize(username), options)
        return await self.get_user_by("username", username, options)

    async def get_user_by_email(self, email: str, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As `get_user_by`, by email address in its normalised form where the storage normalises.

        The address of an unfinished sign-up finds nobody: it is not verified, and several sign-ups may have the same one.
        """
        if self.normalize_email:
            return await self.get_user_by("email_normalized", normalize_address(email), options)
        return await self.get_user_by("email", email, options)

    async def delete_user_by_username(self, username: str) -> None:
        """Delete the user of this name; nothing happens where there is none."""
        found = await or_none(self.get_user_by_username(username, ANY_STATE))
        if found is not None:
            await self.delete_user_by_id(found.user.id)

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
        """Change a user only where nobody else did meanwhile; the way in which every write is made that rests on a check.

        Here the user is read and then changed, so that a change in the moment between is not noticed. A storage should override
        it with one transaction, as those of this library do.

        Parameters:
            id: whose record.
            expected: what the record must still say, by field; best the `security_stamp` as it was read.
            values: what to set, as for `update_user`.
            expected_secrets: what the secrets must still be; `None` for one that the user does not have.
            secrets: secrets to set with it.
            stamp: the new security stamp, where whoever writes must know it; it is set whether or not a credential becomes
                another. A storage without stamps pays no heed to it.

        Returns:
            Whether the user was as expected, and is changed. A user who is gone is not; nothing is changed then.

        Raises:
            CrossauthError: `UserExists`; `BadRequest` for an unknown field.
        """
        refuse_unstorable(expected)
        stored = await or_none(self.get_user_by_id(id, ANY_STATE))
        if stored is None:
            return False
        found = with_stamp(stored, self.credentials)
        if any(found.user.get(name) != value for name, value in expected.items()):
            return False
        if any(found.secrets.get(name) != value for name, value in (expected_secrets or {}).items()):
            return False
        await self.update_user({**values, "id": id}, secrets)
        return True

    async def rewrite_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """Keep the secret `name` in another form (a stronger hash, another encryption key), if it still is `old`.

        It is the same credential afterwards, so the stamp stays and so does whatever rests on it. Here it is `replace_secret`,
        where the storage has it, and otherwise nothing is done.
        """
        return await self.replace_secret(id, name, old, new) if isinstance(self, SupportsSecretReplacement) else False


async def replace_user(
    users: UserStorage,
    id: UserId,
    expected: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    secrets: Mapping[str, Any] | None = None,
    stamp: str | None = None,
) -> bool:
    """As `UserStorage.replace_user`, also for a storage of the application's whose method is from before there were stamps."""
    if _takes_secrets(type(users)):
        return await users.replace_user(id, expected, values, secrets=secrets, stamp=stamp)
    return await UserStorage.replace_user(users, id, expected, values, secrets=secrets, stamp=stamp)


@cache
def _takes_secrets(storage: type[UserStorage]) -> bool:
    return {"secrets", "stamp"} <= signature(storage.replace_user).parameters.keys()
