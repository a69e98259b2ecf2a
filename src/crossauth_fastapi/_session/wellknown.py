"""Where password managers look for the page that changes a password: W3C, A Well-Known URL for Changing Passwords."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from crossauth_fastapi._http.redirects import found
from crossauth_fastapi._http.router import route_path
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.context import SessionContext

PATH: Final = "/.well-known/change-password"
_PAGE: Final = "changepassword"


def attach_change_password(app: FastAPI, ctx: SessionContext) -> None:
    """Redirect `PATH` to the page that changes a password, where there is one. A route of the application's comes first."""
    if _PAGE not in ctx.endpoints:
        return
    not_found = app.router.default

    async def default(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and route_path(scope) == PATH:
            state = scope.get("state")
            if isinstance(state, RequestState):
                await found(state.url(ctx.prefix + _PAGE))(scope, receive, send)
                return
        await not_found(scope, receive, send)

    app.router.default = default
