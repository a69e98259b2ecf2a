"""What can be done with users: the class that applications derive from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, TypeAlias

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from crossauth_backend.core.secrets import equal
from crossauth_backend.core.text import is_storable, normalize
from crossauth_fastapi.fastapi_users._oauthaccounts import OAuthAccounts
from crossauth_fastapi.fastapi_users._rules import fingerprint, password_problem, sent_values
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, SupportsFields, SupportsReplace
from crossauth_fastapi.fastapi_users.exceptions import (
    InvalidID,
    InvalidPasswordException,
    InvalidResetPasswordToken,
    InvalidVerifyToken,
    UserAlreadyExists,
    UserAlreadyVerified,
    UserInactive,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.jwt import JwtInvalidError, SecretType, decode_jwt, generate_jwt, secret_value
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.password import PasswordHelper, PasswordHelperProtocol, shared_hasher
from crossauth_fastapi.fastapi_users.schemas import BaseUserCreate, BaseUserUpdate
from crossauth_fastapi.fastapi_users.types import DependencyCallable

RESET_PASSWORD_TOKEN_AUDIENCE: Final = "fastapi-users:reset"
VERIFY_USER_TOKEN_AUDIENCE: Final = "fastapi-users:verify"


class BaseUserManager(OAuthAccounts[UP, ID], Generic[UP, ID]):
    """Creates, finds, changes and deletes users, and tells the application what happens by hooks.

    Parameters:
        user_db: where users are.
        password_helper: what makes and checks password hashes; by default argon2id.
    """

    reset_password_token_secret: SecretType
    reset_password_token_lifetime_seconds: int = 3600
    reset_password_token_audience: str = RESET_PASSWORD_TOKEN_AUDIENCE
    verification_token_secret: SecretType
    verification_token_lifetime_seconds: int = 3600
    verification_token_audience: str = VERIFY_USER_TOKEN_AUDIENCE

    # What a login may name a user by, tried in this order: "email", or a unique column such as "username".
    login_fields: ClassVar[tuple[str, ...]] = ("email",)
    # Whether users who change their password must send the old one, as `old_password`.
    require_old_password: ClassVar[bool] = False

    user_db: BaseUserDatabase[UP, ID]
    password_helper: PasswordHelperProtocol

    def __init__(
        self, user_db: BaseUserDatabase[UP, ID], password_helper: PasswordHelperProtocol | None = None
    ) -> None:
        self.user_db = user_db
        self.password_helper = password_helper or getattr(user_db, "password_helper", None) or PasswordHelper()

    def parse_id(self, value: Any) -> ID:
        """`value` as an id.

        Raises:
            InvalidID: it is none.
        """
        raise NotImplementedError

    async def get(self, id: ID) -> UP:
        """The user of this id.

        Raises:
            UserNotExists: there is none.
        """
        return _found(await self.user_db.get(id))

    async def get_by_email(self, user_email: str) -> UP:
        """The user of this e-mail address.

        Raises:
            UserNotExists: there is none.
        """
        return _found(await self.user_db.get_by_email(user_email) if is_storable(user_email) else None)

    async def create(self, user_create: BaseUserCreate, safe: bool = False, request: Request | None = None) -> UP:
        """Create a user.

        Parameters:
            user_create: the user.
            safe: whether the flags in it are ignored, because the user is the one who sends them.
            request: the request it is for.

        Raises:
            UserAlreadyExists: the address is taken, also by a request that runs at the same time.
            InvalidPasswordException: the password is refused.
        """
        await self._check_password(user_create.password, user_create)
        if await self.user_db.get_by_email(user_create.email) is not None:
            raise UserAlreadyExists
        values = sent_values(user_create, safe)
        values["hashed_password"] = await self._hash(values.pop("password"))
        user = await self._create(values)
        await self.on_after_register(user, request)
        return user

    async def request_verify(self, user: UP, request: Request | None = None) -> None:
        """Make a token that proves the user's address and hand it to `on_after_request_verify`.

        Raises:
            UserInactive: the user is not active.
            UserAlreadyVerified: there is nothing to prove.
        """
        if not user.is_active:
            raise UserInactive
        if user.is_verified:
            raise UserAlreadyVerified
        token = generate_jwt(
            {"sub": str(user.id), "email": user.email, "aud": self.verification_token_audience},
            self.verification_token_secret,
            self.verification_token_lifetime_seconds,
        )
        await self.on_after_request_verify(user, token, request)

    async def verify(self, token: str, request: Request | None = None) -> UP:
        """Take a verification token.

        Raises:
            InvalidVerifyToken: it is not ours, expired, or for an address that the user no longer has.
            UserAlreadyVerified: the address was proven before; of several at once all but one get this.
        """
        try:
            claims = decode_jwt(
                token, self.verification_token_secret, [self.verification_token_audience], needs_exp=True
            )
            user = await self.get_by_email(str(claims["email"]))
            right = self.parse_id(claims["sub"]) == user.id
        except (JwtInvalidError, KeyError, UserNotExists, InvalidID) as e:
            raise InvalidVerifyToken from e
        if not right:
            raise InvalidVerifyToken
        if user.is_verified or not await self._replace(user, {"is_verified": False}, {"is_verified": True}):
            raise UserAlreadyVerified
        await self.on_after_verify(user, request)
        return user

    async def forgot_password(self, user: UP, request: Request | None = None) -> None:
        """Make a token to choose a new password with, and hand it to `on_after_forgot_password`.

        Raises:
            UserInactive: the user is not active.
        """
        if not user.is_active:
            raise UserInactive
        token = generate_jwt(
            {
                "sub": str(user.id),
                "password_fgpt": self._reset_fingerprint(user),
                "aud": self.reset_password_token_audience,
            },
            self.reset_password_token_secret,
            self.reset_password_token_lifetime_seconds,
        )
        await self.on_after_forgot_password(user, token, request)

    async def reset_password(self, token: str, password: str, request: Request | None = None) -> UP:
        """Take a reset token and store a new password.

        Raises:
            InvalidResetPasswordToken: it is not ours, expired, used (of several at once all but one get this), or the user's
                address or password is another by now.
            UserInactive: the user is not active.
            InvalidPasswordException: the password is refused; the token stays good.
        """
        try:
            claims = decode_jwt(
                token, self.reset_password_token_secret, [self.reset_password_token_audience], needs_exp=True
            )
            user = await self.get(self.parse_id(claims["sub"]))
            right = equal(str(claims["password_fgpt"]), self._reset_fingerprint(user))
        except (JwtInvalidError, KeyError, UserNotExists, InvalidID) as e:
            raise InvalidResetPasswordToken from e
        if not right:
            raise InvalidResetPasswordToken
        if not user.is_active:
            raise UserInactive
        await self._check_password(password, user)
        expected = {"hashed_password": user.hashed_password, "email": user.email}
        if not await self._replace(user, expected, {"hashed_password": await self._hash(password)}):
            raise InvalidResetPasswordToken
        await self.on_after_reset_password(user, request)
        return user

    async def update(
        self, user_update: BaseUserUpdate, user: UP, safe: bool = False, request: Request | None = None
    ) -> UP:
        """Change a user. Another e-mail address is unproven, unless a superuser says otherwise.

        Parameters:
            user_update: what to change.
            user: whom.
            safe: whether the flags in it are ignored, because the user is the one who sends them.
            request: the request it is for.

        Raises:
            UserAlreadyExists: the new address is taken.
            InvalidPasswordException: the new password is refused.
        """
        values = sent_values(user_update, safe)
        updated = await self._update(user, values)
        await self.on_after_update(updated, values, request)
        return updated

    async def delete(self, user: UP, request: Request | None = None) -> None:
        """Delete a user."""
        await self.on_before_delete(user, request)
        await self.user_db.delete(user)
        await self.on_after_delete(user, request)

    async def authenticate(self, credentials: OAuth2PasswordRequestForm) -> UP | None:
        """The user of this name and password, active or not; `None` for all others, after the same work."""
        user = await self.get_by_login(credentials.username)
        hashed = user.hashed_password if user is not None else None
        if user is None or not hashed:
            # So that the time of an answer does not say whether there is such a user.
            nobodys = credentials.password.encode(errors="replace")[:1024].decode(errors="replace")
            await shared_hasher().run(lambda: self.password_helper.hash(nobodys))
            return None
        correct, replaced = await shared_hasher().run(
            lambda: self.password_helper.verify_and_update(credentials.password, hashed)
        )
        if not correct:
            return None
        if replaced is not None:
            # Only if it is still what was checked: a password changed meanwhile must not come back.
            await self._replace(user, {"hashed_password": hashed}, {"hashed_password": replaced})
        return user

    async def get_by_login(self, name: str) -> UP | None:
        """Whom a login names, see `login_fields`."""
        if not is_storable(name):
            return None
        for field in self.login_fields:
            if field == "email":
                user = await self.user_db.get_by_email(name)
            elif isinstance(self.user_db, SupportsFields):
                user = await self.user_db.get_by_field(field, name)
            else:
                raise NotImplementedError(f"{type(self.user_db).__name__} cannot find users by {field}")
            if user is not None:
                return user
        return None

    async def check_old_password(self, user: UP, password: str | None) -> bool:
        """Whether `password` is the user's."""
        hashed = user.hashed_password
        if not password or not hashed:
            return False
        correct, _ = await shared_hasher().run(lambda: self.password_helper.verify_and_update(password, hashed))
        return correct

    async def validate_password(self, password: str, user: BaseUserCreate | UP) -> None:
        """Refuse a new password, by raising `InvalidPasswordException(reason)`; by default any is taken that can be hashed."""

    async def on_after_register(self, user: UP, request: Request | None = None) -> None:
        """Hook: a user was created."""

    async def on_after_update(self, user: UP, update_dict: dict[str, Any], request: Request | None = None) -> None:
        """Hook: a user was changed. `update_dict` holds a new password in clear: it is not for a log."""

    async def on_after_request_verify(self, user: UP, token: str, request: Request | None = None) -> None:
        """Hook: send the token to the user's address."""

    async def on_after_verify(self, user: UP, request: Request | None = None) -> None:
        """Hook: an address was proven."""

    async def on_after_forgot_password(self, user: UP, token: str, request: Request | None = None) -> None:
        """Hook: send the token to the user's address."""

    async def on_after_reset_password(self, user: UP, request: Request | None = None) -> None:
        """Hook: a password was reset."""

    async def on_after_login(self, user: UP, request: Request | None = None, response: Response | None = None) -> None:
        """Hook: a user logged in; `response` may be added to."""

    async def on_before_delete(self, user: UP, request: Request | None = None) -> None:
        """Hook: a user is about to be deleted."""

    async def on_after_delete(self, user: UP, request: Request | None = None) -> None:
        """Hook: a user was deleted."""

    async def _update(self, user: UP, update_dict: dict[str, Any]) -> UP:
        values = dict(update_dict)
        email, password = values.get("email"), values.pop("password", None)
        if email is not None and email != user.email:
            owner = await self.user_db.get_by_email(email)
            if owner is not None and owner.id != user.id:
                raise UserAlreadyExists
            if normalize(email) != normalize(user.email):
                values.setdefault("is_verified", False)
        if password is not None:
            await self._check_password(password, user)
            values["hashed_password"] = await self._hash(password)
        try:
            return await self.user_db.update(user, values)
        except Exception as e:
            await self._refuse_taken(email, e, user.id)
            raise

    async def _create(self, values: dict[str, Any]) -> UP:
        try:
            return await self.user_db.create(values)
        except Exception as e:
            await self._refuse_taken(values.get("email"), e)
            raise

    async def _refuse_taken(self, email: str | None, cause: Exception, own_id: Any = None) -> None:
        """Whatever the database raised: where another user has the address by now, that is why."""
        owner = await self.user_db.get_by_email(email) if email is not None else None
        if owner is not None and owner.id != own_id:
            raise UserAlreadyExists from cause

    async def _replace(self, user: UP, expected: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
        if isinstance(self.user_db, SupportsReplace):
            return await self.user_db.replace(user, expected, values)
        await self.user_db.update(user, dict(values))
        return True

    async def _check_password(self, password: str, user: BaseUserCreate | UP) -> None:
        problem = password_problem(password)
        if problem is not None:
            raise InvalidPasswordException(problem)
        await self.validate_password(password, user)

    async def _hash(self, password: str) -> str:
        return await shared_hasher().run(lambda: self.password_helper.hash(password))

    def _reset_fingerprint(self, user: UP) -> str:
        return fingerprint(secret_value(self.reset_password_token_secret), user.hashed_password, user.email)


class UUIDIDMixin:
    """For users whose ids are UUIDs."""

    def parse_id(self, value: Any) -> uuid.UUID:
        """`value` as an id.

        Raises:
            InvalidID: it is none.
        """
        if isinstance(value, uuid.UUID):
            return value
        try:
            return uuid.UUID(value)
        except (ValueError, TypeError, AttributeError) as e:
            raise InvalidID from e


class IntegerIDMixin:
    """For users whose ids are whole numbers."""

    def parse_id(self, value: Any) -> int:
        """`value` as an id: a whole number, or the digits of one.

        Raises:
            InvalidID: it is none.
        """
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_ID:
            raise InvalidID
        return value


_MAX_ID: Final = 2**63 - 1
_MAX_DIGITS: Final = 19

UserManagerDependency: TypeAlias = DependencyCallable[BaseUserManager[UP, ID]]


def _found(user: UP | None) -> UP:
    if user is None:
        raise UserNotExists
    return user
