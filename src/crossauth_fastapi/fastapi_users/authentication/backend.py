"""A way to be logged in: a strategy that says what a token is, a transport that says how it travels."""

from __future__ import annotations

from typing import Any, Final, Generic

from fastapi import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    StrategyDestroyNotSupportedError,
    check_lifetime,
)
from crossauth_fastapi.fastapi_users.authentication.transport.base import (
    EmptyResponse,
    Transport,
    TransportLogoutNotSupportedError,
)
from crossauth_fastapi.fastapi_users.authentication.transport.bearer import BearerTransport
from crossauth_fastapi.fastapi_users.models import ID, UP
from crossauth_fastapi.fastapi_users.types import DependencyCallable

# The header of a logout's answer when what was sent stays good until it expires.
NOT_ENDED: Final = ("x-crossauth-logout", "not-ended")


class AuthenticationBackend(Generic[UP, ID]):
    """One way to be logged in.

    Parameters:
        name: names its routes.
        transport: how the token travels.
        get_strategy: a dependency that gives the strategy.
        refresh_lifetime_seconds: with a bearer transport, seconds after a login for which its token can be renewed; `None`
            for no refresh tokens.
        refresh_grace_seconds: seconds within which a refresh token that has just been used gives the same answer again, for a
            client that never got it; 0 for never. Later it ends its login.

    Raises:
        CrossauthError: `Configuration` for refresh tokens that could not be handed out, or would never be good.
    """

    # Seconds after a login for which its token can be renewed; `None` for no refresh tokens.
    refresh_lifetime_seconds: int | None = None
    # Seconds within which a refresh token that was just used gives the same successor again.
    refresh_grace_seconds: int = 60

    def __init__(
        self,
        name: str,
        transport: Transport,
        get_strategy: DependencyCallable[Strategy[UP, ID]],
        *,
        refresh_lifetime_seconds: int | None = None,
        refresh_grace_seconds: int = 60,
    ) -> None:
        check_lifetime("AuthenticationBackend", refresh_lifetime_seconds)
        if refresh_grace_seconds < 0:
            raise CrossauthError(
                ErrorCode.Configuration, "AuthenticationBackend: 'refresh_grace_seconds' must be 0 or more"
            )
        if refresh_lifetime_seconds is not None and not isinstance(transport, BearerTransport):
            raise CrossauthError(
                ErrorCode.Configuration, "AuthenticationBackend: only a BearerTransport hands out refresh tokens"
            )
        self.refresh_lifetime_seconds = refresh_lifetime_seconds
        self.refresh_grace_seconds = refresh_grace_seconds
        self.name = name
        self.transport = transport
        self.get_strategy: DependencyCallable[Any] = get_strategy

    async def login(self, strategy: Strategy[UP, ID], user: UP) -> Response:
        """The answer that logs a user in."""
        return await self.transport.get_login_response(await strategy.write_token(user))

    async def logout(self, strategy: Strategy[UP, ID], user: UP, token: str) -> Response:
        """The answer that logs a user out. The token ends; where tokens of its kind cannot, a header says so."""
        try:
            await strategy.destroy_token(token, user)
        except StrategyDestroyNotSupportedError:
            response = await self.logout_response()
            response.headers[NOT_ENDED[0]] = NOT_ENDED[1]
            return response
        return await self.logout_response()

    async def logout_response(self) -> Response:
        """The answer to a logout, whatever ended."""
        try:
            return await self.transport.get_logout_response()
        except TransportLogoutNotSupportedError:
            return EmptyResponse()
