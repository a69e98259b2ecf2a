"""The options of a resource server that is one of several servers, and the token consumers made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crossauth_backend.core.options import ENV_PREFIX, describe, option_names, read_options
from crossauth_backend.oauth.resource.options import COMPONENT as CONSUMER
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_fastapi._oauth_resource.options import COMPONENT, FastApiResourceServerSettings, wrong

# What stands for a tenant in the URL of an authorization server that has many of them.
TENANT: Final = "{tenantid}"
_TENANT_ID: Final = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
# What says who the users of tokens are; without it they are made of the claims, whoever the application's own users are.
_MATCHES: Final = ("oauth_issuer", "user_match_field")


def known_options() -> dict[str, str]:
    """The options that a resource server reads, and its token consumer, and what each expects."""
    return _server_options() | option_names(TokenConsumerSettings)


def _server_options() -> dict[str, str]:
    return option_names(FastApiResourceServerSettings) | option_names(ResourceServerSettings)


def known_variables() -> frozenset[str]:
    """The environment variables that they read."""
    rows = (*describe(FastApiResourceServerSettings), *describe(TokenConsumerSettings))
    return frozenset(name for row in rows for name in row["env"].split(", ") if name.startswith(ENV_PREFIX))


def split_options(own: Mapping[str, Any], merged: Mapping[str, Any]) -> tuple[list[OAuthTokenConsumer], dict[str, Any]]:
    """The token consumers, and the options of the resource server.

    Parameters:
        own: the component's own options, which go before the others; those of a token consumer may be among them.
        merged: the options that all components share.

    Raises:
        CrossauthError: `Configuration`.
    """
    ours, theirs = _server_options(), option_names(TokenConsumerSettings)
    both = {**merged, **{name: value for name, value in own.items() if value is not None}}
    unknown = sorted(set(own) - set(ours) - set(theirs))
    if unknown:
        # Says which name is the nearest.
        provided = {name: own[name] for name in unknown}
        read_options(FastApiResourceServerSettings, provided, component=COMPONENT, also_known=ours | theirs)
    asked = {name: both.get(name) for name in (*_MATCHES, "tenants", "user_storage", "token_consumers")}
    settings = read_options(FastApiResourceServerSettings, asked, component=COMPONENT)
    if own.get("user_storage") is None and settings.oauth_issuer is None and settings.user_match_field is None:
        both.pop("user_storage", None)
    consumers = settings.token_consumers
    options = {
        name: value for name, value in both.items() if name in ours and name not in ("token_consumers", "tenants")
    }
    if consumers is None:
        return _consumers({n: v for n, v in both.items() if n in theirs}, settings.tenants), options
    unread = sorted(name for name in (*theirs, "tenants") if both.get(name) is not None)
    if unread:
        raise wrong(
            f"option {', '.join(map(repr, unread))} has no effect beside 'token_consumers': give it to each of them"
        )
    if not all(isinstance(consumer, OAuthTokenConsumer) for consumer in consumers):
        raise wrong("option 'token_consumers' must be a list of OAuthTokenConsumer")
    return list(consumers), options


def _consumers(options: Mapping[str, Any], tenants: Sequence[str] | None) -> list[OAuthTokenConsumer]:
    """One token consumer, or one for each tenant: an issuer is always compared whole."""
    url = read_options(TokenConsumerSettings, options, component=CONSUMER).auth_server_base_url
    if TENANT not in url:
        if tenants is not None:
            raise wrong(f"option 'tenants' has no effect: 'auth_server_base_url' has no {TENANT}")
        return [_consumer(options)]
    if tenants is None:
        raise wrong(
            f"option 'auth_server_base_url' has {TENANT}: name the tenants whose tokens are accepted in option 'tenants'"
        )
    if not all(_TENANT_ID.fullmatch(tenant) for tenant in tenants):
        raise wrong("option 'tenants' must hold identifiers of letters, digits, dots and dashes")
    return [
        _consumer({**options, "auth_server_base_url": url.replace(TENANT, tenant)}) for tenant in dict.fromkeys(tenants)
    ]


def _consumer(options: Mapping[str, Any]) -> OAuthTokenConsumer:
    provided: Any = options
    return OAuthTokenConsumer(None, provided)
