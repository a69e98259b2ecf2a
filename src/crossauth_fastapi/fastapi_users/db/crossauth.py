"""The users of the session server, as user managers know users: whoever signs up by one face logs in by the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.states import UserState
from crossauth_backend.users.storage import SupportsSecretReplacement, UserStorageGetOptions
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists
from crossauth_fastapi.fastapi_users.password import PasswordHelper

_ANY: Final[UserStorageGetOptions] = {"skip_active_check": True, "skip_email_verified_check": True}
_UNPROVEN: Final = {
    UserState.awaiting_email_verification: UserState.active,
    UserState.awaiting_two_factor_setup_and_email_verification: UserState.awaiting_two_factor_setup,
}
_PASSWORD_FACTOR: Final = "localpassword"


class CrossauthUser:
    """A user of the session server. Extra columns of its table are attributes too."""

    def __init__(self, record: User, hashed_password: str, is_verified: bool) -> None:
        self.crossauth_record = record
        self.id: UserId = record.id
        self.email = record.email or record.username
        self.hashed_password = hashed_password
        self.is_active = record.state != UserState.disabled
        self.is_superuser = record.admin
        self.is_verified = is_verified

    def __getattr__(self, name: str) -> Any:
        record: User = self.__dict__["crossauth_record"]
        if name in record:
            return record[name]
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"CrossauthUser({self.crossauth_record!r})"


class CrossauthUserDatabase(BaseUserDatabase[CrossauthUser, Any]):
    """Users in the storage of a session server.

    An address counts as proven where the session server verifies addresses (`enable_email_verification`) and this one was.
    Users without an address are no users here. Accounts at providers are not kept.

    Parameters:
        session_manager: the session server's.

    Raises:
        CrossauthError: `Configuration` without a user storage or a local password factor.
    """

    def __init__(self, session_manager: SessionManager) -> None:
        accounts = session_manager.accounts()
        factor = accounts.factors.get(_PASSWORD_FACTOR)
        if not isinstance(factor, LocalPasswordAuthenticator):
            raise CrossauthError(
                ErrorCode.Configuration, f"CrossauthUserDatabase: there is no authenticator {_PASSWORD_FACTOR!r}"
            )
        self._users = accounts.users
        self._verifies = accounts.verify_email
        self.password_helper = PasswordHelper(factor.hasher)

    async def get(self, id: Any) -> CrossauthUser | None:
        """The user of this id."""
        return await self.get_by_field("id", id)

    async def get_by_email(self, email: str) -> CrossauthUser | None:
        """The user of this e-mail address, by the storage's own rules of what is equal."""
        return await self.get_by_field("email", email)

    async def get_by_field(self, name: str, value: Any) -> CrossauthUser | None:
        """The user whose id, e-mail address, username or other unique column is `value`."""
        users = self._users
        try:
            if name == "email":
                found = await users.get_user_by_email(value, _ANY)
            elif name == "username":
                found = await users.get_user_by_username(value, _ANY)
            else:
                found = await users.get_user_by(name, value, _ANY)
        except CrossauthError as e:
            if e.code is not ErrorCode.UserNotExist:
                raise
            return None
        return self._seen(found.user, found.secrets.password) if found.user.email else None

    async def create(self, create_dict: dict[str, Any]) -> CrossauthUser:
        """Store a new user, whose username is the address."""
        values = dict(create_dict)
        password = values.pop("hashed_password")
        verified = values.pop("is_verified", False)
        columns = self._columns(values)
        if columns.setdefault("state", UserState.active) == UserState.active and self._verifies and not verified:
            columns["state"] = UserState.awaiting_email_verification
        columns = {"username": columns["email"], "factor1": _PASSWORD_FACTOR, **columns}
        try:
            created = await self._users.create_user(columns, {"password": password})
        except CrossauthError as e:
            if e.code is ErrorCode.UserExists:
                raise UserAlreadyExists from e
            raise
        return self._seen(created, password)

    async def update(self, user: CrossauthUser, update_dict: dict[str, Any]) -> CrossauthUser:
        """Change a user. A username that is the address changes with it."""
        values, old = dict(update_dict), user.crossauth_record
        password = values.pop("hashed_password", None)
        verified = values.pop("is_verified", None)
        columns = self._columns(values)
        state = columns.get("state", old.state)
        if "is_active" in values and values["is_active"] and old.state != UserState.disabled:
            state = old.state
        columns["state"] = self._proven(state, verified)
        if "email" in columns and old.username == old.email:
            columns["username"] = columns["email"]
        try:
            await self._users.update_user(
                {"id": user.id, **columns}, {"password": password} if password is not None else None
            )
        except CrossauthError as e:
            if e.code is ErrorCode.UserExists:
                raise UserAlreadyExists from e
            raise
        return await self.get(user.id) or user

    async def replace(self, user: CrossauthUser, expected: Mapping[str, Any], update_dict: Mapping[str, Any]) -> bool:
        """See `SupportsReplace`; passwords in one atomic step."""
        current = await self.get(user.id)
        if current is None or any(getattr(current, name) != value for name, value in expected.items()):
            return False
        if "hashed_password" in update_dict and isinstance(self._users, SupportsSecretReplacement):
            new = update_dict["hashed_password"]
            if not await self._users.replace_secret(user.id, "password", current.hashed_password, new):
                return False
            updated = self._seen(current.crossauth_record, new)
        else:
            updated = await self.update(current, dict(update_dict))
        user.__dict__.update(updated.__dict__)
        return True

    async def delete(self, user: CrossauthUser) -> None:
        """Delete a user."""
        await self._users.delete_user_by_id(user.id)

    def _seen(self, record: User, password: str | None) -> CrossauthUser:
        return CrossauthUser(record, password or "", self._verifies and record.state not in _UNPROVEN)

    def _columns(self, values: dict[str, Any]) -> dict[str, Any]:
        columns = {name: value for name, value in values.items() if name not in ("is_active", "is_superuser")}
        if "is_superuser" in values:
            columns["admin"] = values["is_superuser"]
        if "is_active" in values:
            columns["state"] = UserState.active if values["is_active"] else UserState.disabled
        return columns

    def _proven(self, state: str, verified: bool | None) -> str:
        """The state of a user whose address has become proven, or another one."""
        if verified and not self._verifies:
            raise CrossauthError(
                ErrorCode.Configuration, "Addresses are proven only where the session server verifies them: "
                "switch 'enable_email_verification' on",
            )  # fmt: skip
        if verified:
            return _UNPROVEN.get(state, state)
        if verified is False and self._verifies and state == UserState.active:
            return UserState.awaiting_email_verification
        return state
