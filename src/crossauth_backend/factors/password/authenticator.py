"""The first factor that most applications use: a password whose hash is in the user storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option
from crossauth_backend.core.passwords import Argon2Parameters, PasswordHasher
from crossauth_backend.core.secrets import check_secret, equal
from crossauth_backend.factors.base import (
    AuthenticatorOptions,
    AuthenticatorSettings,
    Params,
    PasswordAuthenticator,
)
from crossauth_backend.factors.password.rules import default_password_validator
from crossauth_backend.users.record import User, UserSecrets
from crossauth_backend.users.storage import UserStorage

logger = logging.getLogger("crossauth.factors.password")


class LocalPasswordAuthenticatorOptions(AuthenticatorOptions, total=False):
    """Options of `LocalPasswordAuthenticator`."""

    secret: str
    enable_secret_for_password_hash: bool
    validate_password_fn: Callable[[Params], list[str]]
    argon2: Argon2Parameters
    hashing_threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPasswordSettings(AuthenticatorSettings):
    """`LocalPasswordAuthenticatorOptions`, parsed."""

    secret: str | None = option(None, env="HASHER_SECRET", doc="Pepper, see `enable_secret_for_password_hash`.")
    enable_secret_for_password_hash: bool = option(
        False,
        env="ENABLE_SECRET_FOR_PASSWORDS",
        doc="Mix `secret` into every password hash, so that a stolen database alone cannot be attacked.",
    )
    validate_password_fn: Callable[[Params], list[str]] = option(
        default_password_validator, doc="What a new password must be.", shown="default_password_validator"
    )
    argon2: Argon2Parameters = option(Argon2Parameters(), doc="Cost of one hash.", shown="19 MiB, 2 passes, 1 lane")
    hashing_threads: int | None = option(
        None, doc="How many passwords are hashed at once.", shown="cores - 1, at least 1"
    )


class LocalPasswordAuthenticator(PasswordAuthenticator):
    """Checks passwords against the hashes in `user_storage`, and upgrades old hashes after a correct password.

    Parameters:
        user_storage: where upgraded hashes are written.
        options: see `LocalPasswordAuthenticatorOptions`.

    Raises:
        CrossauthError: `Configuration` where the pepper is switched on without a `secret`.
    """

    settings_table = LocalPasswordSettings
    settings: LocalPasswordSettings

    def __init__(
        self,
        user_storage: UserStorage,
        options: LocalPasswordAuthenticatorOptions | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(options)
        self._users = user_storage
        pepper = None
        if self.settings.enable_secret_for_password_hash:
            pepper = check_secret(self.settings.secret, "LocalPasswordAuthenticator")
        self.hasher = PasswordHasher(self.settings.argon2, pepper=pepper, threads=self.settings.hashing_threads)

    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Compare `params["password"]` with the stored hash.

        Raises:
            CrossauthError: `UsernameOrPasswordInvalid`, after the same work whether or not there is such a user.
        """
        password = params.get("password")
        stored = secrets.get("password") if user is not None and secrets is not None else None
        try:
            correct = await self.hasher.verify(password if isinstance(password, str) else "", stored)
        except CrossauthError as e:
            # A hash we cannot read must not tell an attacker that there is such an account; the log tells the owner.
            logger.error(
                "the password of user %r cannot be checked: %s", user.id if user else None, e.detail or e.message
            )
            correct = False
        if not correct or user is None or stored is None or not isinstance(password, str):
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        if self.hasher.needs_rehash(stored):
            await self._upgrade(user, stored, password)

    async def create_persistent_secrets(
        self, username: str, params: Params, repeat_params: Params | None = None
    ) -> dict[str, Any]:
        """`{"password": hash}`.

        Raises:
            CrossauthError: `PasswordMatch` where the repetition differs; `PasswordFormat` for text that cannot be hashed.
        """
        password = params.get("password")
        if not isinstance(password, str):
            raise CrossauthError(ErrorCode.PasswordFormat, "Password not provided")
        if repeat_params is not None and not equal(password, str(repeat_params.get("password", ""))):
            raise CrossauthError(ErrorCode.PasswordMatch)
        return {"password": await self.create_password_for_storage(password)}

    async def create_password_for_storage(self, password: str) -> str:
        """The encoded hash of `password`."""
        return await self.hasher.hash(password)

    async def password_matches_hash(self, password: str, password_hash: str) -> bool:
        """Whether `password` is behind `password_hash`, in any supported format."""
        return await self.hasher.verify(password, password_hash)

    def validate_secrets(self, params: Params) -> list[str]:
        """What `validate_password_fn` says."""
        return self.settings.validate_password_fn(params)

    async def _upgrade(self, user: User, stored: str, password: str) -> None:
        # Replaced only if it is still what was checked: a password changed meanwhile must not come back.
        if self._users is not None:
            await self._users.rewrite_secret(user.id, "password", stored, await self.hasher.hash(password))
