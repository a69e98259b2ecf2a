"""The endpoints for linked accounts: once for an application, whichever of its clients links accounts."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from crossauth_fastapi._actions.routes import api_routes, page_routes
from crossauth_fastapi._oauth_client.context import ClientContext
from crossauth_fastapi._oauth_client.links import ACTIONS, TEMPLATE, LinksContext
from crossauth_fastapi._oauth_client.options import wrong

_ATTRIBUTE: Final = "crossauth_linked_accounts"


def add_links(app: FastAPI, router: APIRouter, ctx: ClientContext) -> None:
    """Let users link their accounts at the provider of a client, if the option `link_accounts` says so.

    Parameters:
        app: the application.
        router: gets the routes, if this is the first such client.
        ctx: the client.

    Raises:
        CrossauthError: `Configuration` where a template is missing.
    """
    services = ctx.accounts
    if not ctx.options.link_accounts or services is None:
        return
    known: LinksContext | None = getattr(app.state, _ATTRIBUTE, None)
    if known is not None:
        known.clients.append(ctx)
        return
    shared = services.context
    links = LinksContext(
        settings=shared.settings, pages=shared.pages, endpoints=shared.endpoints, prefix=shared.prefix,
        admin_prefix=shared.admin_prefix, proxies=shared.proxies, services=services, clients=[ctx],
    )  # fmt: skip
    if not links.pages.has(TEMPLATE):
        raise wrong(f"option 'link_accounts': there is no template {TEMPLATE!r}")
    setattr(app.state, _ATTRIBUTE, links)
    for action in ACTIONS:
        links.endpoints.update(action.endpoints)
        page_routes(router, links, action)
        api_routes(router, links, action)
