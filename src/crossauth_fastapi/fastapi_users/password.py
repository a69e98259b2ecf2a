"""Password hashes: argon2id, with every older format verified and replaced at the next login."""

from __future__ import annotations

import logging
from functools import cache
from typing import Protocol

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.core.passwords import PasswordHasher, composed_password, password_forms
from crossauth_backend.core.secrets import random_value

logger = logging.getLogger("crossauth.fastapi_users")
_GENERATED_BYTES = 32


class PasswordHelperProtocol(Protocol):
    """What makes and checks password hashes. It may block: it is called in a thread."""

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        """Whether the password is right, and a new hash where the old one should be replaced."""
        ...

    def hash(self, password: str) -> str:
        """The hash to store."""
        ...

    def generate(self) -> str:
        """A random password."""
        ...


class PasswordHashProtocol(Protocol):
    """What `pwdlib.PasswordHash` offers."""

    def verify_and_update(self, password: str, hash: str) -> tuple[bool, str | None]:
        """Whether the password is right, and a new hash where the old one should be replaced."""
        ...

    def hash(self, password: str) -> str:
        """The hash to store."""
        ...


class PasswordHelper(PasswordHelperProtocol):
    """Hashes with argon2id, at the cost that FastAPI Users has (64 MiB, 3 passes, 4 lanes).

    The same cost, because checking the hashes that an application brings along must take as long as checking for a user who
    does not exist. `PasswordHasher(Argon2Parameters())` has that of the session server, a quarter.

    Parameters:
        password_hash: what to hash with instead: a `PasswordHasher` of other cost, or a `pwdlib.PasswordHash`.
    """

    def __init__(self, password_hash: PasswordHasher | PasswordHashProtocol | None = None) -> None:
        self.password_hash = password_hash or shared_hasher()

    def verify_and_update(self, plain_password: str, hashed_password: str) -> tuple[bool, str | None]:
        """Whether the password is right, and a new hash where the old one should be replaced.

        A hash that nobody can read fits no password: it is said in the log, not to whoever tries.
        """
        if not isinstance(self.password_hash, PasswordHasher):
            return verify_forms(self.password_hash, plain_password, hashed_password)
        try:
            verdict = self.password_hash.check_now(plain_password, hashed_password)
        except CrossauthError as e:
            logger.error("a stored password cannot be checked: %s", e.detail or e.message)
            return False, None
        return verdict.correct, self.password_hash.hash_now(plain_password) if verdict.outdated else None

    def hash(self, password: str) -> str:
        """The argon2id hash of a password, composed (Unicode form C) first."""
        if isinstance(self.password_hash, PasswordHasher):
            return self.password_hash.hash_now(password)
        return self.password_hash.hash(composed_password(password))

    def generate(self) -> str:
        """A random password of 43 characters."""
        return random_value(_GENERATED_BYTES)


def verify_forms(
    helper: PasswordHelperProtocol | PasswordHashProtocol, password: str, hashed: str
) -> tuple[bool, str | None]:
    """Whether `helper` finds the password right, composed or as typed, and a new hash where the old one should be replaced.

    Hashes that FastAPI Users made are of what was typed; the new one is of the composed password.
    """
    composed, *typed = password_forms(password)
    correct, updated = helper.verify_and_update(composed, hashed)
    if correct or not typed:
        return correct, updated
    correct, _ = helper.verify_and_update(password, hashed)
    return correct, helper.hash(composed) if correct else None


@cache
def shared_hasher() -> PasswordHasher:
    """The hasher whose few threads all user managers share: they are made anew for every request."""
    return PasswordHasher(Argon2Parameters(memory_cost=65536, time_cost=3, parallelism=4))
