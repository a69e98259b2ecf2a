"""Where the tokens of a browser are kept: encrypted, in the data of its session, and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.types import Scope

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._oauth_client.refreshing import Refresher
from crossauth_fastapi._oauth_client.refreshing import TokensUnavailable as TokensUnavailable
from crossauth_fastapi._oauth_client.sealing import Seal, login_in

# Where the tokens of a request are remembered while it lasts.
_SCOPE: Final = "crossauth.oauth_tokens"


class TokenStore(Protocol):
    """Keeps the tokens of a browser."""

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        """The tokens of the request's session, as it was when the request came; `None` where it has none, or they have ended.

        Nothing is read from storage on our own sessions: the session was read with the request.
        """
        ...

    async def recheck(self, connection: HTTPConnection) -> TokenSet | None:
        """As `load`, for a request that lasts, whose session was looked at again: nothing is remembered of the first look."""
        ...

    async def save(self, request: Request, tokens: TokenSet, *, renew: bool = True) -> None:
        """Keep tokens in the request's session. Where it has none, one of nobody is opened.

        Parameters:
            request: the request.
            tokens: the tokens.
            renew: whether a session of nobody gets a new id, as after every login.

        Raises:
            CrossauthError: `InvalidSession` where the session has ended meanwhile and `renew` is false; `Configuration` where
                there are no sessions.
        """
        ...

    async def delete(self, connection: HTTPConnection) -> None:
        """Forget the tokens; nothing happens where there are none."""
        ...

    async def part(self, connection: HTTPConnection, iss: str, sub: str) -> None:
        """Let the session go on without an account at the provider: without its tokens, and not ending with a login of it."""
        ...

    async def fresh(self, connection: HTTPConnection, *, force: bool = False) -> TokenSet | None:
        """The tokens, refreshed first where the access token has ended and can be; with `force` also where it has not.

        Of any number of requests at once, in any number of workers, one asks the authorization server, and all get what it got.

        Returns:
            The tokens; `None` where there are none, or the authorization server says that they are gone for good: they are
            forgotten then. Tokens that have ended, and cannot be refreshed, are returned as they are.

        Raises:
            TokensUnavailable: nobody can say now; the tokens are kept.
        """
        ...

    async def access_token(self, connection: HTTPConnection) -> str | None:
        """The access token, as `fresh` gives it; `None` where it is nobody's, see `is_nobody_s`."""
        ...

    def entry(self, tokens: TokenSet, *, with_tokens: bool = True) -> dict[str, Any]:
        """What a session is opened with by a login: an entry of its data, by its name.

        It says whose login that was, also when the tokens are gone: the session ends with the login (`opened_session`).

        Parameters:
            tokens: of the login.
            with_tokens: whether they are kept, too.
        """
        ...

    def seen(self, connection: HTTPConnection) -> bool:
        """Whether the request's session has an entry of this client, as far as is known without reading anything."""
        ...


class Place(Protocol):
    """Session data in which one entry is ours."""

    async def seen(self, connection: HTTPConnection) -> Any:
        """The entry as it was when the request came."""
        ...

    async def now(self, connection: HTTPConnection) -> Any:
        """The entry as it is stored now."""
        ...

    async def write(self, connection: HTTPConnection, entry: Any) -> None:
        """Replace the entry; `None` removes it.

        Raises:
            CrossauthError: `InvalidSession` where there is no session.
        """
        ...

    async def swap(self, connection: HTTPConnection, before: Any, entry: Any) -> bool:
        """As `write`, where the entry that is stored still is `before`; whether it was."""
        ...

    async def keep(self, request: Request, entry: Any) -> None:
        """Replace the entry after a login, in a session that nobody knew before, or that is somebody's."""
        ...

    def has(self, connection: HTTPConnection) -> bool:
        """Whether there may be an entry, as far as is known without reading anything."""
        ...


Ended = Callable[[TokenSet], Awaitable[bool]]


class StoredTokens:
    """Keeps tokens in session data.

    Parameters:
        name: the option `session_data_name`.
        place: the session data.
        seal: encrypts.
        refresher: gets new tokens.
        ended: whether the provider has ended the login that tokens are of.
        end_session: ends a local session that the login has opened.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        seal: Seal,
        refresher: Refresher,
        ended: Ended | None = None,
        end_session: Callable[[HTTPConnection], Awaitable[None]] | None = None,
    ) -> None:
        self._name, self._place, self._seal, self._refresher = name, place, seal, refresher
        self._ended, self._end_session = ended, end_session

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        """See `TokenStore.load`."""
        known = connection.scope.get(_SCOPE, {})
        if self._name in known:
            tokens: TokenSet | None = known[self._name]
            return tokens
        entry = await self._place.seen(connection)
        tokens = self._seal.open(entry)
        if await self._end(connection, entry, tokens):
            return None
        self._remember(connection, tokens)
        return tokens

    async def _end(self, connection: HTTPConnection, entry: Any, tokens: TokenSet | None) -> bool:
        """End what rests on a login that the provider has ended; whether there was such a thing."""
        if self._ended is None:
            return False
        opened = tokens is not None and tokens.opened_session and self._end_session is not None
        login = tokens if opened else self._seal.open_login(entry)
        if login is not None and self._end_session is not None and await self._ended(login):
            self._remember(connection, None)
            # With everything in it: where this fails, the next request finds the same.
            await self._end_session(connection)
            return True
        if tokens is None or opened or not await self._ended(tokens):
            return False
        await self.delete(connection)
        return True

    async def recheck(self, connection: HTTPConnection) -> TokenSet | None:
        """See `TokenStore.recheck`."""
        connection.scope.get(_SCOPE, {}).pop(self._name, None)
        return await self.load(connection)

    async def save(self, request: Request, tokens: TokenSet, *, renew: bool = True) -> None:
        """See `TokenStore.save`."""
        write = self._place.keep if renew else self._place.write
        await write(request, {**self._seal.close(tokens), **await self._login(request)})
        self._remember(request, tokens)

    async def delete(self, connection: HTTPConnection) -> None:
        """See `TokenStore.delete`."""
        self._remember(connection, None)
        try:
            await self._place.write(connection, await self._login(connection) or None)
        except CrossauthError as e:
            # A session that has ended holds nothing any more.
            if e.code is not ErrorCode.InvalidSession:
                raise

    async def part(self, connection: HTTPConnection, iss: str, sub: str) -> None:
        """See `TokenStore.part`."""
        entry = await self._place.seen(connection)
        tokens, login = self._seal.open(entry), self._seal.open_login(entry)
        if not _is_of(tokens, iss, sub) and not _is_of(login, iss, sub):
            return
        stored = {} if tokens is None or _is_of(tokens, iss, sub) else self._seal.close(tokens)
        stored |= {} if _is_of(login, iss, sub) else login_in(entry)
        await self._place.write(connection, stored or None)
        connection.scope.get(_SCOPE, {}).pop(self._name, None)

    async def fresh(self, connection: HTTPConnection, *, force: bool = False) -> TokenSet | None:
        """See `TokenStore.fresh`."""
        tokens = await self.load(connection)
        if tokens is None or tokens.refresh_token is None:
            return tokens
        if not force and not self._refresher.is_due(tokens):
            return tokens
        found = await self._refresher.refresh(tokens, _Kept(self, connection), forced=force)
        self._remember(connection, found)
        return found

    async def access_token(self, connection: HTTPConnection) -> str | None:
        """See `TokenStore.access_token`."""
        tokens = await self.fresh(connection)
        return None if tokens is None or is_nobody_s(tokens, connection) else tokens.access_token

    def entry(self, tokens: TokenSet, *, with_tokens: bool = True) -> dict[str, Any]:
        """See `TokenStore.entry`."""
        stored = self._seal.close(tokens) if with_tokens else {}
        return {self._name: {**stored, **(self._seal.close_login(tokens) if tokens.opened_session else {})}}

    def seen(self, connection: HTTPConnection) -> bool:
        """See `TokenStore.seen`."""
        return self._place.has(connection)

    async def now(self, connection: HTTPConnection) -> tuple[TokenSet | None, Any]:
        """The tokens as they are stored now, and the entry that they are in."""
        entry = await self._place.now(connection)
        return self._seal.open(entry), entry

    async def swap(self, connection: HTTPConnection, before: Any, tokens: TokenSet) -> bool:
        """Replace the tokens where the entry still is `before`; whether it was."""
        return await self._place.swap(connection, before, {**self._seal.close(tokens), **login_in(before)})

    async def give_up(self, connection: HTTPConnection, before: Any) -> bool:
        """Remove the tokens, which the authorization server takes no more, where the entry still is `before`; whether it was.

        A session that their login has opened ends with them (RFC 10017, on sessions and refresh tokens).
        """
        tokens = self._seal.open(before)
        if not await self._place.swap(connection, before, login_in(before) or None):
            return False
        if tokens is not None and tokens.opened_session and self._end_session is not None:
            await self._end_session(connection)
        return True

    async def _login(self, connection: HTTPConnection) -> dict[str, Any]:
        """What stays in the entry, whatever becomes of the tokens: a session is opened once."""
        return {} if self._end_session is None else login_in(await self._place.seen(connection))

    def _remember(self, connection: HTTPConnection, tokens: TokenSet | None) -> None:
        connection.scope.setdefault(_SCOPE, {})[self._name] = tokens


def _is_of(tokens: TokenSet | None, iss: str, sub: str) -> bool:
    declared = (tokens.id_payload if tokens is not None else None) or {}
    return declared.get("iss") == iss and declared.get("sub") == sub


def is_nobody_s(tokens: TokenSet, connection: HTTPConnection) -> bool:
    """Whether tokens are the application's own (RFC 6749 §4.4), and nobody is logged in who may use them.

    Anybody can have them put into a session: what the application may do at the API, everybody could do.
    """
    if tokens.flow != OAuthFlows.ClientCredentials:
        return False
    state = state_of(connection)
    return state["user"] is None and all(identity.user is None for identity in state.identities.values())


class _Kept:
    """The tokens of one session, for whoever refreshes them."""

    def __init__(self, store: StoredTokens, connection: HTTPConnection) -> None:
        self._store, self._connection = store, connection
        self._entry: Any = None

    async def read(self) -> TokenSet | None:
        """As they are stored now."""
        tokens, self._entry = await self._store.now(self._connection)
        return tokens

    async def write(self, tokens: TokenSet | None) -> bool:
        """Replace them, or remove them, if they still are what was read; whether they were."""
        try:
            if tokens is None:
                return await self._store.give_up(self._connection, self._entry)
            return await self._store.swap(self._connection, self._entry, tokens)
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidSession:
                raise
            return False


def look_anew(scope: Scope) -> None:
    """Let the tokens of a request be read again, for it lasts longer than most."""
    scope.pop(_SCOPE, None)


class NoTokens:
    """Keeps none: there are no sessions. Options that need them are refused at the start."""

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        """See `TokenStore.load`."""
        return None

    async def recheck(self, connection: HTTPConnection) -> TokenSet | None:
        """See `TokenStore.recheck`."""
        return None

    async def save(self, request: Request, tokens: TokenSet, *, renew: bool = True) -> None:
        """See `TokenStore.save`."""
        raise CrossauthError(ErrorCode.Configuration, detail="tokens cannot be kept: there are no sessions")

    async def delete(self, connection: HTTPConnection) -> None:
        """See `TokenStore.delete`."""

    async def part(self, connection: HTTPConnection, iss: str, sub: str) -> None:
        """See `TokenStore.part`."""

    async def fresh(self, connection: HTTPConnection, *, force: bool = False) -> TokenSet | None:
        """See `TokenStore.fresh`."""
        return None

    async def access_token(self, connection: HTTPConnection) -> str | None:
        """See `TokenStore.access_token`."""
        return None

    def entry(self, tokens: TokenSet, *, with_tokens: bool = True) -> dict[str, Any]:
        """See `TokenStore.entry`."""
        return {}

    def seen(self, connection: HTTPConnection) -> bool:
        """See `TokenStore.seen`."""
        return False
