"""The stored API keys of one user: read, added within a bound, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.api_keys.record import ApiKey, api_key_of, with_data
from crossauth_backend.api_keys.rules import count_keys, is_current, is_over
from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.reading import find_user
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import KeyStorage, can_swap
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import same_stamp
from crossauth_backend.users.states import refusal

TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class RequestedBy:
    """On whose word a key is made or changed.

    Parameters:
        address: the peer's address, for events.
        stamp: the security stamp of the key's user as whoever asks has read it, such as the `stamp` of the session's key. Where
            the user has another by the time the key is stored, the key is taken back.
        actor: the administrator who does it, where that is not the key's user; as read with the session.
    """

    address: str = ""
    stamp: str | None = field(default=None, repr=False)
    actor: User | None = None


UNKNOWN_REQUESTER: Final = RequestedBy()


class ApiKeyRows:
    """Reads and writes the rows of API keys.

    Parameters:
        storage: where the keys are.
        settings: the options of the manager.
        clock: what time it is.
    """

    def __init__(self, storage: KeyStorage, settings: ApiKeySettings, clock: Clock) -> None:
        self.storage, self.settings, self.clock = storage, settings, clock

    async def of_user(self, userid: UserId | None) -> list[ApiKey]:
        """Every row of a user, in any order."""
        return [_readable(key) for key in await self.storage.get_all_for_user(userid, self.settings.prefix)]

    async def family(self, userid: UserId | None, id: str) -> list[ApiKey]:
        """Every generation of one key, in any order; empty where there is none."""
        return [key for key in await self.of_user(userid) if key.id == id]

    async def user(self, userid: UserId | None) -> User | None:
        """The user of this id; `None` for nobody, and without a storage of users.

        Raises:
            CrossauthError: `UserNotExist`.
        """
        if userid is None or self.settings.user_storage is None:
            return None
        user = await find_user(self.settings.user_storage, userid)
        if user is None:
            raise CrossauthError(ErrorCode.UserNotExist)
        return user

    @asynccontextmanager
    async def added(self, key: ApiKey) -> AsyncIterator[None]:
        """Store a new row, which is worth something only once the block has passed; whatever goes wrong in it takes it back.

        A storage that cannot compare and set has it from the beginning; nobody knows its text yet.
        """
        waiting = with_data(key, pending=True) if can_swap(self.storage) else key
        try:
            await self.storage.save_key(key.userid, key.value, key.created, key.expires, waiting.data, key.extra)
            yield
            if waiting is not key and not await self.storage.swap_data(key.value, waiting.data, key.data):
                raise no_such_key()
        except BaseException:
            await self.storage.delete_key(key.value)
            raise

    async def make_room(self, userid: UserId | None) -> None:
        """Throw away what is over, and make sure that there is room for one key more.

        Raises:
            CrossauthError: `ConstraintViolation` where there is none.
        """
        if userid is None:
            return
        now, keys = self.clock(), await self.of_user(userid)
        for key in keys:
            if is_over(key, now):
                await self.storage.delete_key(key.value)
        if count_keys(keys, now) >= self.settings.max_per_user:
            raise self._too_many()

    async def check_room(self, userid: UserId | None) -> None:
        """Make sure that with a key which was just stored there are not too many, whoever stored one at the same time.

        Of several at the bound the last one to be stored sees all that are kept, and is not. Where they look at each other all of
        them may be refused, but never is there one too many.

        Raises:
            CrossauthError: `ConstraintViolation` where there are.
        """
        if userid is not None and count_keys(await self.of_user(userid), self.clock()) > self.settings.max_per_user:
            raise self._too_many()

    async def check_still(self, key: ApiKey, by: RequestedBy) -> None:
        """Make sure that whoever asked for a key is who was checked: looked at after the key was stored, for a request can be in
        flight for as long as its sender likes.

        Raises:
            CrossauthError: `InvalidSession` where a credential was changed since, or the account is gone; the reason of its state
                where it is not active.
        """
        subject = by.actor.id if by.actor is not None else key.userid
        stamp = by.actor.security_stamp if by.actor is not None else by.stamp
        if subject is None or self.settings.user_storage is None:
            return
        user = await find_user(self.settings.user_storage, subject)
        if user is None:
            raise CrossauthError(ErrorCode.InvalidSession)
        if stamp is None:
            return
        code = refusal(user.state) or (None if same_stamp(stamp, user.security_stamp) else ErrorCode.InvalidSession)
        if code is not None:
            raise CrossauthError(code)

    def _too_many(self) -> CrossauthError:
        most = self.settings.max_per_user
        return CrossauthError(
            ErrorCode.ConstraintViolation,
            mark("An account can have at most %(most)d API keys. Revoke one that you don't need.", most=most),
        )


def newest_of(family: list[ApiKey]) -> ApiKey:
    """The generation that was not rotated.

    Raises:
        CrossauthError: `InvalidKey` for a key that does not exist; `ConstraintViolation` while it is being rotated.
    """
    if not family:
        raise no_such_key()
    current = [key for key in family if is_current(key)]
    if not current:
        raise changed_meanwhile()
    return max(current, key=lambda key: (key.created, key.value))


def no_such_key() -> CrossauthError:
    """The reason for whoever names a key that is not there, or not any more."""
    return CrossauthError(ErrorCode.InvalidKey, mark("This API key doesn't exist. It may have been revoked."))


def changed_meanwhile() -> CrossauthError:
    """The reason for whoever was overtaken."""
    return CrossauthError(
        ErrorCode.ConstraintViolation, mark("This API key was changed at the same time. Reload the page.")
    )


def _readable(key: Key) -> ApiKey:
    """A row, also one whose data are broken: it must be seen to be revoked."""
    try:
        return api_key_of(key)
    except CrossauthError:
        return replace(api_key_of(replace(key, data="")), data=key.data)
