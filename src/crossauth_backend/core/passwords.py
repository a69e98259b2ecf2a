"""Password hashing: argon2id, never on the event loop, and every older format that an application may bring along.

The parameters are OWASP's first choice (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane). Hashes made by
PBKDF2, bcrypt and scrypt verify, and `needs_rehash` tells the caller to replace them after a correct password.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import Argon2Error, InvalidHashError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.core.hash_pool import MAX_WAITING, HashPool
from crossauth_backend.core.legacy_hashes import verify_legacy
from crossauth_backend.core.texts import mark

MAX_PASSWORD_BYTES: Final = 4096
T = TypeVar("T")


class Verdict(NamedTuple):
    """Whether a password is correct, and whether its hash should then be replaced."""

    correct: bool
    outdated: bool = False


def composed_password(password: str) -> str:
    """`password` in Unicode form C, in which it is hashed, compared and measured.

    The same characters come composed from one keyboard and decomposed from another (RFC 8265 §4.2.2, NIST SP 800-63B
    §3.1.1.2). Text that is too long to be hashed is left as it is, for composing it costs time.
    """
    return password if len(password) > MAX_PASSWORD_BYTES else unicodedata.normalize("NFC", password)


def password_forms(password: str) -> tuple[str, ...]:
    """The forms in which a password is verified: composed, then as typed where that is something else.

    Hashes made before passwords were composed, here or by another library, were made of what was typed.
    """
    composed = composed_password(password)
    return (composed,) if composed == password else (composed, password)


class PasswordHasher:
    """Makes and checks password hashes in a small thread pool of its own, see `HashPool`.

    The pool is small on purpose: hashing on every core would make all other requests wait.

    Parameters:
        parameters: cost of new hashes; a stored hash of another cost is upgraded at the next login.
        pepper: secret mixed into every hash made and checked. Losing it loses every password.
        threads: size of the pool; by default one less than there are cores, at least one.
        max_waiting: how many passwords may wait to be hashed; beyond it the answer is 503.
    """

    def __init__(
        self,
        parameters: Argon2Parameters | None = None,
        *,
        pepper: str | None = None,
        threads: int | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        cost = parameters or Argon2Parameters()
        self._argon2 = Argon2(time_cost=cost.time_cost, memory_cost=cost.memory_cost, parallelism=cost.parallelism)
        self._pepper = pepper
        self._pool = HashPool(threads, max_waiting)
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """The encoded argon2id hash of `password`.

        Raises:
            CrossauthError: `PasswordFormat` for text that cannot be hashed (longer than 4096 bytes, unpaired surrogate);
                `Connection` with status 503 where too many passwords wait to be hashed.
        """
        return await self.run(lambda: self.hash_now(password))

    def hash_now(self, password: str) -> str:
        """As `hash`, on the thread that calls."""
        secret = self._prepared(composed_password(password))
        if secret is None:
            raise CrossauthError(ErrorCode.PasswordFormat, mark("The password is too long or not valid text"))
        return self._argon2.hash(secret)

    async def verify(self, password: str, encoded: str | None) -> bool:
        """Whether `password` is the one behind `encoded`.

        `None` (no such user, or one without a password) costs the same time as a wrong password and is `False`; so does a
        hash that cannot be read, before it is refused.

        Raises:
            CrossauthError: `InvalidHash` where `encoded` is in no known format; `Connection` with status 503 where too many
                passwords wait to be hashed.
        """
        return (await self.check(password, encoded)).correct

    async def check(self, password: str, encoded: str | None) -> Verdict:
        """As `verify`, and whether the hash should be replaced: older algorithm, other cost, or made of another form."""
        return await self.run(lambda: self.check_now(password, encoded))

    def needs_rehash(self, encoded: str) -> bool:
        """Whether a correct password should be hashed anew: older algorithm or other cost."""
        try:
            return self._argon2.check_needs_rehash(encoded)
        except InvalidHashError:
            return True

    def verify_now(self, password: str, encoded: str | None) -> bool:
        """As `verify`, on the thread that calls."""
        return self.check_now(password, encoded).correct

    def check_now(self, password: str, encoded: str | None) -> Verdict:
        """As `check`, on the thread that calls."""
        for number, form in enumerate(password_forms(password)):
            if self._is_behind(form, encoded):
                return Verdict(True, number > 0 or self.needs_rehash(encoded or ""))
        return Verdict(False)

    def _is_behind(self, password: str, encoded: str | None) -> bool:
        secret = self._prepared(password)
        if encoded is None or secret is None:
            return self._verify_nobody(secret or b"")
        try:
            if encoded.startswith("$argon2"):
                return self._matches(encoded, secret)
            return verify_legacy(password, encoded, self._pepper)
        except CrossauthError:
            self._verify_nobody(secret)
            raise

    def _verify_nobody(self, secret: bytes) -> bool:
        """The work of a wrong password."""
        if self._dummy is None:
            self._dummy = self._argon2.hash(b"nobody has this password")
        self._matches(self._dummy, secret)
        return False

    def _matches(self, encoded: str, secret: bytes) -> bool:
        try:
            return self._argon2.verify(encoded, secret)
        except InvalidHashError as e:
            raise CrossauthError(ErrorCode.InvalidHash) from e
        except Argon2Error:
            return False

    def _prepared(self, password: str) -> bytes | None:
        try:
            raw = password.encode()
        except UnicodeEncodeError:
            return None
        if len(raw) > MAX_PASSWORD_BYTES:
            return None
        if self._pepper is None:
            return raw
        return hashlib.blake2b(raw, key=hashlib.sha256(self._pepper.encode()).digest()).hexdigest().encode()

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` in the pool, see `HashPool.run`."""
        return await self._pool.run(work)
