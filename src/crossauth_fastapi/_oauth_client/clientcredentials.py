"""The client credentials flow (RFC 6749 §4.4): tokens of this application's own, and of no user."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.responses import Response

from crossauth_backend.oauth.client import OAuthFlows
from crossauth_fastapi._actions.request import read_body
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._oauth_client.answers import answer_tokens
from crossauth_fastapi._oauth_client.bodies import ScopeBody, TokensGiven
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint
from crossauth_fastapi._oauth_client.steps import count_flow, scope_of


async def begin(ctx: ClientContext, request: Request, form: JsonOrFormData) -> Response:
    """Get the tokens."""
    scope = scope_of(ctx, read_body(ScopeBody, form).scope)
    await count_flow(ctx, request)
    response = await ctx.client.client_credentials_flow(scope or None)
    return await answer_tokens(ctx, request, response, OAuthFlows.ClientCredentials)


ENDPOINTS: Final = (
    ClientEndpoint(
        name="clientcredflow", method="POST", handler=begin, flows=(OAuthFlows.ClientCredentials,),
        summary="Get tokens for the application itself", operation_id="oauth_client_credentials_flow",
        body=ScopeBody, answer=TokensGiven, limits=("oauth_flow_address",),
    ),
)  # fmt: skip
