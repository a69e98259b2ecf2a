"""The documents at well-known URLs and the parameters of the endpoints they name, as types."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias, TypedDict

TokenEndpointAuthMethod = Literal[
    "client_secret_post", "client_secret_basic", "client_secret_jwt", "private_key_jwt", "none"
]
ResponseMode = Literal["query", "fragment", "form_post"]
GrantType = Literal[
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "password",
    "http://auth0.com/oauth/grant-type/mfa-otp",
    "http://auth0.com/oauth/grant-type/mfa-oob",
    "urn:ietf:params:oauth:grant-type:device_code",
]
SubjectType = Literal["pairwise", "public"]
ClaimType = Literal["normal", "aggregated", "distributed"]
EncryptionKey: TypeAlias = dict[str, Any]
"""One JSON Web Key (RFC 7517 §4)."""


class Jwks(TypedDict):
    """A JWK set (RFC 7517 §5)."""

    keys: list[EncryptionKey]


class OpenIdConfiguration(TypedDict, total=False):
    """Metadata of an authorization server (OpenID Connect Discovery §3, RFC 8414 §2, and what extends them)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    registration_endpoint: str
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: list[TokenEndpointAuthMethod]
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: list[TokenEndpointAuthMethod]
    device_authorization_endpoint: str
    pushed_authorization_request_endpoint: str
    end_session_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[ResponseMode]
    grant_types_supported: list[GrantType]
    acr_values_supported: list[str]
    subject_types_supported: list[SubjectType]
    id_token_signing_alg_values_supported: list[str]
    id_token_encryption_alg_values_supported: list[str]
    id_token_encryption_enc_values_supported: list[str]
    userinfo_signing_alg_values_supported: list[str]
    request_object_signing_alg_values_supported: list[str]
    token_endpoint_auth_methods_supported: list[TokenEndpointAuthMethod]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    code_challenge_methods_supported: list[str]
    display_values_supported: list[str]
    claim_types_supported: list[ClaimType]
    claims_supported: list[str]
    service_documentation: str
    claims_locales_supported: list[str]
    ui_locales_supported: list[str]
    claims_parameter_supported: bool
    request_parameter_supported: bool
    request_uri_parameter_supported: bool
    require_request_uri_registration: bool
    authorization_response_iss_parameter_supported: bool
    backchannel_logout_supported: bool
    backchannel_logout_session_supported: bool
    client_id_metadata_document_supported: bool
    op_policy_uri: str
    op_tos_uri: str


DEFAULT_OIDCCONFIG: Final[OpenIdConfiguration] = {
    "issuer": "",
    "authorization_endpoint": "",
    "token_endpoint": "",
    "jwks_uri": "",
    "response_types_supported": ["code"],
    "response_modes_supported": ["query"],
    "grant_types_supported": ["authorization_code"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "claims_supported": ["iss", "sub", "aud", "jti", "iat", "type"],
    "request_uri_parameter_supported": False,
    "require_request_uri_registration": False,
}
"""What metadata is made from; the URLs are to be filled in."""


class AuthorizeQueryType(TypedDict, total=False):
    """Parameters of the authorization endpoint (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, OpenID Connect Core §3.1.2.1)."""

    response_type: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    code_challenge: str
    code_challenge_method: str
    nonce: str
    prompt: str
    max_age: str
    response_mode: str
    resource: str


class TokenBodyType(TypedDict, total=False):
    """Parameters of the token endpoint (RFC 6749 §4, RFC 7636 §4.5, RFC 8628 §3.4, RFC 8707 §2)."""

    grant_type: str
    client_id: str
    client_secret: str
    client_assertion: str
    client_assertion_type: str
    code: str
    redirect_uri: str
    code_verifier: str
    refresh_token: str
    scope: str
    resource: str
    username: str
    password: str
    mfa_token: str
    otp: str
    oob_code: str
    binding_code: str
    device_code: str
