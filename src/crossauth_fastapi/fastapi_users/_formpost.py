"""Providers that send the browser back by a form (OAuth 2.0 Form Post Response Mode §2), as Apple does.

A browser sends no `SameSite=Lax` cookie with a form of another site. So the form is answered by a redirect to the same address
with what was in it, which the browser follows with its cookies; no cookie has to be made wider.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import RedirectResponse

from crossauth_backend.core.errors import CrossauthError
from crossauth_fastapi._http.bodies import FORM_TYPE, content_type, get_body, parse_body
from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi.fastapi_users._errors import TOO_LARGE
from crossauth_fastapi.fastapi_users.providers import ProviderClient

# What the callbacks read. Apple sends the user's name besides, once, as the browser tells it: nobody vouches for that.
_READ: Final = ("code", "state", "error", "iss")
_MAX_VALUE: Final = 4096


def add_form_post(router: APIRouter, client: Any, route_name: str) -> None:
    """Let a router take back what a provider sends by a form, if it is one that does.

    Parameters:
        router: with a GET route `/callback`.
        client: the provider.
        route_name: of that route.
    """
    if not isinstance(client, ProviderClient) or not client.posts_back:
        return

    @router.post(
        "/callback",
        name=f"{route_name}.post",
        summary="Come back from a provider by a form",
        status_code=303,
        response_class=RedirectResponse,
        responses={303: {"description": "The same address, with what was in the form."}, 400: {}, 413: TOO_LARGE},
    )
    async def callback_post(request: Request) -> Response:
        fields = await _fields(request)
        found = {name: fields[name] for name in _READ if isinstance(fields.get(name), str)}
        if any(len(value) > _MAX_VALUE for value in found.values()):
            raise HTTPException(400)
        # Relative, so that it is where the form came to, whatever a request says of the host.
        return Response(status_code=303, headers={"Location": f"?{urlencode(found)}", **NO_STORE})


async def _fields(request: Request) -> dict[str, Any]:
    if content_type(request.headers.get("content-type", "")) != FORM_TYPE:
        raise HTTPException(415)
    try:
        return await parse_body(request, await get_body(request))
    except CrossauthError as e:
        raise HTTPException(e.http_status, e.message) from None
