"""Logging in here the user whom a login at the provider belongs to, and linking accounts."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.attempts import Attempt
from crossauth_fastapi._oauth_client.context import ClientContext


async def signed_in(
    ctx: ClientContext, request: Request, attempt: Attempt, tokens: TokenSet
) -> Response | TokenSet | None:
    """What a login at the provider does here, besides giving tokens.

    Parameters:
        ctx: the client.
        request: the request.
        attempt: the login.
        tokens: what it gave.

    Returns:
        The answer, where that is another one than a login gets; or the tokens as they are to be kept, such as those of a login
        that has opened a session here; `None` where nothing has changed about them.

    Raises:
        CrossauthError: the login is refused here.
    """
    return None
