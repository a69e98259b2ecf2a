"""The options of an OAuth client for one of the known providers, as types have them."""

from __future__ import annotations

from typing import Any

from crossauth_backend.oauth.client import provider_settings
from crossauth_backend.oauth.client.providers import Provider
from crossauth_fastapi._oauth_client.options import FastApiOAuthClientOptions


def provider_options(provider: str | Provider, **settings: Any) -> FastApiOAuthClientOptions:
    """The options of a client that logs users in with a provider: `{"oauth_client": {"options": provider_options("google", …)}}`.

    `get_oauth_router` of FastAPI Users takes them in place of a client of httpx-oauth.

    Parameters:
        provider: `google`, `microsoft`, `github`, `apple`, `gitlab`, `discord`, `keycloak`, `auth0`, `okta`, `openid` (any other
            with a discovery document), or a `Provider` of the application.
        settings: `client_id`, `client_secret`, and what the provider has besides, see docs/login_with.md. Any option of the
            client takes the place of what is said here.

    Raises:
        CrossauthError: `Configuration`, naming the setting, what was wrong and what would be right.
    """
    options: Any = provider_settings.provider_options(provider, **settings)
    found: FastApiOAuthClientOptions = options
    return found
