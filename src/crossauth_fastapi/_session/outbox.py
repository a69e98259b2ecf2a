"""In development: the mail that would have been sent, as a page and as JSON."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.delivery.outbox import Outbox
from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._session.context import SessionContext

# A mail is a document that an application's templates wrote: it may have styles and the site's logo, and runs nothing. In the
# sandbox it is of no origin, so that it reaches neither cookies nor pages; its links open as those of a mail do.
MAIL_HEADERS: Final = {
    **NO_STORE,
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def check_outbox(ctx: SessionContext) -> None:
    """Refuse to start with an outbox on anything but localhost.

    Raises:
        CrossauthError: `Configuration`.
    """
    if outbox_of(ctx) is not None and not ctx.local_site:
        raise CrossauthError(
            ErrorCode.Configuration,
            "Option 'mailer': an Outbox shows everybody's mail, so it needs site_url to be http://localhost; "
            "anywhere else configure 'smtp_host'",
        )


def outbox_of(ctx: SessionContext) -> Outbox | None:
    """The outbox that is the server's mailer, if it is one."""
    mailer = ctx.manager.emails.mailer if ctx.manager.emails else ctx.manager.settings.mailer
    return mailer if isinstance(mailer, Outbox) else None


def outbox_routes(router: APIRouter, ctx: SessionContext) -> None:
    """The routes; they are not there unless the mailer is an outbox."""
    outbox = outbox_of(ctx)
    if outbox is None:
        return

    async def page(request: Request) -> Response:
        return ctx.render(request, ctx.settings.page("outbox_page"), {"sent": outbox.sent})

    async def api(request: Request) -> Response:
        view = [
            {"to": mail.to, "subject": mail.subject, "text": mail.text, "html": mail.html, "sent": at.isoformat()}
            for mail, at in outbox.sent
        ]
        return JSONResponse(view, headers=NO_STORE)

    async def html(request: Request) -> Response:
        requested = request.path_params["message_id"]
        found = next((mail.html for mail, _ in outbox.sent if mail.message_id == requested and mail.html), None)
        if found is None:
            raise HTTPException(404)
        return HTMLResponse(found, headers=MAIL_HEADERS)

    for path, endpoint in (("outbox", page), ("api/outbox", api), ("outbox/{message_id}", html)):
        router.add_api_route(ctx.prefix + path, _local_only(ctx, endpoint), methods=["GET"], include_in_schema=False)


def _local_only(
    ctx: SessionContext, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def checked(request: Request) -> Response:
        # The site says it is on localhost; the socket must say so too, should the server listen to the network after all, and
        # so must the browser: a page of another site whose name was made to lead here could read everybody's mail.
        here = is_local_host(request.headers.get("host", ""))
        if request.client is None or not _is_loopback(request.client.host) or not here:
            raise HTTPException(404)
        await ctx.manager.queue.idle()
        return await endpoint(request)

    return checked


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "testclient")
