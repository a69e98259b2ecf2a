"""Providers by name: what differs between them is data, one row each.

The rows follow what the providers write in their documentation. An application adds a provider of its own as a `Provider`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from crossauth_backend.core.fetch import is_secure_url

_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[0-9]{1,5})?"
)
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Kind(StrEnum):
    """What a setting of a provider has to be."""

    HOST = "a host name such as `example.eu.auth0.com`, without `https://`"
    NAME = "a name as it is in a URL"
    GUID = "the id of a tenant (8-4-4-4-12 hexadecimal digits); an ID token names no tenant by its domain"
    URL = "an https URL"

    def fits(self, value: object) -> bool:
        """Whether `value` is one."""
        if not isinstance(value, str):
            return False
        if self is Kind.URL:
            return is_secure_url(value) and "?" not in value
        pattern = {Kind.HOST: _HOST, Kind.NAME: _NAME, Kind.GUID: _GUID}[self]
        return pattern.fullmatch(value) is not None and value not in (".", "..")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an application says of its account at a provider, besides id and secret.

    Parameters:
        kind: what it has to be.
        default: where the application leaves it out; `None` where it must not.
    """

    kind: Kind
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where a provider without ID tokens says who has logged in.

    Parameters:
        url: of the user; a JSON object.
        id: the member that is never given to another user.
        name, username, picture: members that become claims of the same meaning; `""` where there is none.
        email, verified: members with the address and with whether it is proven; `""` where only `emails_url` says so.
        emails_url: of the list of the user's addresses, each with `email`, `primary` and `verified`; `""` where there is none.
    """

    url: str
    id: str = "id"
    name: str = "name"
    username: str = "username"
    picture: str = ""
    email: str = "email"
    verified: str = ""
    emails_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider.

    Parameters:
        name: how it is chosen, and what its accounts are stored under.
        title: what pages call it; `""`: by its host.
        issuer: its URL, exactly as in `iss`; settings stand in braces.
        settings: those settings.
        openid: whether it issues ID tokens.
        scope: what is asked for where the application does not say.
        metadata: endpoints of a provider that publishes no discovery document, relative to the issuer or absolute; the issuer's
            own document is fetched where it is empty.
        profile: who has logged in, where there are no ID tokens.
        client_auth: how it wants its clients to authenticate; `""`: as its discovery document says.
        algorithms: how its ID tokens are signed.
        authorization_params: what its authorization endpoint wants besides what the standards have.
        user_info: whether its ID tokens may leave out what the user-info endpoint says (OpenID Connect Core §5.4).
        signed_secret: whether the client secret is a JWT that the client signs (see `AppleSecret`).
        tenants: whether several of its tenants may be let in, by the claim `tid`; the issuer then is a template.
        public: whether a client without a secret is known to it.
    """

    name: str
    title: str
    issuer: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    openid: bool = True
    scope: str = "openid profile email"
    metadata: Mapping[str, str] = field(default_factory=dict)
    profile: Profile | None = None
    client_auth: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    authorization_params: Mapping[str, str] = field(default_factory=dict)
    user_info: bool = False
    signed_secret: bool = False
    tenants: bool = False
    public: bool = False


PERSONAL_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of Microsoft's personal accounts."""

PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType({
    row.name: row
    for row in (
        # https://developers.google.com/identity/openid-connect/openid-connect
        Provider(name="google", title="Google", issuer="https://accounts.google.com"),
        # https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
        Provider(
            name="microsoft", title="Microsoft", issuer="https://login.microsoftonline.com/{tenant}/v2.0",
            settings={"tenant": Setting(Kind.GUID)}, tenants=True, public=True,
        ),
        # https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
        Provider(
            name="github", title="GitHub", issuer="https://github.com/login/oauth", openid=False, scope="read:user user:email",
            metadata={
                "authorization_endpoint": "https://github.com/login/oauth/authorize",
                "token_endpoint": "https://github.com/login/oauth/access_token",
                "device_authorization_endpoint": "https://github.com/login/device/code",
            },
            # The address in the profile is what the user wrote there.
            profile=Profile(
                url="https://api.github.com/user", emails_url="https://api.github.com/user/emails", username="login",
                picture="avatar_url", email="",
            ),
            client_auth="client_secret_post",
        ),
        # https://developer.apple.com/documentation/signinwithapplerestapi
        Provider(
            name="apple", title="Apple", issuer="https://appleid.apple.com", scope="openid name email",
            # It refuses the scopes `name` and `email` with any other response mode.
            authorization_params={"response_mode": "form_post"},
            client_auth="client_secret_post", signed_secret=True,
        ),
        # https://docs.gitlab.com/integration/openid_connect_provider
        Provider(
            name="gitlab", title="GitLab", issuer="{server}", public=True,
            settings={"server": Setting(Kind.URL, "https://gitlab.com")},
        ),
        # https://docs.discord.com/developers/topics/oauth2
        Provider(
            name="discord", title="Discord", issuer="https://discord.com", openid=False, scope="identify email", public=True,
            metadata={
                "authorization_endpoint": "https://discord.com/oauth2/authorize",
                "token_endpoint": "https://discord.com/api/oauth2/token",
                "revocation_endpoint": "https://discord.com/api/oauth2/token/revoke",
            },
            profile=Profile(url="https://discord.com/api/v10/users/@me", name="global_name", verified="verified"),
            client_auth="client_secret_basic",
        ),
        # https://www.keycloak.org/securing-apps/oidc-layers
        Provider(
            name="keycloak", title="Keycloak", issuer="{server}/realms/{realm}", public=True,
            settings={"server": Setting(Kind.URL), "realm": Setting(Kind.NAME)},
        ),
        # https://auth0.com/docs/get-started/applications/configure-applications-with-oidc-discovery
        Provider(
            name="auth0", title="Auth0", issuer="https://{domain}/", settings={"domain": Setting(Kind.HOST)}, public=True,
        ),
        # https://developer.okta.com/docs/concepts/auth-servers
        Provider(
            name="okta", title="Okta", issuer="https://{domain}/oauth2/{authorization_server}", public=True, user_info=True,
            settings={"domain": Setting(Kind.HOST), "authorization_server": Setting(Kind.NAME, "default")},
        ),
        # Any other that has a discovery document. https://openid.net/specs/openid-connect-discovery-1_0.html
        Provider(
            name="openid", title="", issuer="{issuer}", settings={"issuer": Setting(Kind.URL)}, public=True,
            algorithms=(), user_info=True,
        ),
    )
})  # fmt: skip


def metadata_of(provider: Provider, issuer: str) -> dict[str, Any] | None:
    """The metadata of a provider that publishes none; `None` where its own is fetched."""
    if not provider.metadata:
        return None
    return {
        "issuer": issuer, **provider.metadata, "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }  # fmt: skip
