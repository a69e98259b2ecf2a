"""The OAuth client of the backend as the contract names it: members, parameters, flows and keys of responses."""

import inspect
from typing import Any, get_type_hints

import pytest

import crossauth_backend
from crossauth_backend.oauth import client
from crossauth_backend.oauth.client import OAuthClient, OAuthFlows

# Parameters in their order, and whether it has to be awaited.
MEMBERS: dict[str, tuple[list[str], bool]] = {
    "load_config": (["oidc_config"], True),
    "get_oidc_config": ([], False),
    "random_value": (["n_bytes"], False),
    "sha256": (["plaintext"], False),
    "code_challenge_and_verifier": ([], False),
    "start_authorization_code_flow": (["state", "scope", "code_challenge", "pkce"], True),
    "redirect_endpoint": (["code", "state", "code_verifier", "error", "error_description"], True),
    "client_credentials_flow": (["scope"], True),
    "password_flow": (["username", "password", "scope"], True),
    "mfa_authenticators": (["mfa_token"], True),
    "mfa_otp_request": (["mfa_token", "authenticator_id"], True),
    "mfa_otp_complete": (["mfa_token", "otp", "scope"], True),
    "mfa_oob_request": (["mfa_token", "authenticator_id"], True),
    "mfa_oob_complete": (["mfa_token", "oobCode", "bindingCode", "scope"], True),
    "refresh_token_flow": (["refresh_token"], True),
    "start_device_code_flow": (["url", "scope"], True),
    "poll_device_code_flow": (["device_code"], True),
    "user_info_endpoint": (["access_token"], True),
    "validate_id_token": (["token"], True),
    "id_token_authorized": (["id_token"], True),
    "get_token_payload": (["token"], False),
}
KEYS = {
    "OAuthTokenResponse": "access_token refresh_token id_token id_payload token_type expires_in error error_description scope "
    "mfa_token oob_channel oob_code challenge_type binding_method name",
    "OAuthMfaAuthenticator": "authenticator_type id active oob_channel name error error_description",
    "OAuthMfaAuthenticatorsResponse": "authenticators error error_description",
    "OAuthMfaChallengeResponse": "challenge_type oob_code binding_method error error_description",
    "OAuthDeviceAuthorizationResponse": "device_code user_code verification_uri verification_uri_complete expires_in interval",
    "OAuthDeviceResponse": "client_id scope_authorization_needed scope error",
}
FLOWS = {
    "All": "all", "AuthorizationCode": "authorizationCode", "AuthorizationCodeWithPKCE": "authorizationCodeWithPKCE",
    "ClientCredentials": "clientCredentials", "RefreshToken": "refresh_token", "DeviceCode": "device_code",
    "Password": "password", "PasswordMfa": "passwordMfa", "OidcAuthorizationCode": "oidcAuthorizationCode",
}  # fmt: skip
OPTIONS = (
    "client_id client_secret redirect_uri state_length verifier_length code_challenge_method device_authorization_url "
    "oauth_post_type oauth_use_user_info_endpoint oauth_authorize_redirect auth_server_credentials auth_server_mode "
    "auth_server_headers auth_server_base_url jwt_key_type jwt_secret_key jwt_secret_key_file jwt_public_key "
    "jwt_public_key_file clock_tolerance oidc_config"
)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_of_the_client(name: str) -> None:
    expected, is_async = MEMBERS[name]
    function = getattr(OAuthClient, name)
    provided = inspect.signature(function).parameters.values()
    assert [p.name for p in provided if p.name != "self" and p.kind is not p.KEYWORD_ONLY][: len(expected)] == expected
    assert inspect.iscoroutinefunction(function) is is_async
    assert inspect.getdoc(function)


@pytest.mark.parametrize("name", KEYS)
def test_the_keys_of_a_response(name: str) -> None:
    cls: Any = getattr(client, name)
    assert getattr(crossauth_backend, name) is cls
    assert set(KEYS[name].split()) <= set(get_type_hints(cls))


def test_the_names_of_flows() -> None:
    assert {name: getattr(OAuthFlows, name) for name in FLOWS} == FLOWS
    assert set(OAuthFlows.flow_name) == set(FLOWS.values()) - {"all"}
    for name in ("flow_names", "is_valid_flow", "are_valid_flows", "all_flows", "grant_type"):
        assert callable(getattr(OAuthFlows, name))
    grants = OAuthFlows.grant_type("passwordMfa")
    assert set(grants) == {f"http://auth0.com/oauth/grant-type/mfa-{kind}" for kind in ("otp", "oob")}


def test_the_options() -> None:
    assert set(OPTIONS.split()) <= set(get_type_hints(client.OAuthClientOptions))


def test_what_can_be_imported_from_the_module() -> None:
    for name in ("OAuthTokenConsumer", "OAuthTokenConsumerOptions", "IdTokenReturn", "OAuthClient", "OAuthFlows"):
        assert name in client.__all__
