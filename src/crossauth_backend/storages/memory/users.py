"""Users in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option_names, read_options
from crossauth_backend.core.records import refuse_unstorable
from crossauth_backend.core.text import normalize_address
from crossauth_backend.storages.fields import (
    MAX_ID,
    changed_user_values,
    name_taken,
    new_user_values,
    number_id,
    same,
    secrets_from,
    user_from,
    with_stamp,
)
from crossauth_backend.storages.memory.options import InMemoryUserStorageOptions, InMemoryUserStorageSettings
from crossauth_backend.users.options import UserStorageSettings
from crossauth_backend.users.reads import UserStorageGetOptions, refuse_inactive
from crossauth_backend.users.record import User, UserAndSecrets, UserId, UserSecrets
from crossauth_backend.users.states import UNFINISHED
from crossauth_backend.users.storage import UserStorage

_UNIQUE: Final = ("username", "username_normalized", "email_normalized")


class InMemoryUserStorage(UserStorage):
    """Keeps users in one process and forgets them with it. Any field is a column.

    No method gives up control between looking and changing, so each is atomic among the tasks of an event loop.
    """

    def __init__(self, options: InMemoryUserStorageOptions | None = None) -> None:
        super().__init__(options)
        own = read_options(
            InMemoryUserStorageSettings,
            options or {},
            component=type(self).__name__,
            also_known=option_names(UserStorageSettings),
        )
        self._record: type[User] = own.record
        self._users: dict[int, User] = {}
        self._columns: dict[int, dict[str, Any]] = {}
        self._secrets: dict[int, UserSecrets] = {}
        self._taken: dict[str, dict[str, int]] = {name: {} for name in _UNIQUE}
        self._ids = count(1)

    @classmethod
    def own_options(cls) -> Mapping[str, str]:
        """The names of the options that only this class has."""
        return dict(option_names(InMemoryUserStorageSettings))

    def user_or_none(self, id: UserId | None) -> User | None:
        """The user of this id without a check of the state; for reading a key together with its user."""
        return self._users.get(id)  # type: ignore[arg-type]  # a dictionary answers None for any other kind of key

    async def get_user_by(self, field: str, value: Any, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As documented for `UserStorage`."""
        id = self._find(field, value)
        if id is None:
            raise CrossauthError(ErrorCode.UserNotExist)
        refuse_inactive(self._users[id].state, options)
        return UserAndSecrets(self._users[id], self._secrets[id])

    async def get_user_by_email(self, email: str, options: UserStorageGetOptions | None = None) -> UserAndSecrets:
        """As documented for `UserStorage`."""
        requested = normalize_address(email) if self.normalize_email else email
        return await self.get_user_by("email_normalized", requested, options)

    async def create_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> User:
        """As documented for `UserStorage`."""
        values = new_user_values(user, self.settings)
        own_secrets = _secret_values(secrets)
        refuse_unstorable(values)
        self._refuse_taken(values, None)
        id = next(self._ids)
        created = self._store(id, {"id": id, **values})
        self._secrets[id] = secrets_from({"userid": id, **own_secrets})
        return created

    async def update_user(self, user: Mapping[str, Any], secrets: Mapping[str, Any] | None = None) -> None:
        """As documented for `UserStorage`."""
        id = self._known(user.get("id"))
        values = changed_user_values(user, self.settings, None if id is None else self._users[id])
        own_secrets = _secret_values(secrets)
        refuse_unstorable(values)
        if id is None:
            raise CrossauthError(ErrorCode.UserNotExist)
        self._change(id, values, own_secrets)

    async def delete_user_by_id(self, id: UserId) -> None:
        """As documented for `UserStorage`."""
        found = self._known(id)
        if found is not None:
            self._release(found)
            del self._users[found], self._columns[found], self._secrets[found]

    async def expired_signups(self, now: datetime, limit: int, after: UserId | None = None) -> list[UserId]:
        """As documented for `SupportsSignupExpiry`."""
        last = number_id(after) or 0
        found: list[UserId] = [id for id in sorted(self._users) if id > last and self._has_expired(id, now)]
        return found[:limit]

    async def delete_expired_signup(self, id: UserId, now: datetime) -> bool:
        """As documented for `SupportsSignupExpiry`."""
        found = self._known(id)
        if found is None or not self._has_expired(found, now):
            return False
        await self.delete_user_by_id(found)
        return True

    async def get_users(self, skip: int | None = None, take: int | None = None) -> list[User]:
        """As documented for `UserStorage`."""
        users = [self._users[id] for id in sorted(self._users)][max(skip or 0, 0) :]
        return users if take is None else users[: max(take, 0)]

    async def replace_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """As documented for `SupportsSecretReplacement`."""
        return await self.replace_user(id, {}, {}, expected_secrets={name: old}, secrets={name: new})

    async def rewrite_secret(self, id: UserId, name: str, old: str | None, new: str | None) -> bool:
        """As documented for `UserStorage`."""
        found = self._known(id)
        values = _secret_values({name: new})
        if found is None or self._secrets[found].get(name) != old:
            return False
        self._keep(found, values)
        return True

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
        """As documented for `UserStorage`."""
        found = self._known(id)
        stored = None if found is None else self._users[found]
        changed = changed_user_values({**values, "id": id}, self.settings, stored)
        own_secrets, saved = _secret_values(secrets), _secret_values(expected_secrets)
        refuse_unstorable(expected)
        refuse_unstorable(changed)
        if found is None or any(self._users[found].get(name) != value for name, value in expected.items()):
            return False
        if any(self._secrets[found].get(name) != value for name, value in saved.items()):
            return False
        self._change(found, changed, own_secrets, stamp)
        return True

    def _change(self, id: int, values: dict[str, Any], secrets: dict[str, Any], stamp: str | None = None) -> None:
        self._refuse_taken(values, id)
        old = self._columns[id]
        self._keep(id, secrets)
        self._store(id, {**old, **with_stamp(old, values, secrets, self.credentials, stamp)})

    def _keep(self, id: int, secrets: dict[str, Any]) -> None:
        if secrets:
            self._secrets[id] = secrets_from({**self._secrets[id].to_dict(), **secrets})

    def _has_expired(self, id: int, now: datetime) -> bool:
        user = self._users[id]
        return user.state in UNFINISHED and user.signup_expires is not None and user.signup_expires < now

    def _known(self, id: object) -> int | None:
        number = id if type(id) is int else number_id(id)
        return number if number in self._users else None

    def _find(self, field: str, value: Any) -> int | None:
        if field == "id":
            return self._known(value)
        if field in self._taken:
            return self._taken[field].get(value) if isinstance(value, str) else None
        if value is None:
            return None
        matches = same(value)
        found = [id for id, columns in self._columns.items() if matches(columns.get(field))]
        return found[0] if len(found) == 1 else None

    def _refuse_taken(self, values: Mapping[str, Any], id: int | None) -> None:
        for name, taken in self._taken.items():
            if values.get(name) is not None and taken.get(values[name], id) != id:
                raise name_taken(name, f"{name} is taken")

    def _store(self, id: int, columns: dict[str, Any]) -> User:
        record = user_from(self._record, columns)
        if id in self._columns:
            self._release(id)
        for name, taken in self._taken.items():
            if columns.get(name) is not None:
                taken[columns[name]] = id
        self._columns[id] = columns
        self._users[id] = record
        return record

    def _release(self, id: int) -> None:
        for name, taken in self._taken.items():
            taken.pop(self._columns[id].get(name), None)  # type: ignore[arg-type]


def _secret_values(secrets: Mapping[str, Any] | None) -> dict[str, Any]:
    values = {name: value for name, value in (secrets or {}).items() if name != "userid"}
    refuse_unstorable(values)
    if number_id(values.get("expiry") or 0) is None:
        raise CrossauthError(ErrorCode.BadRequest, f"Field 'expiry' must be a whole number up to {MAX_ID}")
    return values
