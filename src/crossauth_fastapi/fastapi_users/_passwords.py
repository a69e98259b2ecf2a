"""The half of the user manager that is about passwords."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeAlias, TypeVar

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import composed_password, password_forms
from crossauth_fastapi.fastapi_users._constraints import storing
from crossauth_fastapi.fastapi_users._rules import password_problem
from crossauth_fastapi.fastapi_users._unavailable import said_to_http
from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, SupportsReplace, SupportsRewrite
from crossauth_fastapi.fastapi_users.exceptions import InvalidPasswordException
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.password import PasswordHelper, PasswordHelperProtocol, shared_hasher, verify_forms
from crossauth_fastapi.fastapi_users.schemas import BaseUserCreate

logger = logging.getLogger("crossauth.fastapi_users")
T = TypeVar("T")
EndLogins: TypeAlias = Callable[[Any], Awaitable[None]]
_NOBODYS_BYTES: Final = 1024
IsOwnPassword: TypeAlias = Callable[[Any], Awaitable[bool]]
_end_logins: ContextVar[EndLogins | None] = ContextVar("end_logins", default=None)
_is_own: ContextVar[IsOwnPassword | None] = ContextVar("is_own", default=None)


@contextmanager
def ending_logins(end: EndLogins) -> Iterator[None]:
    """Within the block, `end` ends the logins of whoever gets another password, is deactivated, or deleted.

    The user manager calls it once that is stored and before any hook, which may fail.
    """
    token = _end_logins.set(end)
    try:
        yield
    finally:
        _end_logins.reset(token)


@contextmanager
def knowing_own_passwords(is_own: IsOwnPassword) -> Iterator[None]:
    """Within the block, `is_own` says of a user whether the password is that of whoever reads the mailbox."""
    token = _is_own.set(is_own)
    try:
        yield
    finally:
        _is_own.reset(token)


class Passwords(Generic[UP, ID]):
    """Makes and checks password hashes, in threads of their own."""

    user_db: BaseUserDatabase[UP, ID]
    password_helper: PasswordHelperProtocol

    async def check_old_password(self, user: UP, password: str | None) -> bool:
        """Whether `password` is the user's."""
        return bool(password and user.hashed_password) and (await self._verify(password or "", user.hashed_password))[0]

    @abstractmethod
    async def validate_password(self, password: str, user: BaseUserCreate | UP) -> None:
        """See `BaseUserManager`."""

    async def _check_password(self, password: str, user: BaseUserCreate | UP) -> None:
        problem = password_problem(password)
        if problem is not None:
            raise InvalidPasswordException(problem)
        await self.validate_password(composed_password(password), user)
        if not password:
            raise InvalidPasswordException("Password must not be empty")

    async def _hash(self, password: str) -> str:
        return await _in_turn(lambda: self.password_helper.hash(composed_password(password)))

    async def _random_hash(self) -> str:
        return await _in_turn(lambda: self.password_helper.hash(self.password_helper.generate()))

    async def _verify(self, password: str, hashed: str) -> tuple[bool, str | None]:
        """Whether a password is right, and the hash that should replace the old one. One nobody can read fits none."""
        try:
            return await _in_turn(lambda: self._verify_now(password, hashed))
        except CrossauthError as e:
            if e.code is ErrorCode.Connection:
                raise
            logger.error("a stored password cannot be checked: %s", e.code_name)
            return False, None
        except Exception as e:
            logger.error("a stored password cannot be checked: %s", type(e).__name__)
            return False, None

    async def _verify_nobody(self, password: str) -> None:
        """The work of a wrong password, so that the time of an answer does not say whether there is such a user."""
        nobodys = password.encode(errors="replace")[:_NOBODYS_BYTES].decode(errors="replace")
        await _in_turn(lambda: [self.password_helper.hash(form) for form in password_forms(nobodys)])

    async def _rewrite(self, user: UP, hashed: str) -> UP | None:
        """Keep the same password as another hash, if nobody replaced it meanwhile."""
        if isinstance(self.user_db, SupportsRewrite):
            with storing(self.user_db):
                rewritten: UP | None = await self.user_db.rewrite_password(user, hashed)
            return rewritten
        return await self._replace(user, {"hashed_password": user.hashed_password}, {"hashed_password": hashed})

    async def _replace(self, user: UP, expected: Mapping[str, Any], values: Mapping[str, Any]) -> UP | None:
        """Change a user who is as `expected`; `None` where the user is not."""
        with storing(self.user_db):
            if isinstance(self.user_db, SupportsReplace):
                changed: UP | None = await self.user_db.replace(user, expected, values)
                return changed
            return await self.user_db.update(user, dict(values))

    def _verify_now(self, password: str, hashed: str) -> tuple[bool, str | None]:
        # A `PasswordHelper` tries both forms itself.
        if isinstance(self.password_helper, PasswordHelper):
            return self.password_helper.verify_and_update(password, hashed)
        return verify_forms(self.password_helper, password, hashed)

    async def _has_own_password(self, user: UP) -> bool:
        """Whether the password is known to be that of whoever reads the mailbox."""
        is_own = _is_own.get()
        return is_own is not None and await is_own(user)

    async def _end_logins(self, user: UP) -> None:
        end = _end_logins.get()
        if end is not None:
            await end(user)


async def _in_turn(work: Callable[[], T]) -> T:
    """Do `work` in a thread of those that hash; where too many wait, that is a 503 in any route."""
    with said_to_http():
        return await shared_hasher().run(work)
