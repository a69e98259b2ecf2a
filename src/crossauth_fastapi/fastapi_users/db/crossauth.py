"""The users of the session server, as user managers know users: whoever signs up by one face logs in by the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from crossauth_backend.accounts.fit import check_fields
from crossauth_backend.accounts.profile import delete_account
from crossauth_backend.accounts.signup import create_signup
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.states import UNFINISHED, UserState
from crossauth_backend.users.storage import SupportsSecretReplacement, SupportsUserReplacement, UserStorageGetOptions
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase
from crossauth_fastapi.fastapi_users.exceptions import UserAlreadyExists, UserChanged, UserNotExists
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
        CrossauthError: `Configuration` without a user storage, a column for email addresses or a local password factor.
    """

    # The columns behind the flags `is_superuser`, `is_active` and `is_verified`: users do not set them of themselves either,
    # whatever the application's schema names.
    reserved_fields: ClassVar[tuple[str, ...]] = ("admin", "state", "email_verified_at")

    def __init__(self, session_manager: SessionManager) -> None:
        accounts = session_manager.accounts()
        factor = accounts.factors.get(_PASSWORD_FACTOR)
        if not isinstance(factor, LocalPasswordAuthenticator):
            raise CrossauthError(
                ErrorCode.Configuration, f"CrossauthUserDatabase: there is no authenticator {_PASSWORD_FACTOR!r}"
            )
        self._accounts = session_manager.accounts
        check_fields(accounts.users, "email")
        self._users, self._factor = accounts.users, factor
        self._verifies = accounts.verify_email
        self.password_helper = PasswordHelper(factor.hasher)

    async def password_problems(self, password: str) -> list[str]:
        """See `SupportsPasswordRules`: what the session server would say."""
        return await self._factor.secret_problems({"password": password})

    async def get(self, id: Any) -> CrossauthUser | None:
        """The user of this id."""
        return await self.get_by_field("id", id)

    async def get_by_email(self, email: str) -> CrossauthUser | None:
        """The user of this email address, by the storage's own rules of what is equal.

        An address that is not verified finds only whoever has it as username, as everybody has who registers by these routes.
        """
        found = await self.get_by_field("email", email)
        if found is not None:
            return found
        named = await self.get_by_field("username", email)
        return named if named is not None and same_mailbox(named.email, email) else None

    async def get_by_field(self, name: str, value: Any) -> CrossauthUser | None:
        """The user whose id, e-mail address, username or other unique column is `value`.

        A sign-up whose time is up has only its id left: its name is the next one's.
        """
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
        found = with_stamp(found)
        if not found.user.email or (name != "id" and self._is_over(found.user)):
            return None
        return self._seen(found.user, found.secrets.password)

    def _is_over(self, user: User) -> bool:
        ends = user.signup_expires
        return user.state in UNFINISHED and ends is not None and ends <= self._accounts().now

    async def create(self, create_dict: dict[str, Any]) -> CrossauthUser:
        """Store a new user, whose username is the address."""
        values = dict(create_dict)
        password = values.pop("hashed_password")
        verified = values.pop("is_verified", False)
        columns = _columns(values)
        columns["state"] = UserState.active if values.get("is_active", True) else UserState.disabled
        if columns["state"] == UserState.active and self._verifies and not verified:
            columns["state"] = UserState.awaiting_email_verification
        columns = {"username": columns["email"], "factor1": _PASSWORD_FACTOR, **columns}
        with _taken():
            return self._seen(await create_signup(self._accounts(), columns, {"password": password}), password)

    async def update(self, user: CrossauthUser, update_dict: dict[str, Any]) -> CrossauthUser:
        """Change a user. A username that is the address changes with it."""
        return await self.replace(user, {}, update_dict) or await self._gone(user)

    async def replace(
        self, user: CrossauthUser, expected: Mapping[str, Any], update_dict: Mapping[str, Any]
    ) -> CrossauthUser | None:
        """See `SupportsReplace`. Password and columns change in a step each; if the second fails, the first is undone."""
        current = await self.get(user.id)
        if current is None or any(getattr(current, name) != value for name, value in expected.items()):
            return None
        values, old = dict(update_dict), current.crossauth_record
        password, columns = values.pop("hashed_password", None), _columns(values)
        # The password first: a request by an old one must change nothing else either.
        if password is not None and not await self._replace_password(old.id, current.hashed_password, password):
            return None
        state = self._state(old.state, values.get("is_active"), values.get("is_verified"))
        if "email" in columns and old.username == old.email:
            columns["username"] = columns["email"]
        given = {**columns, **({"state": state} if state != old.state else {})}
        done = False
        try:
            done = not given or await self._replace_columns(old, given)
        finally:
            if not done and password is not None:
                await self._replace_password(old.id, password, current.hashed_password)
        return (await self.get(user.id) or await self._gone(user)) if done else None

    async def rewrite_password(self, user: CrossauthUser, hashed_password: str) -> CrossauthUser | None:
        """See `SupportsRewrite`: the security stamp stays. A storage that cannot do that keeps the old hash."""
        await self._users.rewrite_secret(user.id, "password", user.hashed_password, hashed_password)
        current = await self.get(user.id)
        same = current is not None and current.hashed_password in (user.hashed_password, hashed_password)
        return current if same else None

    async def delete(self, user: CrossauthUser) -> None:
        """Delete a user, with everything that the session server keeps of the user."""
        await delete_account(self._accounts(), user.crossauth_record)

    async def _replace_password(self, id: UserId, old: str, new: str) -> bool:
        if isinstance(self._users, SupportsSecretReplacement):
            return await self._users.replace_secret(id, "password", old or None, new or None)
        await self._users.update_user({"id": id}, {"password": new or None})
        return True

    async def _replace_columns(self, old: User, columns: dict[str, Any]) -> bool:
        with _taken():
            if isinstance(self._users, SupportsUserReplacement):
                # What was decided rests on state and address: an administrator's decision meanwhile is not undone.
                kept = {"state": old.state, "email": old.email}
                return await self._users.replace_user(old.id, kept, columns)
            await self._users.update_user({"id": old.id, **columns})
        return True

    async def _gone(self, user: CrossauthUser) -> CrossauthUser:
        if await self.get(user.id) is None:
            raise UserNotExists
        raise UserChanged

    def _seen(self, record: User, password: str | None) -> CrossauthUser:
        return CrossauthUser(record, password or "", self._verifies and record.state not in _UNPROVEN)

    def _state(self, old: str, active: bool | None, verified: bool | None) -> str:
        """The state that follows from what was sent."""
        if verified and not self._verifies:
            raise CrossauthError(
                ErrorCode.Configuration, "Addresses are proven only where the session server verifies them: "
                "switch 'enable_email_verification' on",
            )  # fmt: skip
        state = old
        if active is False:
            return UserState.disabled
        if active and old == UserState.disabled:
            # Whether the address was proven before is not known any more.
            state = UserState.awaiting_email_verification if self._verifies else UserState.active
        if verified:
            return _UNPROVEN.get(state, state)
        if verified is False and self._verifies and state == UserState.active:
            return UserState.awaiting_email_verification
        return state


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    columns = {n: value for n, value in values.items() if n not in ("is_active", "is_superuser", "is_verified")}
    return columns | ({"admin": values["is_superuser"]} if "is_superuser" in values else {})


@contextmanager
def _taken() -> Iterator[None]:
    try:
        yield
    except CrossauthError as e:
        if e.code is ErrorCode.UserExists:
            raise UserAlreadyExists from e
        if e.code is ErrorCode.UserNotExist:
            raise UserNotExists from e
        raise
