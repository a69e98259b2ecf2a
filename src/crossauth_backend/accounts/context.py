"""What every account service works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import decide_now
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.events.listeners import Events
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.sessions.device import Device
from crossauth_backend.sessions.manager import SessionCookie
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.storage import UserStorage


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a request comes from.

    Parameters:
        address: the peer's address.
        device: the browser, where a cookie of ours names it; see `device_of`.
        agent: what the browser calls itself.
        root_path: where the application is mounted, as ASGI's `root_path` says; links in mail begin with it.
    """

    address: str = ""
    device: Device | None = None
    agent: str = ""
    root_path: str = ""

    def device_of(self, user: User | None) -> str | None:
        """The id of the browser, if `user` was logged in there with the credentials of today."""
        return self.device.id if self.device is not None and user is not None and self.device.knows(user) else None


UNKNOWN_CLIENT: Final = ClientInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Storages, factors and settings that these services share."""

    users: UserStorage
    sessions: SessionCookie
    factors: Factors
    limits: AttemptLimits
    events: Events
    ring: KeyRing
    emails: TokenEmailer | None = None
    email_tokens: KeyStorage | None = None
    verify_email: bool = False
    reset_password: bool = False
    allowed_factor2: tuple[str, ...] = ()
    factor2_optional: bool = True
    factor2_required: Callable[[User], bool] | None = None
    normalize_username: bool = True
    login_by: Literal["username", "email", "username_or_email"] = "username"
    root_path: str = ""
    validate_user: Callable[[Mapping[str, Any]], Any] = default_user_validator
    before_delete_user: Callable[[User], Any] | None = None
    identities: Sequence[IdentityStorage] = ()

    @property
    def keys(self) -> KeyStorage:
        """Where sessions and other keys are."""
        return self.sessions.key_storage

    @property
    def now(self) -> datetime:
        """The time."""
        return self.sessions.clock()

    def needs_factor2(self, user: User) -> bool:
        """Whether `user` has to have a second factor: some are offered, and "none" is not, or not to this user."""
        if not self.allowed_factor2 or not self.factor2_optional:
            return bool(self.allowed_factor2)
        hook = self.factor2_required
        return hook is not None and decide_now("factor2_required_fn", hook, user, otherwise=True)

    def factor1(self, user: User) -> Authenticator:
        """The first factor of `user`."""
        return self.factors[user.factor1]

    def need_emails(self) -> TokenEmailer:
        """What sends links by email; they lead to where the request found the application.

        Raises:
            CrossauthError: `Configuration` where email is not configured.
        """
        if self.emails is None:
            raise CrossauthError(ErrorCode.Configuration, detail="no email is configured")
        return self.emails.at(self.root_path)

    async def user(self, userid: UserId) -> User:
        """The user of this id, in whatever state.

        Raises:
            CrossauthError: `UserNotExist`.
        """
        return (await self.find(userid)).user

    async def find(self, userid: UserId) -> UserAndSecrets:
        """The user of this id with the secrets, in whatever state; the user's `security_stamp` is never empty.

        Raises:
            CrossauthError: `UserNotExist`.
        """
        return with_stamp(await self.users.get_user_by_id(userid, ANY_STATE), self.users.credentials)

    def limited(
        self, origin: ClientInfo, user: User | None = None, **subjects: str | None
    ) -> AbstractAsyncContextManager[None]:
        """Count an attempt before the block makes it, and give it back where the block succeeds.

        Parameters:
            origin: where the request comes from.
            user: whose account it is about, where that is known.
            subjects: by the name of a limit, what is counted under it.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached; the block is not run then.
        """
        return self.limits.attempt(subjects, self.events, address=origin.address, user=user)

    async def counted(self, origin: ClientInfo, user: User | None = None, **subjects: str | None) -> None:
        """Count what costs something whether or not it succeeds, such as a message or an account.

        Parameters:
            origin: where the request comes from.
            user: whose account it is about, where that is known.
            subjects: by the name of a limit, what is counted under it.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached.
        """
        await self.limits.count(subjects, self.events, address=origin.address, user=user)

    async def allowed(self, origin: ClientInfo, user: User | None = None, **subjects: str | None) -> bool:
        """As `counted`, for what is left undone in silence where a limit is reached: whether it may be done."""
        return await self.limits.allows(subjects, self.events, address=origin.address, user=user)


def has_factor2(user: User) -> bool:
    """Whether `user` signs in with a second factor."""
    return user.factor2 not in (None, "", NO_FACTOR2)
