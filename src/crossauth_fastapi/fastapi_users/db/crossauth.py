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
from crossauth_backend.email_tokens.rules import is_named_for_address
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.storages.fields import VERIFIED
from crossauth_backend.users.capabilities import (
    SupportsSecretReplacement,
    SupportsSignupExpiry,
    SupportsUserReplacement,
)
from crossauth_backend.users.reads import UserStorageGetOptions, or_none
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import STAMP, is_digest, new_stamp, with_stamp
from crossauth_backend.users.states import UNFINISHED, UNREADABLE, UserState
from crossauth_backend.users.storage import replace_user
from crossauth_fastapi.fastapi_users._rules import refuse_unclear
from crossauth_fastapi.fastapi_users._userrules import checked_columns
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

    def __init__(self, record: User, hashed_password: str, is_verified: bool, factor2_needed: bool = False) -> None:
        self.crossauth_record = record
        self.crossauth_factor2_needed = factor2_needed
        self.id: UserId = record.id
        self.email = record.email or record.username
        self.hashed_password = hashed_password
        self.is_active = record.state not in (UserState.disabled, UNREADABLE)
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
        # A table of the application's own may have no place for it; then only the state is left to go by.
        self._dates = isinstance(accounts.users, SupportsSignupExpiry) and not accounts.users.unfit_fields(
            {VERIFIED: object}
        )
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
        """The user whose id, email address, username or other unique column is `value`.

        A sign-up whose time is up has only its id left: its name is the next one's.
        """
        users = self._users
        if name == "email":
            stored = await or_none(users.get_user_by_email(value, _ANY))
        elif name == "username":
            stored = await or_none(users.get_user_by_username(value, _ANY))
        else:
            stored = await or_none(users.get_user_by(name, value, _ANY))
        if stored is None:
            return None
        found = with_stamp(stored, users.credentials)
        if not found.user.email or (name != "id" and self._is_over(found.user)):
            return None
        return self._seen(found.user, found.secrets.password)

    def _is_over(self, user: User) -> bool:
        ends = user.signup_expires
        return user.state in UNFINISHED and ends is not None and ends <= self._accounts().now

    async def create(self, create_dict: dict[str, Any]) -> CrossauthUser:
        """Store a new user, whose username is the address.

        Raises:
            InvalidUserException: the session server's rules refuse the user.
        """
        values = dict(create_dict)
        password = values.pop("hashed_password")
        columns, verified = _columns(values), values.pop("is_verified", False)
        columns["state"] = UserState.active if values.get("is_active", True) else UserState.disabled
        if columns["state"] == UserState.active and self._verifies and not verified:
            columns["state"] = UserState.awaiting_email_verification
        columns = {"username": columns["email"], "factor1": _PASSWORD_FACTOR, **columns}
        columns = await checked_columns(self._accounts(), columns)
        if verified and self._verifies and self._dates:
            columns[VERIFIED] = self._accounts().now
        with _taken():
            return self._seen(await create_signup(self._accounts(), columns, {"password": password}), password)

    async def update(self, user: CrossauthUser, update_dict: dict[str, Any]) -> CrossauthUser:
        """Change a user. A username that is the address changes with it.

        Raises:
            InvalidUserException: the session server's rules refuse the change.
        """
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
        same_name = columns.get("username", old.username) == old.username
        if columns.get("email") and same_name and is_named_for_address(old):
            columns["username"] = columns["email"]
        if columns:
            columns = await checked_columns(self._accounts(), columns, old)
        # What the user had to prove rests on the credentials of then. (Of a new password it is the old one that is compared.)
        moves = password is None and any(columns[n] != old.get(n) for n in self._users.credentials if n in columns)
        if moves and user.crossauth_record.security_stamp not in (None, old.security_stamp):
            return None
        # The password first: a request by an old one must change nothing else either.
        if password is not None and not await self._replace_password(old.id, current.hashed_password, password):
            return None
        state = self._state(old, values.get("is_active"), values.get("is_verified"))
        provided = {**columns, **self._verification(old, values.get("is_verified"), "email" in columns)}
        provided |= {"state": state} if state != old.state else {}
        done = False
        try:
            done = not provided or await self._replace_columns(old, provided, moves)
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

    async def _replace_columns(self, old: User, columns: dict[str, Any], moves: bool) -> bool:
        with _taken():
            if isinstance(self._users, SupportsUserReplacement):
                # What was decided rests on state and address: an administrator's decision meanwhile is not undone.
                stored = {"state": old.state, "email": old.email, "factor2": old.factor2}
                if moves and not is_digest(old.security_stamp):
                    stored[STAMP] = old.security_stamp
                # A storage of the application's may not know what its factors read: so the stamp is said.
                stamp = new_stamp() if moves else None
                return await replace_user(self._users, old.id, stored, columns, stamp=stamp)
            await self._users.update_user({"id": old.id, **columns})
        return True

    async def _gone(self, user: CrossauthUser) -> CrossauthUser:
        if await self.get(user.id) is None:
            raise UserNotExists
        raise UserChanged

    def _seen(self, record: User, password: str | None) -> CrossauthUser:
        known = record.email_verified_at is not None if self._dates else True
        verified = self._verifies and known and record.state not in _UNPROVEN
        return CrossauthUser(record, password or "", verified, self._accounts().needs_factor2(record))

    def _verification(self, old: User, verified: bool | None, moves: bool) -> dict[str, Any]:
        """What is stored of when the address was verified; nothing where that stays as it is.

        Parameters:
            old: the user as stored.
            verified: what was sent.
            moves: whether there is a new address.
        """
        if verified is None or not self._dates or (verified is (old.email_verified_at is not None) and not moves):
            return {}
        return {VERIFIED: self._accounts().now if verified else None}

    def _state(self, old: User, active: bool | None, verified: bool | None) -> str:
        """The state that follows from what was sent."""
        if verified and not self._verifies:
            raise CrossauthError(
                ErrorCode.Configuration, "Addresses are proven only where the session server verifies them: "
                "switch 'enable_email_verification' on",
            )  # fmt: skip
        state = old.state
        if active is False:
            return UserState.disabled
        if active and old.state == UserState.disabled:
            proven = not self._verifies or old.email_verified_at is not None
            state = UserState.active if proven else UserState.awaiting_email_verification
        if verified:
            return _UNPROVEN.get(state, state)
        if verified is False and self._verifies and state == UserState.active:
            return UserState.awaiting_email_verification
        return state


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    refuse_unclear(values)
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
