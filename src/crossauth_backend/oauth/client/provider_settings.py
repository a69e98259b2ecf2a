"""The options of a client for one of the known providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.client.apple import AppleSecret
from crossauth_backend.oauth.client.flownames import OAuthFlows
from crossauth_backend.oauth.client.providers import PERSONAL_TENANT, PROVIDERS, Kind, Provider, metadata_of
from crossauth_backend.oauth.client.tenants import PLACEHOLDER

_APPLE_SETTINGS: Final = ("team_id", "key_id", "private_key")
# Names of Microsoft's that stand for a tenant, or for any tenant whatever.
_CONSUMERS: Final = "consumers"
_ANY: Final = ("common", "organizations")
_MOST_TENANTS: Final = 256
# What of the options is about endpoints and sessions, which `OAuthClient` has none of.
FLOW_OPTIONS: Final = frozenset({"default_scope", "prefix", "session_data_name", "valid_flows"})


def provider_options(provider: str | Provider, **settings: Any) -> dict[str, Any]:
    """The options of a client that logs users in with a provider.

    They are a beginning: `{**provider_options("google", client_id=…, client_secret=…), "local_login": True}`. Each provider has a
    prefix and a place in the session of its own, so that several of them do not get in each other's way.

    Parameters:
        provider: one of `PROVIDERS`, or a `Provider` of the application.
        settings: `client_id`, `client_secret`, and what the provider has besides: `tenant` or `tenants` (Microsoft), `team_id`,
            `key_id` and `private_key` in place of the secret (Apple), `server` (GitLab, Keycloak), `realm` (Keycloak), `domain`
            (Auth0, Okta), `authorization_server` (Okta), `issuer` (openid). Any option of the client takes the place of what is
            said here.

    Raises:
        CrossauthError: `Configuration`, naming the setting, what was wrong and what would be right.
    """
    row = _row(provider)
    provided = {name: value for name, value in settings.items() if value is not None}
    issuer, tenants = _issuer(row, provided)
    options: dict[str, Any] = {
        "provider": row,
        "auth_server_base_url": issuer,
        "prefix": f"/{row.name}/",
        "session_data_name": row.name,
        "valid_flows": [OAuthFlows.OidcAuthorizationCode if row.openid else OAuthFlows.AuthorizationCode],
        "default_scope": row.scope,
    }
    if tenants is not None:
        options["tenants"] = tenants
    if (metadata := metadata_of(row, issuer)) is not None:
        options["oidc_config"] = metadata
    if row.client_auth:
        options["token_endpoint_auth_method"] = row.client_auth
    if row.openid and row.algorithms:
        options["id_token_algorithms"] = list(row.algorithms)
    if row.user_info:
        options["oauth_use_user_info_endpoint"] = True
    if row.signed_secret:
        options["client_secret_fn"] = _signed_secret(row, provided)
    if params := {**row.authorization_params, **_further(row, provided)}:
        options["authorization_params"] = params
    return {**options, **provided}


def _row(provider: str | Provider) -> Provider:
    if isinstance(provider, Provider):
        return provider
    row = PROVIDERS.get(provider) if isinstance(provider, str) else None
    if row is None:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"there is no provider {str(provider)[:60]!r}: it must be one of {', '.join(sorted(PROVIDERS))}; 'openid' with "
            "'issuer' is any other that has a discovery document",
        )
    return row


def _issuer(row: Provider, given: dict[str, Any]) -> tuple[str, list[str] | None]:
    """Its issuer, and the tenants that are let in where there are several; what was read is taken out of `given`."""
    if row.tenants and "tenants" in given:
        return _several_tenants(row, given)
    values: dict[str, str] = {}
    for name, setting in row.settings.items():
        value = given.pop(name, setting.default)
        if value is None:
            raise _wrong(row, f"'{name}' is missing: it must be {_what(row, name)}")
        values[name] = _checked(row, name, value)
    return row.issuer.format_map(values), None


def _several_tenants(row: Provider, given: dict[str, Any]) -> tuple[str, list[str]]:
    tenants = given.pop("tenants")
    if "tenant" in given:
        raise _wrong(row, "give either 'tenant' or 'tenants'")
    if isinstance(tenants, str) or not isinstance(tenants, Sequence) or not 0 < len(tenants) <= _MOST_TENANTS:
        raise _wrong(row, f"'tenants' must be a list of the ids of 1 to {_MOST_TENANTS} tenants")
    allowed = [_checked(row, "tenant", tenant) for tenant in tenants]
    return row.issuer.format_map({"tenant": PLACEHOLDER}), allowed


def _checked(row: Provider, name: str, value: object) -> str:
    """The value of a setting as it is in the issuer."""
    kind = row.settings[name].kind
    if kind is Kind.GUID and isinstance(value, str):
        if value in _ANY:
            raise _wrong(
                row,
                f"'{name}' must not be {value!r}, which lets in any tenant there is: name those you know in 'tenants'",
            )
        value = PERSONAL_TENANT if value == _CONSUMERS else value.lower()
    if name == "server" and isinstance(value, str):
        # What follows begins with a slash. The slash at the end of an issuer, on the other hand, counts.
        value = value.removesuffix("/")
    if not isinstance(value, str) or not kind.fits(value):
        raise _wrong(row, f"'{name}' must be {_what(row, name)}")
    return value


def _further(row: Provider, given: dict[str, Any]) -> Mapping[str, str]:
    """What authorization requests have besides what the provider wants; both are sent."""
    further = given.pop("authorization_params", {})
    if not isinstance(further, Mapping):
        raise _wrong(row, "'authorization_params' must be a mapping of texts")
    return further


def _what(row: Provider, name: str) -> str:
    more = " (or 'tenants', a list of them)" if row.tenants and name == "tenant" else ""
    return row.settings[name].kind.value + more


def _signed_secret(row: Provider, given: dict[str, Any]) -> AppleSecret:
    if "client_secret" in given:
        raise _wrong(
            row, "'client_secret' runs out; give 'team_id', 'key_id' and 'private_key', of which secrets are made"
        )
    parts: dict[str, Any] = {name: given.pop(name, None) for name in _APPLE_SETTINGS}
    missing = [name for name in ("client_id",) if name not in given] + [
        n for n, value in parts.items() if value is None
    ]
    if missing:
        raise _wrong(row, f"'{missing[0]}' is missing")
    if not isinstance(given["client_id"], str):
        raise _wrong(row, "'client_id' must be the Services ID, such as 'com.example.login'")
    return AppleSecret(given["client_id"], **parts)


def _wrong(row: Provider, text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"provider '{row.name}': {text}")
