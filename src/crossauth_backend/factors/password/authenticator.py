"""The first factor that most applications use: a password whose hash is in the user storage."""

from __future__ import annotations

import logging
from typing import Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import start_hook
from crossauth_backend.core.passwords import PasswordHasher, Verdict, composed_password
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.texts import mark
from crossauth_backend.factors.base import Params, PasswordAuthenticator
from crossauth_backend.factors.password.options import LocalPasswordAuthenticatorOptions, LocalPasswordSettings
from crossauth_backend.users.record import User, UserSecrets
from crossauth_backend.users.storage import UserStorage

logger = logging.getLogger("crossauth.factors.password")


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
        options: LocalPasswordAuthenticatorOptions | None = None,
    ) -> None:
        super().__init__(options)
        self._users = user_storage
        pepper = None
        if self.settings.enable_secret_for_password_hash:
            pepper = check_secret(self.settings.secret, "LocalPasswordAuthenticator")
        s = self.settings
        self.hasher = PasswordHasher(s.argon2, pepper=pepper, threads=s.hashing_threads, max_waiting=s.hashing_queue)

    async def authenticate_user(self, user: User | None, secrets: UserSecrets | Params | None, params: Params) -> None:
        """Compare `params["password"]` with the stored hash.

        Raises:
            CrossauthError: `UsernameOrPasswordInvalid`, after the same work whether or not there is such a user;
                `Connection` with status 503 where too many passwords wait to be hashed.
        """
        password = params.get("password")
        stored = secrets.get("password") if user is not None and secrets is not None else None
        try:
            verdict = await self.hasher.check(password if isinstance(password, str) else "", stored)
        except CrossauthError as e:
            if e.code is ErrorCode.Connection:
                raise
            # A hash we cannot read must not tell an attacker that there is such an account; the log tells the owner.
            logger.error(
                "the password of user %r cannot be checked: %s", user.id if user else None, e.detail or e.message
            )
            verdict = Verdict(False)
        if not verdict.correct or user is None or stored is None or not isinstance(password, str):
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        if verdict.outdated:
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
            raise CrossauthError(ErrorCode.PasswordFormat, mark("Enter a password"))
        repeated = password if repeat_params is None else str(repeat_params.get("password", ""))
        if not equal(composed_password(password), composed_password(repeated)):
            raise CrossauthError(ErrorCode.PasswordMatch)
        return {"password": await self.create_password_for_storage(password)}

    async def create_password_for_storage(self, password: str) -> str:
        """The encoded hash of `password`."""
        return await self.hasher.hash(password)

    async def password_matches_hash(self, password: str, password_hash: str) -> bool:
        """Whether `password` is behind `password_hash`, in any supported format."""
        return await self.hasher.verify(password, password_hash)

    def validate_secrets(self, params: Params) -> list[str]:
        """What `validate_password_fn` says; where that is `async`, what has to be awaited (`secret_problems` does).

        It judges the password in Unicode form C.
        """
        password = params.get("password")
        if isinstance(password, str):
            params = {**params, "password": composed_password(password)}
        found: list[str] = start_hook(self.settings.validate_password_fn, params)
        return found

    async def _upgrade(self, user: User, stored: str, password: str) -> None:
        # Replaced only if it is still what was checked: a password changed meanwhile must not come back.
        if self._users is None:
            return
        try:
            hashed = await self.hasher.hash(password)
        except CrossauthError as e:
            if e.code is not ErrorCode.Connection:
                raise
            return  # the queue is full; the password was right all the same, and the next login sees to it
        await self._users.rewrite_secret(user.id, "password", stored, hashed)
