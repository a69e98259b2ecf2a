"""Checking an API key that a request presents: one read, and nothing else on the way of the request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.api_keys.record import ApiKey, VerifiedApiKey, api_key_of
from crossauth_backend.api_keys.rules import key_refusal
from crossauth_backend.api_keys.token import secret_of, stored, token_digest
from crossauth_backend.core.clock import Clock
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.events.listeners import Events
from crossauth_backend.events.record import EventName
from crossauth_backend.events.seldom import Seldom
from crossauth_backend.keys.lastuse import TOUCH_INTERVAL, LastUse
from crossauth_backend.keys.reading import key_with_user_reader
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.leases import LeasedLimit
from crossauth_backend.limits.rules import read_limits
from crossauth_backend.users.record import User

logger = logging.getLogger("crossauth.api_keys")
LIMIT: Final = "api_key"
# Of how many keys a process remembers what their data say, and how long those may be.
_MANY: Final = 10_000
_LONGEST_DATA: Final = 2_000
K = TypeVar("K")
V = TypeVar("V")
AddressOf: TypeAlias = str | Callable[[], str]
"""The peer's address, or what finds it out: few requests make an event that names it."""


class ApiKeyVerifier:
    """Finds the key and the user of a text that a client sent.

    Parameters:
        storage: where the keys are.
        settings: the options of the manager.
        events: who is told of a key's first use, and of refusals.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration` for a secret or limits that cannot be, or a storage that cannot count.
    """

    def __init__(self, storage: KeyStorage, settings: ApiKeySettings, events: Events, clock: Clock) -> None:
        self._settings, self._events, self._clock = settings, events, clock
        self._secret = check_secret(settings.secret, "ApiKeyManager")
        self._read = key_with_user_reader(storage, settings.user_storage)
        self._limit = read_limits(settings.attempt_limits).get(LIMIT)
        self._storage = storage
        self._counts: LeasedLimit | None = None
        if self._limit is not None:
            self.counts()
        self._seldom = Seldom(clock)
        # Under what keys are stored, by the digests of their texts.
        self._values: dict[bytes, str] = {}
        # What was read of keys, by their stored value. The storage is asked for each request all the same.
        self._known: dict[str, tuple[Key, ApiKey]] = {}
        self.last_use = LastUse(storage)

    async def verify(self, token: str, address: AddressOf = "") -> VerifiedApiKey:
        """The key, if it is good, and its user. The time of use is written at most once a minute, a moment later.

        Raises:
            CrossauthError: as `find`; `TooManyAttempts`, with `retry_after`, beyond the limit of the key.
        """
        found = await self.find(token, address)
        key, now = found.key, self._clock()
        await self._count(found, address)
        used = self.last_use.waiting.get(key.value) or key.lastactive
        if used is None:
            self._events.emit(EventName.api_key_used, found.user, address=_text(address), client=key.id)
        if used is None or now - used >= TOUCH_INTERVAL:
            self.last_use.note(key.value, now)
        return found

    async def find(self, token: str, address: AddressOf = "") -> VerifiedApiKey:
        """The key, if it is good, and its user; nothing is counted or written.

        Raises:
            CrossauthError: `InvalidKey` for no key of ours, and where its user is gone or not active; `Expired`.
        """
        name = token_digest(token)
        value = self._values.get(name)
        if value is None:
            secret = secret_of(token, self._settings.token_prefix, self._secret)
            value = None if secret is None else stored(self._settings.prefix, secret)
        read = None if value is None else await self._read(value)
        if value is None or read is None:
            raise CrossauthError(ErrorCode.InvalidKey)
        _remember(self._values, name, value)
        key, user = self._api_key(read[0]), read[1]
        known = self._settings.user_storage is not None
        code = key_refusal(key, user, self._clock(), users_known=known)
        if code is None:
            return VerifiedApiKey(key, user)
        self._tell_refused(key, user, code, address)
        # Which state an account is in is nobody's business who holds a key.
        public = code if code is ErrorCode.Expired else ErrorCode.InvalidKey
        raise CrossauthError(public, detail=f"API key {key.id}: {code.name}")

    def counts(self) -> LeasedLimit:
        """What counts the requests.

        Raises:
            CrossauthError: `Configuration` where the storage cannot count.
        """
        if self._counts is None:
            self._counts = LeasedLimit(self._storage, LIMIT, self._clock)
        return self._counts

    async def _count(self, found: VerifiedApiKey, address: AddressOf) -> None:
        limit = found.key.limit or self._limit
        if limit is None:
            return
        reached = await self.counts().count(found.key.id, limit)
        if reached is None:
            return
        if reached.first:
            self._events.emit(
                EventName.attempts_limited, found.user, address=_text(address), reason=LIMIT, client=found.key.id
            )
        raise CrossauthError(
            ErrorCode.TooManyAttempts, detail=f"limit {LIMIT} of {found.key.id}", retry_after=reached.retry_after
        )

    def _api_key(self, key: Key) -> ApiKey:
        """The API key in a stored key, read from its data once for as long as they are the same."""
        known = self._known.get(key.value)
        if known is not None and known[0] == key:
            return known[1]
        try:
            found = api_key_of(key)
        except CrossauthError as e:
            logger.warning("the data of an API key cannot be read; it is refused")
            raise CrossauthError(ErrorCode.InvalidKey, detail=e.detail) from e
        # An application may change what is in `extra`, which is then for its own request only.
        if not key.extra and len(key.data) <= _LONGEST_DATA:
            self._known.pop(key.value, None)
            _remember(self._known, key.value, (key, found))
        return found

    def _tell_refused(self, key: ApiKey, user: User | None, code: ErrorCode, address: AddressOf) -> None:
        # A program goes on trying a key that has ended.
        if self._seldom.is_due(key.value):
            self._events.emit(EventName.api_key_refused, user, address=_text(address), reason=code.name, client=key.id)


def _remember(known: dict[K, V], name: K, value: V) -> None:
    """Keep something for a process, and forget the oldest where that is too much."""
    if name not in known and len(known) >= _MANY:
        del known[next(iter(known))]
    known[name] = value


def _text(address: AddressOf) -> str:
    return address if isinstance(address, str) else address()
