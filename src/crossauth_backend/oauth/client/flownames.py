"""The names of the OAuth flows, as options and clients say them, and the grant types they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wellknown import GrantType

# Older spellings, which are accepted and never said.
_ALSO_CALLED: Final = {"refreshToken": "refresh_token", "deviceCode": "device_code"}


class OAuthFlows:
    """The names of the flows, and what can be asked of them."""

    All: Final = "all"
    AuthorizationCode: Final = "authorizationCode"
    AuthorizationCodeWithPKCE: Final = "authorizationCodeWithPKCE"
    ClientCredentials: Final = "clientCredentials"
    RefreshToken: Final = "refresh_token"
    DeviceCode: Final = "device_code"
    Password: Final = "password"
    PasswordMfa: Final = "passwordMfa"
    OidcAuthorizationCode: Final = "oidcAuthorizationCode"

    flow_name: ClassVar[dict[str, str]] = {
        AuthorizationCode: "Authorization Code",
        AuthorizationCodeWithPKCE: "Authorization Code with PKCE",
        ClientCredentials: "Client Credentials",
        RefreshToken: "Refresh Token",
        DeviceCode: "Device Code",
        Password: "Password",
        PasswordMfa: "Password MFA",
        OidcAuthorizationCode: "OIDC Authorization Code",
    }
    """What people call each flow."""

    @staticmethod
    def canonical(flow: str) -> str:
        """The name of a flow as it is written today: `refreshToken` and `deviceCode` are older spellings."""
        return _ALSO_CALLED.get(flow, flow)

    @staticmethod
    def flow_names(flows: Iterable[str]) -> dict[str, str]:
        """What people call these flows; names that are none are left out."""
        names = OAuthFlows.flow_name
        return {name: names[name] for flow in flows if (name := OAuthFlows.canonical(flow)) in names}

    @staticmethod
    def is_valid_flow(flow: str) -> bool:
        """Whether it is the name of a flow; `all` is none."""
        return OAuthFlows.canonical(flow) in OAuthFlows.flow_name

    @staticmethod
    def are_valid_flows(flows: Iterable[str]) -> bool:
        """Whether all are names of flows."""
        return all(OAuthFlows.is_valid_flow(flow) for flow in flows)

    @staticmethod
    def all_flows() -> list[str]:
        """Every flow."""
        return list(OAuthFlows.flow_name)

    @staticmethod
    def expand(flows: Iterable[str]) -> tuple[str, ...]:
        """These flows, each once, `all` standing for every one.

        Raises:
            CrossauthError: `BadRequest` for a name that is none.
        """
        found: list[str] = []
        for flow in flows:
            if flow != OAuthFlows.All and not OAuthFlows.is_valid_flow(flow):
                raise _unknown()
            found.extend(OAuthFlows.all_flows() if flow == OAuthFlows.All else [OAuthFlows.canonical(flow)])
        return tuple(dict.fromkeys(found))

    @staticmethod
    def grant_type(flow: str) -> list[GrantType]:
        """The grant types that a flow uses at the token endpoint.

        Raises:
            CrossauthError: `BadRequest` for a name that is none.
        """
        grants = _GRANTS.get(OAuthFlows.canonical(flow))
        if grants is None:
            raise _unknown()
        return list(grants)


_GRANTS: Final[Mapping[str, tuple[GrantType, ...]]] = {
    OAuthFlows.AuthorizationCode: ("authorization_code",),
    OAuthFlows.AuthorizationCodeWithPKCE: ("authorization_code",),
    OAuthFlows.OidcAuthorizationCode: ("authorization_code",),
    OAuthFlows.ClientCredentials: ("client_credentials",),
    OAuthFlows.RefreshToken: ("refresh_token",),
    OAuthFlows.DeviceCode: ("urn:ietf:params:oauth:grant-type:device_code",),
    OAuthFlows.Password: ("password",),
    OAuthFlows.PasswordMfa: (
        "http://auth0.com/oauth/grant-type/mfa-otp",
        "http://auth0.com/oauth/grant-type/mfa-oob",
    ),
}


def _unknown() -> CrossauthError:
    return CrossauthError(ErrorCode.BadRequest, f"Unknown OAuth flow: it is one of {', '.join(OAuthFlows.flow_name)}")
