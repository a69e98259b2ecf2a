"""The options of the server for API keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from crossauth_backend.api_keys.options import ApiKeyManagerOptions, ApiKeySettings
from crossauth_backend.api_keys.rules import checked_scopes
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS, option, option_names, read_options

COMPONENT: Final = "FastApiApiKeyServer"


class FastApiApiKeyServerOptions(ApiKeyManagerOptions, total=False):
    """Options of `FastApiApiKeyServer`: those of `ApiKeyManager`, and of its pages."""

    api_key_page: str
    api_keys_page: str
    enable_endpoints: bool
    max_expiry: int | None
    scopes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyServerSettings:
    """What `FastApiApiKeyServerOptions` has besides the options of `ApiKeyManager`, parsed."""

    enable_endpoints: bool = option(
        True,
        env="ENABLE_APIKEY_ENDPOINTS",
        doc="Whether users manage their API keys on pages and at JSON endpoints, and administrators those of all users where "
        "they have endpoints. Without a session server there are none.",
    )
    scopes: list[str] = option(
        [],
        env="APIKEY_SCOPES",
        doc="The scopes that can be given to a key there. `ApiKeyManager` and the command `crossauth` give any.",
    )
    max_expiry: int | None = option(
        31_536_000,
        at_least=1,
        at_most=MAX_SECONDS,
        none=True,
        env="APIKEY_MAX_EXPIRY",
        doc="Seconds that a key created there may live at most; `None` where it may live for ever.",
    )
    api_keys_page: str = option("apikeys.njk", env="APIKEYS_PAGE", doc="Template of the page of a user's API keys.")
    api_key_page: str = option("apikey.njk", env="APIKEY_PAGE", doc="Template of the page of one API key.")


def read_server_settings(given: Mapping[str, Any]) -> ApiKeyServerSettings:
    """Parse the options; those of `ApiKeyManager` are left to it.

    Raises:
        CrossauthError: `Configuration`, naming what is wrong.
    """
    settings = read_options(ApiKeyServerSettings, given, component=COMPONENT, also_known=option_names(ApiKeySettings))
    try:
        checked_scopes(settings.scopes)
    except CrossauthError as e:
        raise CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: option 'scopes': {e.message}") from e
    return settings


def manager_options(given: Mapping[str, Any]) -> ApiKeyManagerOptions:
    """The options of `ApiKeyManager` among these."""
    names = option_names(ApiKeySettings)
    return cast(ApiKeyManagerOptions, {name: value for name, value in given.items() if name in names})


def check_expiry(settings: ApiKeyServerSettings, default: int | None) -> None:
    """Refuse a longest lifetime that the lifetime of a key for which nothing is said exceeds.

    Parameters:
        settings: the options.
        default: the option `default_expiry`.

    Raises:
        CrossauthError: `Configuration`.
    """
    longest = settings.max_expiry
    if settings.enable_endpoints and longest is not None and (default is None or default > longest):
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{COMPONENT}: option 'default_expiry' ({default}) must not exceed 'max_expiry' ({longest}); set 'max_expiry' to "
            "None where keys may live for ever",
        )
