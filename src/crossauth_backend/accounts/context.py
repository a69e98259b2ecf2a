"""What every account service works with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.email_tokens.rules import moves_address
from crossauth_backend.events.listeners import Events
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.keys.kinds import ENDING_WITH_PASSWORD
from crossauth_backend.keys.record import Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage, SupportsTake
from crossauth_backend.limits.manager import AttemptLimits, Reservation
from crossauth_backend.sessions.device import Device
from crossauth_backend.sessions.manager import SessionCookie
from crossauth_backend.users.record import User, UserAndSecrets, UserId
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.stamp import (
    STAMP,
    digest_after,
    is_digest,
    new_stamp,
    replaces_credential,
    same_stamp,
    with_stamp,
)
from crossauth_backend.users.states import UserState
from crossauth_backend.users.storage import UserStorage, UserStorageGetOptions, or_none, replace_user

ANY_STATE: Final[UserStorageGetOptions] = {"skip_active_check": True, "skip_email_verified_check": True}


@dataclass(frozen=True, slots=True)
class Origin:
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


NOWHERE: Final = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Storages, factors and settings that the services in this room share."""

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
    root_path: str = ""
    validate_user: Callable[[Mapping[str, Any]], Any] = default_user_validator
    before_delete_user: Callable[[User], Any] | None = None

    @property
    def keys(self) -> KeyStorage:
        """Where sessions and other keys are."""
        return self.sessions.key_storage

    @property
    def now(self) -> datetime:
        """The time."""
        return self.sessions.clock()

    @property
    def factor2_needed(self) -> bool:
        """Whether every user has to have a second factor: some are offered, and "none" is not."""
        return bool(self.allowed_factor2) and not self.factor2_optional

    def factor1(self, user: User) -> Authenticator:
        """The first factor of `user`."""
        return self.factors[user.factor1]

    def need_emails(self) -> TokenEmailer:
        """What sends links by e-mail; they lead to where the request found the application.

        Raises:
            CrossauthError: `Configuration` where e-mail is not configured.
        """
        if self.emails is None:
            raise CrossauthError(ErrorCode.Configuration, detail="no e-mail is configured")
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

    async def replace(
        self,
        user: User,
        values: Mapping[str, Any],
        secrets: Mapping[str, Any] | None = None,
        *,
        expected: Mapping[str, Any] | None = None,
        refusal: ErrorCode = ErrorCode.InvalidSession,
    ) -> User:
        """Write what rests on a check of `user`, if the user still is what was checked; nothing is written otherwise.

        Parameters:
            user: as read before the check, by `find` or with the session.
            values: fields to set.
            secrets: secrets to set with them.
            expected: what the check rested on, where that is less than every credential.
            refusal: the reason that is given where the user is another by now.

        Returns:
            The user as stored, with the security stamp of right after this write, which is a new one where a credential was
            changed: a session that rests on it is void where somebody else has changed the user since.

        Raises:
            CrossauthError: `refusal`; `UserNotActive` where the account was disabled meanwhile; as `UserStorage.replace_user`.
        """
        if user.security_stamp is None:
            user = await self.user(user.id)
        before = await self.find(user.id) if is_digest(user.security_stamp) else None
        basis = {STAMP: user.security_stamp} if expected is None else expected
        changes = any(name in values and values[name] != user.get(name) for name in self.users.credentials)
        stamp = new_stamp() if changes or replaces_credential(secrets or ()) else None
        if not await replace_user(self.users, user.id, basis, values, secrets=secrets, stamp=stamp):
            raise await self.changed_meanwhile(user, refusal)
        stored = await self.user(user.id)
        if before is not None and is_digest(stored.security_stamp):
            # The storage has no place for a stamp. (A row that an older version left without one has it now.)
            stamp = digest_after(before, values, secrets or {}, self.users.credentials)
        if stamp is None:
            stamp = basis.get(STAMP, stored.security_stamp)
        return replace(stored, security_stamp=stamp)

    async def still(self, user: User) -> None:
        """Look again at `user`, on whose word something is about to be stored elsewhere than in the user's own row.

        A request can be in flight for as long as its sender likes; what it does counts only while its user is who was checked.

        Raises:
            CrossauthError: `InvalidSession` where a credential of the user has changed since, or the user is gone;
                `UserNotActive` where the account was disabled; `InsufficientPriviledges` where it is an administrator's no more.
        """
        found = await or_none(self.user(user.id))
        if found is None:
            raise CrossauthError(ErrorCode.InvalidSession)
        if user.security_stamp is not None and not same_stamp(user.security_stamp, found.security_stamp):
            raise await self.changed_meanwhile(user, ErrorCode.InvalidSession)
        if bool(user.get("admin")) and not found.get("admin"):
            raise CrossauthError(ErrorCode.InsufficientPriviledges)

    async def changed_meanwhile(self, user: User, refusal: ErrorCode) -> CrossauthError:
        """The reason for whoever was overtaken: `UserNotActive` for an account that is disabled by now, else `refusal`."""
        found = await or_none(self.user(user.id))
        if found is not None and found.state == UserState.disabled:
            return CrossauthError(ErrorCode.UserNotActive)
        said = "This account was changed meanwhile; log in again" if refusal is ErrorCode.InvalidSession else None
        return CrossauthError(refusal, said)

    async def take(self, value: str) -> Key:
        """Take a single-use key.

        Raises:
            CrossauthError: `InvalidKey`; `Configuration` for a storage that cannot take.
        """
        if not isinstance(self.keys, SupportsTake):
            raise CrossauthError(ErrorCode.Configuration, detail=f"{type(self.keys).__name__} has no method take_key")
        return await self.keys.take_key(value)

    async def end_sessions(self, userid: UserId, keep: Collection[str] = ()) -> None:
        """End every session of a user and revoke every token that stands for one or could start a new one: see `keys/kinds.py`.

        With them goes what was asked for in such a session and waits: another address.

        Parameters:
            userid: whose.
            keep: prefixes of keys that the caller sees to itself.
        """
        for prefix in ENDING_WITH_PASSWORD:
            if prefix not in keep:
                await self.keys.delete_all_for_user(userid, prefix)
        if self.email_tokens is not None and self.email_tokens is not self.keys:
            await self.email_tokens.delete_all_for_user(userid, KeyPrefix.password_reset_token)
        await self.end_address_changes(userid)

    async def end_address_changes(self, userid: UserId) -> None:
        """Let no link that waits give a user another address."""
        mailed = self.email_tokens or self.keys
        for key in await mailed.get_all_for_user(userid, KeyPrefix.email_verification_token):
            if moves_address(key):
                await mailed.delete_key(key.value)

    @asynccontextmanager
    async def limited(self, origin: Origin, user: User | None = None, **subjects: str | None) -> AsyncIterator[None]:
        """Count an attempt before the block makes it, and give it back where the block succeeds.

        Parameters:
            origin: where the request comes from.
            user: whose account it is about, where that is known.
            subjects: by the name of a limit, what is counted under it.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached; the block is not run then.
        """
        async with limited(self.limits, self.events, origin, user, **subjects):
            yield

    async def counted(self, origin: Origin, user: User | None = None, **subjects: str | None) -> None:
        """Count what costs something whether or not it succeeds, such as a message or an account.

        Parameters:
            origin: where the request comes from.
            user: whose account it is about, where that is known.
            subjects: by the name of a limit, what is counted under it.

        Raises:
            CrossauthError: `TooManyAttempts` where a limit is reached.
        """
        await reserve(self.limits, self.events, origin, user, **subjects)

    async def allowed(self, origin: Origin, user: User | None = None, **subjects: str | None) -> bool:
        """As `counted`, for what is left undone in silence where a limit is reached: whether it may be done."""
        return await self.limits.allows(subjects, self.events, address=origin.address, user=user)


@asynccontextmanager
async def limited(
    limits: AttemptLimits, events: Events, origin: Origin, user: User | None = None, **subjects: str | None
) -> AsyncIterator[None]:
    """As `Accounts.limited`, for whoever has no accounts but limits and events."""
    reservation = await reserve(limits, events, origin, user, **subjects)
    yield
    await limits.give_back(reservation)


async def reserve(
    limits: AttemptLimits, events: Events, origin: Origin, user: User | None = None, **subjects: str | None
) -> Reservation:
    """As `Accounts.counted`, for whoever has no accounts but limits and events."""
    return await limits.count(subjects, events, address=origin.address, user=user)


def has_factor2(user: User) -> bool:
    """Whether `user` signs in with a second factor."""
    return user.factor2 not in (None, "", NO_FACTOR2)
