"""What is answered when a flow has given tokens, or an error: as the options `token_response_type` and `error_response_type` say."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.oauth.client.responses import OAuthTokenResponse
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.context import ClientContext


async def answer_tokens(
    ctx: ClientContext,
    request: Request,
    response: OAuthTokenResponse,
    flow: str,
    *,
    target: str = "",
    before: TokenSet | None = None,
) -> Response:
    """Answer a request that a flow has given tokens, as the option `token_response_type` says.

    Parameters:
        ctx: the client.
        request: the request.
        response: what the flow has returned. An error is raised.
        flow: which one, by its name in `OAuthFlows`.
        target: where the browser is to go on, a path of this site; empty for what the options say.
        before: the tokens that these renew.

    Raises:
        CrossauthError: the response is an error, or the tokens cannot be kept.
    """
    ...


async def answer_error(ctx: ClientContext, request: Request, e: Exception) -> Response:
    """Answer a request that failed, as the option `error_response_type` says, after logging it. It raises nothing.

    Parameters:
        ctx: the client.
        request: the request.
        e: why.
    """
    ...


def as_crossauth_error(response: OAuthTokenResponse) -> CrossauthError:
    """The reason that an error of a flow stands for. What the authorization server says of it is shown, unless it is no text.

    Parameters:
        response: has `error`, and perhaps `error_description`.
    """
    ...


def error_fields(e: CrossauthError) -> dict[str, Any]:
    """The documented fields of an error of the client: `status`, `error_message`, `error_messages`, `error_code`,
    `error_code_name`.
    """
    ...


def error_json(e: CrossauthError) -> Response:
    """An error as JSON, with `ok` false and the documented fields."""
    ...
