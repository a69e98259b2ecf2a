"""The endpoints for API keys, where there is a session server to log in at."""

from __future__ import annotations

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._actions.accounts import AccountServices
from crossauth_fastapi._actions.routes import api_routes, page_routes
from crossauth_fastapi._api_keys.actions import ACTIONS
from crossauth_fastapi._api_keys.context import ApiKeyContext, Templates
from crossauth_fastapi._api_keys.options import COMPONENT, ApiKeyServerSettings


def add_endpoints(manager: ApiKeyManager, settings: ApiKeyServerSettings, accounts: AccountServices) -> None:
    """Add the pages and JSON endpoints of users, and of administrators where the application has endpoints for them.

    Parameters:
        manager: keeps the keys.
        settings: the options.
        accounts: the session server.

    Raises:
        CrossauthError: `Configuration` where the session server has other users, or a template is missing.
    """
    if accounts.users is None:
        return
    if accounts.users is not manager.user_storage:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'user_storage' must be the one of the session server, whose users have the pages; "
            "otherwise set 'enable_endpoints' to False",
        )
    shared = accounts.context
    ctx = ApiKeyContext(
        settings=Templates(settings, shared.settings),
        pages=shared.pages,
        endpoints=shared.endpoints,
        prefix=shared.prefix,
        admin_prefix=shared.admin_prefix,
        proxies=shared.proxies,
        manager=manager,
        options=settings,
        accounts=accounts,
    )
    _check_templates(ctx)
    for action in ACTIONS:
        if accounts.has_administrators or not action.admin:
            ctx.endpoints.update(action.endpoints)
            page_routes(accounts.router, ctx, action)
            api_routes(accounts.router, ctx, action)


def _check_templates(ctx: ApiKeyContext) -> None:
    for option in ("api_keys_page", "api_key_page"):
        name = ctx.settings.page(option)
        if not ctx.pages.has(name):
            raise CrossauthError(
                ErrorCode.Configuration, f"{COMPONENT}: option {option!r}: there is no template {name!r}"
            )
