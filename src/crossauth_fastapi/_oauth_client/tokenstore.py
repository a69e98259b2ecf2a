"""Where the tokens of a browser are kept: encrypted, in the data of its session, and nowhere else."""

from __future__ import annotations

from typing import Final, Protocol

from fastapi import Request
from starlette.requests import HTTPConnection

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.client.token_set import TokenSet

PURPOSE: Final = "oauth client tokens"


class TokensUnavailable(CrossauthError):
    """Tokens could not be refreshed, and may be later: the authorization server, or the network, is not there. They are kept."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(
            ErrorCode.FetchError, "The authorization server cannot be reached; try again in a moment", detail=detail, status=502,
            retry_after=5,
        )  # fmt: skip


class TokenStore(Protocol):
    """Keeps the tokens of a browser."""

    async def load(self, connection: HTTPConnection) -> TokenSet | None:
        """The tokens of the request's session, as it was when the request came; `None` where it has none, or they have ended.

        Nothing is read from storage on our own sessions: the session was read with the request.
        """
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
