"""New tokens for old ones: once, however many requests need them, in however many workers.

A refresh token that is rotated is good once. Whoever uses it a second time looks like a thief, and loses every token (RFC 9700
§4.14.2). So of all requests that find an access token ended, one asks the authorization server; the others wait for what it
stores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.single_flight import SingleFlight
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.client.client import OAuthClient
from crossauth_backend.oauth.client.token_set import TokenSet, is_final

# A lock stays in the storage for so long, whoever holds it: nobody may take one for free that was purged while it was held.
_STAYS: Final = timedelta(hours=1)
# How often in a row a worker may have died while it refreshed one set of tokens.
_MOST: Final = 10
_FIRST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 0.25
_NOTHING: Final = timedelta(0)


class TokensUnavailable(CrossauthError):
    """Tokens could not be refreshed, and may be later: the authorization server, or the network, is not there. They are kept."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(
            ErrorCode.FetchError, mark("The authorization server can't be reached. Try again in a moment."), detail=detail,
            status=502, retry_after=5,
        )  # fmt: skip


class Kept(Protocol):
    """The tokens of one session."""

    async def read(self) -> TokenSet | None:
        """As they are stored now."""
        ...

    async def write(self, tokens: TokenSet | None) -> bool:
        """Replace them, or remove them, if they still are what was read last; whether they were."""
        ...


class Refresher:
    """Gets new tokens.

    Parameters:
        client: asks the authorization server.
        keys: where workers tell each other who asks; `None` where each knows of itself only.
        clock: what time it is.
    """

    def __init__(self, client: OAuthClient, keys: KeyStorage | None, clock: Callable[[], datetime]) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        # The metadata, the tokens and the keys of a new ID token may have to be fetched, one after the other.
        self._holds = 4 * timedelta(seconds=client.settings.fetch_timeout) + timedelta(seconds=5)
        self._flights: SingleFlight[TokenSet | None] = SingleFlight()

    def is_due(self, tokens: TokenSet) -> bool:
        """Whether the access token has ended, or is about to."""
        return tokens.is_expired(self._clock())

    async def refresh(self, tokens: TokenSet, kept: Kept, *, forced: bool = False) -> TokenSet | None:
        """New tokens for `tokens`, or those that somebody else got for them meanwhile.

        It goes on when the request that began it goes away: what the authorization server has answered must not get lost.

        Parameters:
            tokens: have a refresh token.
            kept: where they are.
            forced: whether the old ones do not do, although they are still good.

        Returns:
            `None` where they are gone: forgotten meanwhile, or no longer accepted.

        Raises:
            TokensUnavailable: there is no answer now.
        """
        name = hash_token(f"{tokens.refresh_token} {tokens.access_token}")
        try:
            return await self._flights.run(name, lambda: self._alone(name, tokens, kept))
        except TokensUnavailable:
            if not forced and not tokens.is_expired(self._clock(), _NOTHING):
                return tokens
            raise

    async def _alone(self, name: str, tokens: TokenSet, kept: Kept) -> TokenSet | None:
        """The only one of this process, which may not be the only one of all."""
        wait, until = _FIRST_WAIT, self._clock() + self._holds
        while True:
            lock = await self._lock(name)
            if lock is not None:
                return await self._hold(lock, tokens, kept)
            now = await kept.read()
            if _has_changed(tokens, now):
                return now
            if self._clock() > until:
                raise TokensUnavailable("another worker has not come to an end")
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _hold(self, lock: str, tokens: TokenSet, kept: Kept) -> TokenSet | None:
        try:
            async with asyncio.timeout(self._holds.total_seconds() - 2):
                return await self._ask(tokens, kept)
        except Exception as e:
            await self._unlock(lock)
            if isinstance(e, CrossauthError):
                raise
            raise TokensUnavailable(type(e).__name__) from e

    async def _ask(self, tokens: TokenSet, kept: Kept) -> TokenSet | None:
        now = await kept.read()
        if _has_changed(tokens, now):
            # Somebody else was faster, or has ended it. The lock stays: it is for tokens that are no more.
            return now
        response = await self._client.refresh_token_flow(tokens.refresh_token or "", id_payload=tokens.id_payload)
        error, new = response.get("error"), None
        if not is_final(error):
            try:
                new = tokens.refreshed(response, self._clock())
            except ValueError:
                raise TokensUnavailable(f"the refresh was answered with {str(error)[:100]!a}") from None
        if await kept.write(new):
            return new
        # Somebody has logged in, or out, meanwhile: what this was about is no more.
        now = await kept.read()
        if now is None and new is not None and new.refresh_token and new.refresh_token != tokens.refresh_token:
            # Whoever logged out gave back another one.
            await self._client.revoke(new.refresh_token, "refresh_token")
        return now

    async def _lock(self, name: str) -> str | None:
        """Be the only one to refresh: what to unlock, or `None` where somebody else is.

        A lock whose holder has died is not taken over, for two might do so at once; the next one is taken instead.
        """
        if self._keys is None:
            return ""
        now = self._clock()
        for number in range(_MOST):
            lock = f"oauth refresh {name} {number}"
            if await consume_once(self._keys, lock, now, now + _STAYS):
                return lock
            try:
                held = await self._keys.get_key(_value(lock))
            except CrossauthError as e:
                if e.code is not ErrorCode.InvalidKey:
                    raise
                return None
            if held.created + self._holds > now:
                return None
        return None

    async def _unlock(self, lock: str) -> None:
        if self._keys is not None:
            await self._keys.delete_key(_value(lock))


def _has_changed(tokens: TokenSet, now: TokenSet | None) -> bool:
    return now is None or now.access_token != tokens.access_token


def _value(lock: str) -> str:
    return KeyPrefix.consumed + hash_token(lock)
