"""What can be done with users: the class that applications derive from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, TypeAlias

from fastapi import Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from crossauth_backend.core.hooks import problems_of
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.text import folded, is_storable, same_mailbox
from crossauth_fastapi.fastapi_users._addresses import MAX_ADDRESS, MAX_LOGIN, login_spellings
from crossauth_fastapi.fastapi_users._constraints import may_be_taken, storing
from crossauth_fastapi.fastapi_users._ids import IntegerIDMixin, UUIDIDMixin
from crossauth_fastapi.fastapi_users._named import named_user
from crossauth_fastapi.fastapi_users._oauthaccounts import OAuthAccounts
from crossauth_fastapi.fastapi_users._records import credential_fingerprint, reset_fingerprint
from crossauth_fastapi.fastapi_users._rules import fingerprint, sent_values
from crossauth_fastapi.fastapi_users.db.base import (
    BaseUserDatabase,
    SupportsFields,
    SupportsPasswordRules,
)
from crossauth_fastapi.fastapi_users.exceptions import (
    ConstraintViolated,
    InvalidID,
    InvalidPasswordException,
    InvalidResetPasswordToken,
    InvalidVerifyToken,
    UserAlreadyExists,
    UserAlreadyVerified,
    UserChanged,
    UserInactive,
    UserNotExists,
)
from crossauth_fastapi.fastapi_users.jwt import JwtInvalidError, SecretType, decode_jwt, generate_jwt, secret_value
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.password import PasswordHelper, PasswordHelperProtocol
from crossauth_fastapi.fastapi_users.schemas import BaseUserCreate, BaseUserUpdate
from crossauth_fastapi.fastapi_users.types import DependencyCallable

__all__ = [
    "RESET_PASSWORD_TOKEN_AUDIENCE", "VERIFY_USER_TOKEN_AUDIENCE", "BaseUserManager", "IntegerIDMixin", "UUIDIDMixin",
    "UserManagerDependency",
]  # fmt: skip

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
        """The user of this email address.

        Raises:
            UserNotExists: there is none.
        """
        sensible = len(user_email) <= MAX_ADDRESS and is_storable(user_email)
        return _found(await self.user_db.get_by_email(user_email) if sensible else None)

    async def create(self, user_create: BaseUserCreate, safe: bool = False, request: Request | None = None) -> UP:
        """Create a user.

        Parameters:
            user_create: the user.
            safe: whether the flags in it are ignored, because the user is the one who sends them.
            request: the request it is for.

        Raises:
            UserAlreadyExists: the address, or another name to log in by, is taken; also by a request that runs at the same
                time.
            InvalidPasswordException: the password is refused.
            ConstraintViolated: another column of the table must be unique, or filled.
        """
        await self._check_password(user_create.password, user_create)
        values = sent_values(user_create, safe, self.login_fields, self.user_db)
        await self._refuse_taken(values)
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
            ConstraintViolated: the database refuses, as for `reset_password`.
        """
        try:
            claims = decode_jwt(
                token, self.verification_token_secret, [self.verification_token_audience], needs_exp=True
            )
            user = await self.get_by_email(str(claims["email"]))
            right = self.parse_id(claims["sub"]) == user.id and same_mailbox(str(claims["email"]), user.email)
        except (JwtInvalidError, KeyError, UserNotExists, InvalidID) as e:
            raise InvalidVerifyToken from e
        if not right:
            raise InvalidVerifyToken
        if user.is_verified:
            raise UserAlreadyVerified
        # Of the address too: another one may be on its way into the table.
        verified = await self._replace(user, {"is_verified": False, "email": user.email}, {"is_verified": True})
        if verified is None:
            current = await self.user_db.get(user.id)
            raise (UserAlreadyVerified if current is not None and current.is_verified else InvalidVerifyToken)
        await self.on_after_verify(verified, request)
        return verified

    async def forgot_password(self, user: UP, request: Request | None = None) -> None:
        """Make a token to choose a new password with, and hand it to `on_after_forgot_password`.

        Raises:
            UserInactive: the user is not active.
        """
        if not user.is_active:
            raise UserInactive
        claims = {"sub": str(user.id), "password_fgpt": self._reset_fingerprint(user)}
        token = generate_jwt(
            claims | {"aud": self.reset_password_token_audience},
            self.reset_password_token_secret,
            self.reset_password_token_lifetime_seconds,
        )
        await self.on_after_forgot_password(user, token, request)

    async def reset_password(self, token: str, password: str, request: Request | None = None) -> UP:
        """Take a reset token and store a new password. It ends the logins, and unlinks accounts at providers that are not proven
        to be linked by whoever reads the user's mailbox; outside of the routes, of which nothing is known, all of them.

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
        hashed = await self._hash(password)
        # Whoever registered somebody else's address, or stole a login, and linked an account of their own, must not stay. Before
        # the password, or a login by that account now would rest on the new one; and after, for what was linked meanwhile.
        user = await self._unlink_unproven(user)
        changed = await self._replace(user, expected, {"hashed_password": hashed})
        if changed is None:
            raise InvalidResetPasswordToken
        changed = await self._unlink_unproven(changed)
        await self._end_logins(changed)
        await self.on_after_reset_password(changed, request)
        return changed

    async def update(
        self, user_update: BaseUserUpdate, user: UP, safe: bool = False, request: Request | None = None
    ) -> UP:
        """Change a user. Another email address is unproven, unless a superuser says otherwise.

        Parameters:
            user_update: what to change.
            user: whom.
            safe: whether the flags in it are ignored, because the user is the one who sends them.
            request: the request it is for.

        Raises:
            UserAlreadyExists: the new address, or another name to log in by, is taken.
            UserChanged: password or address were changed by another request meanwhile; nothing is changed by this one.
            InvalidPasswordException: the new password is refused.
            ConstraintViolated: another column of the table must be unique.
        """
        values = sent_values(user_update, safe, self.login_fields, self.user_db)
        updated = await self._update(user, values)
        await self.on_after_update(updated, values, request)
        return updated

    async def delete(self, user: UP, request: Request | None = None) -> None:
        """Delete a user.

        Raises:
            ConstraintViolated: something of the application's still refers to the user; `on_before_delete` may clear it away.
        """
        await self.on_before_delete(user, request)
        with storing(self.user_db):
            await self.user_db.delete(user)
        await self._end_logins(user)
        await self.on_after_delete(user, request)

    async def authenticate(self, credentials: OAuth2PasswordRequestForm) -> UP | None:
        """The user of this name and password, active or not; `None` for all others, after the same work."""
        user: UP | None = await named_user(credentials.username, self.get_by_login)
        if user is None or not user.hashed_password:
            await self._verify_nobody(credentials.password)
            return None
        correct, replaced = await self._verify(credentials.password, user.hashed_password)
        if not correct or replaced is None:
            return user if correct else None
        # Only if it is still what was checked: a password changed meanwhile must not come back.
        try:
            upgraded = await self._rewrite(user, replaced)
        except ConstraintViolated:
            # The password is right, and checked by the old hash next time.
            return user
        if upgraded is None:
            current = await self.user_db.get(user.id)
            same = current is not None and await self.check_old_password(current, credentials.password)
            return current if same else None
        return upgraded

    async def get_by_login(self, name: str) -> UP | None:
        """Whom a login names, see `login_fields`: an address in the form in which registering stores it, else as it was typed."""
        if len(name) > MAX_LOGIN or not is_storable(name):
            return None
        for field in self.login_fields:
            for spelling in login_spellings(name) if field == "email" else (name.strip(),):
                if (user := await self._by_field(field, spelling)) is not None:
                    return user
        return None

    async def validate_password(self, password: str, user: BaseUserCreate | UP) -> None:
        """Refuse a new password, by raising `InvalidPasswordException(reason)`.

        By default any is taken that can be hashed; users of a session server keep its rules.
        """
        if isinstance(self.user_db, SupportsPasswordRules):
            problems = await problems_of(self.user_db.password_problems, password)
            if problems:
                raise InvalidPasswordException(". ".join(problems))

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
        """Hook: a user is about to be deleted; what refers to the user may be cleared away. To refuse, raise."""

    async def on_after_delete(self, user: UP, request: Request | None = None) -> None:
        """Hook: a user was deleted."""

    async def _update(self, user: UP, update_dict: dict[str, Any]) -> UP:
        values, guarded, before = dict(update_dict), {}, credential_fingerprint(user)
        email, password = values.get("email"), values.pop("password", None)
        await self._refuse_taken(values, user)
        if email is not None and email != user.email:
            guarded["email"] = user.email
            if not same_mailbox(email, user.email):
                values.setdefault("is_verified", False)
        if password is not None:
            await self._check_password(password, user)
            guarded["hashed_password"] = user.hashed_password
            values["hashed_password"] = await self._hash(password)
        with storing(self.user_db):
            try:
                changed = await (self._replace(user, guarded, values) if guarded else self.user_db.update(user, values))
            except Exception as e:
                await self._refuse_taken(values, user, e)
                raise
        if changed is None:
            raise UserChanged
        if credential_fingerprint(changed) != before or values.get("is_active") is False:
            await self._end_logins(changed)
        return changed

    async def _create(self, values: dict[str, Any], account: dict[str, Any] | None = None) -> UP:
        with storing(self.user_db):
            try:
                return await (
                    self.user_db.create(values) if account is None else self._create_with_account(values, account)
                )
            except Exception as e:
                await self._refuse_taken(values, cause=e)
                raise

    async def _refuse_taken(
        self, values: Mapping[str, Any], own: UP | None = None, cause: Exception | None = None
    ) -> None:
        """Refuse an address or name that somebody else could be meant by, in whatever field it is. After a write only where it
        may have failed for that."""
        if cause is not None and not may_be_taken(self.user_db, cause):
            return
        fields = dict.fromkeys(("email", *self.login_fields))
        for requested in {str(values[field]) for field in fields if values.get(field) is not None}:
            for field in fields:
                owner = await self._by_field(field, requested)
                if owner is not None and (own is None or owner.id != own.id):
                    raise UserAlreadyExists from cause

    async def _by_field(self, field: str, value: str) -> UP | None:
        if field == "email":
            try:
                return await self.get_by_email(value)
            except UserNotExists:
                return None
        if not isinstance(self.user_db, SupportsFields):
            raise NotImplementedError(f"{type(self.user_db).__name__} cannot find users by {field}")
        found: UP | None = await self.user_db.get_by_field(field, value)
        return found

    def _reset_fingerprint(self, user: UP) -> str:
        return fingerprint(secret_value(self.reset_password_token_secret), reset_fingerprint(user), folded(user.email))


UserManagerDependency: TypeAlias = DependencyCallable[BaseUserManager[UP, ID]]


def _found(user: UP | None) -> UP:
    if user is None:
        raise UserNotExists
    return user
