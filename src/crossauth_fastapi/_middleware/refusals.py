"""Answers to refusals that an application's own routes let through: a dependency's, mostly."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from crossauth_fastapi._http.errors import LoginRequired, as_reason, error_json
from crossauth_fastapi._http.redirects import found, with_query
from crossauth_fastapi._middleware.state import state_of


async def refuse(request: Request, e: Exception) -> Response:
    """The refusal as JSON; but a browser that asked for a page is sent to the login page, and back afterwards."""
    if isinstance(e, LoginRequired) and request.method == "GET" and prefers_html(request):
        login_url = state_of(request).site.login_url
        if login_url is not None:
            query = f"?{request.url.query}" if request.url.query else ""
            return found(with_query(login_url, next=request.url.path + query))
    return error_json(as_reason(e))


def prefers_html(request: Request) -> bool:
    """Whether the Accept header names HTML before JSON, as every browser's does for a page."""
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.get("accept", "").split(",")]
    return "text/html" in kinds and (
        "application/json" not in kinds or kinds.index("text/html") < kinds.index("application/json")
    )
