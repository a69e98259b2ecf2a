"""The options of a resource server that is one of several servers, and the token consumers made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.options import ENV_PREFIX, describe, option_names, read_options
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer
from crossauth_fastapi._oauth_resource.options import COMPONENT, FastApiResourceServerSettings, wrong

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
    return frozenset(f"{name}" for row in rows for name in row["env"].split(", ") if name.startswith(ENV_PREFIX))


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
    if own.get("user_storage") is None and all(both.get(name) is None for name in _MATCHES):
        both.pop("user_storage", None)
    unknown = sorted(set(own) - set(ours) - set(theirs))
    if unknown:
        # Says which name is the nearest.
        given = {name: own[name] for name in unknown}
        read_options(FastApiResourceServerSettings, given, component=COMPONENT, also_known=ours | theirs)
    consumers = both.get("token_consumers")
    options = {name: value for name, value in both.items() if name in ours and name != "token_consumers"}
    if consumers is None:
        return [_consumer({n: v for n, v in both.items() if n in theirs})], options
    unread = sorted(name for name in theirs if own.get(name) is not None)
    if unread:
        raise wrong(
            f"option {', '.join(map(repr, unread))} has no effect beside 'token_consumers': give it to each of them"
        )
    return list(consumers), options


def _consumer(options: Mapping[str, Any]) -> OAuthTokenConsumer:
    given: Any = options
    return OAuthTokenConsumer(None, given)
