"""Recovery codes as a file: what the page shows, sent back as text, so that it works without a script.

The codes are in the body of the request and in the answer, never in a URL. Nothing is looked up and nothing is stored.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.errors import error_json
from crossauth_fastapi._middleware.decision import csrf_refusal
from crossauth_fastapi._middleware.state import state_of
from crossauth_fastapi._pages.environment import SAFE_HEADERS
from crossauth_fastapi._session.context import SessionContext

NAME: Final = "recoverycodes.txt"
_CODES: Final = re.compile(r"[0-9A-Za-z-]{1,64}(?: [0-9A-Za-z-]{1,64}){0,63}", re.ASCII)
_HEADERS: Final = {**SAFE_HEADERS, "Content-Disposition": 'attachment; filename="recovery-codes.txt"'}


def codes_file_route(router: APIRouter, ctx: SessionContext) -> None:
    """Add the route that a page of recovery codes sends them to, where there is such a page."""
    if ctx.endpoints.isdisjoint(("recoverycodes", "configurefactor2")):
        return

    async def codes_file(request: Request) -> Response:
        form = JsonOrFormData(request)
        try:
            await form.load()
            # Another site is not to have a file saved as ours.
            if not state_of(request)["csrf_token"]:
                raise csrf_refusal(state_of(request))
            codes = form.getAsStr("codes") or ""
            if not _CODES.fullmatch(codes):
                raise CrossauthError(
                    ErrorCode.BadRequest, "codes must be recovery codes with single spaces between them"
                )
        except CrossauthError as e:
            return error_json(e)
        return Response(codes.replace(" ", "\r\n") + "\r\n", media_type="text/plain", headers=_HEADERS)

    router.add_api_route(ctx.prefix + NAME, codes_file, methods=["POST"], include_in_schema=False)
