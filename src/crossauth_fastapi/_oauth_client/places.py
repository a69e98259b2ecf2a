"""The session data in which tokens are: those of our session server, and those of another framework's sessions."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._middleware.decision import SESSION_KEY
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._middleware.whereabouts import connection_of
from crossauth_fastapi.fastapiserverbase import FastApiServerBase


class OwnSessions:
    """Sessions of the session server.

    Parameters:
        accounts: the session server.
        name: the entry.
    """

    def __init__(self, accounts: AccountServices, name: str) -> None:
        self._accounts, self._name = accounts, name
        # As it stands in the text of the data.
        self._mark = json.dumps(name)

    async def seen(self, connection: HTTPConnection) -> Any:
        """See `Place.seen`."""
        key = self._key(connection)
        return None if key is None or not self._is_in(key) else get_json_data(key).get(self._name)

    async def now(self, connection: HTTPConnection) -> Any:
        """See `Place.now`."""
        return await self._accounts.session_data(connection, self._name)

    async def write(self, connection: HTTPConnection, entry: Any) -> None:
        """See `Place.write`."""
        await self._accounts.write_data(connection, {self._name: entry})

    async def swap(self, connection: HTTPConnection, before: Any, entry: Any) -> bool:
        """See `Place.swap`."""
        return await self._accounts.swap_data(connection, self._name, before, entry)

    async def keep(self, request: Request, entry: Any) -> None:
        """See `Place.keep`."""
        key = self._key(request)
        if key is not None and key.userid is not None:
            await self.write(request, entry)
        else:
            await self._accounts.open_session(request, {self._name: entry})

    def has(self, connection: HTTPConnection) -> bool:
        """See `Place.has`."""
        key = self._key(connection)
        return key is not None and self._is_in(key)

    def _is_in(self, key: Key) -> bool:
        # Looked for before anything is parsed: most sessions hold no tokens.
        return self._mark in key.data

    @staticmethod
    def _key(connection: HTTPConnection) -> Key | None:
        """The session, whoever the request is made in the name of."""
        session = state_of(connection).identities.get("session")
        key: Key | None = None if session is None else session.fields.get(SESSION_KEY)
        return key


class AdapterSessions:
    """Sessions of another framework. They are asked by what every session adapter can do.

    Parameters:
        server: has the adapter.
        name: the entry.
    """

    def __init__(self, server: FastApiServerBase, name: str) -> None:
        self._server, self._name = server, name

    async def seen(self, connection: HTTPConnection) -> Any:
        """See `Place.seen`."""
        return await self.now(connection)

    async def now(self, connection: HTTPConnection) -> Any:
        """See `Place.now`."""
        request: Any = connection_of(connection.scope)
        return await self._server.get_session_data(request, self._name)

    async def write(self, connection: HTTPConnection, entry: Any) -> None:
        """See `Place.write`."""
        request: Any = connection_of(connection.scope)
        if entry is None:
            await self._server.delete_session_data(request, self._name)
        else:
            await self._server.update_session_data(request, self._name, entry)

    async def swap(self, connection: HTTPConnection, before: Any, entry: Any) -> bool:
        """See `Place.swap`. Adapters cannot compare and set, so it is as near to that as can be."""
        if await self.now(connection) != before:
            return False
        await self.write(connection, entry)
        return True

    async def keep(self, request: Request, entry: Any) -> None:
        """See `Place.keep`. Whether the id of the session is renewed is for whoever keeps the sessions."""
        try:
            await self.write(request, entry)
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidSession:
                raise
            raise CrossauthError(
                ErrorCode.InvalidSession, mark("There is no session for the tokens. Allow cookies and try again.")
            ) from e

    def has(self, connection: HTTPConnection) -> bool:
        """See `Place.has`: not known before the adapter is asked."""
        return True
