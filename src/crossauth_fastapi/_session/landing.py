"""Where a browser lands after logging in or out, in an application that has no page of its own there."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from crossauth_fastapi._http.router import route_path
from crossauth_fastapi._middleware.refusals import prefers_html
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._session.context import SessionContext

TEMPLATE = "landing.jinja2"


def attach_landing_page(app: FastAPI, ctx: SessionContext) -> None:
    """Show a page to browsers that come to a root of `ctx` for which the application has no route, instead of a 404.

    Roots are the prefix, where the pages link to, and `/` where `login_redirect` or `logout_redirect` lead there. Anything that
    the application serves there comes first.
    """
    targets = {ctx.settings.login_redirect, ctx.settings.logout_redirect, ctx.prefix}
    roots = {target for target in targets if target in ("/", ctx.prefix)}
    not_found = app.router.default

    async def default(scope: Scope, receive: Receive, send: Send) -> None:
        if (
            "login" in ctx.endpoints
            and scope["type"] == "http"
            and scope["method"] in ("GET", "HEAD")
            and (route_path(scope) or "/") in roots
        ):
            request = Request(scope, receive)
            if isinstance(scope.get("state"), RequestState) and prefers_html(request):
                await ctx.render(request, TEMPLATE, {})(scope, receive, send)
                return
        await not_found(scope, receive, send)

    app.router.default = default
