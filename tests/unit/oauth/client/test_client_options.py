from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.oauth.client import OAuthClient

URL = "https://as.example.com"
TEMPLATE = "https://login.example.com/{tenantid}/v2.0"
# What cannot take effect, and what the message names.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"client_id": None}, "client_id"),
    ({"client_id": "a\nb"}, "client_id"),
    ({"client_secret": "ä"}, "client_secret"),
    ({"client_secret": ""}, "client_secret"),
    ({"auth_server_base_url": "http://as.example.com"}, "auth_server_base_url"),
    ({"auth_server_base_url": "https://as.example.com?a=b"}, "auth_server_base_url"),
    ({"auth_server_base_url": "https://u:p@as.example.com"}, "auth_server_base_url"),
    ({"auth_server_base_url": TEMPLATE}, "tenants"),
    ({"auth_server_base_url": "https://{tenantid}.example.com", "tenants": ["a"]}, "tenants"),
    ({"auth_server_base_url": TEMPLATE, "tenants": ["common"]}, "tenants"),
    ({"auth_server_base_url": TEMPLATE, "tenants": []}, "tenants"),
    ({"tenants": ["a"]}, "tenants"),
    ({"redirect_uri": "http://app.example.com/cb"}, "redirect_uri"),
    ({"redirect_uri": "https://app.example.com/cb#x"}, "redirect_uri"),
    ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
    ({"oauth_authorize_redirect": "ftp://x"}, "oauth_authorize_redirect"),
    ({"oauth_authorize_redirect": "https://x.example.com?a=b"}, "oauth_authorize_redirect"),
    ({"device_authorization_url": "http://as.example.com/d"}, "device_authorization_url"),
    ({"device_authorization_url": "d?x=1"}, "device_authorization_url"),
    ({"token_endpoint_auth_method": "client_secret_post"}, "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "none", "client_secret": "s"}, "token_endpoint_auth_method"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method"),
    ({"code_challenge_method": "s256"}, "code_challenge_method"),
    ({"oauth_post_type": "xml"}, "oauth_post_type"),
    ({"id_token_algorithms": []}, "id_token_algorithms"),
    ({"id_token_algorithms": ["none"]}, "id_token_algorithms"),
    ({"id_token_algorithms": ["HS256"]}, "client_secret"),
    ({"id_token_algorithms": ["HS256"], "client_secret": "-----BEGIN PUBLIC KEY-----"}, "client_secret"),
    ({"id_token_algorithms": ["RS256"], "jwt_key_type": "RS256", "jwt_public_key": "x"}, "id_token_algorithms"),
    ({"jwt_key_type": "RS256"}, "jwt_key_type"),
    ({"jwt_key_type": "rsa", "jwt_public_key": "x"}, "jwt_key_type"),
    ({"jwt_key_type": "HS256", "jwt_public_key": "x"}, "jwt_secret_key"),
    ({"jwt_public_key": "x"}, "jwt_public_key"),
    ({"jwt_key_type": "RS256", "jwt_public_key_file": "/does/not/exist"}, "jwt_public_key_file"),
    ({"auth_server_headers": {"Authorization": "x"}}, "auth_server_headers"),
    ({"auth_server_headers": {"X": "a\r\nY: b"}}, "auth_server_headers"),
    ({"auth_server_headers": {"X Y": "a"}}, "auth_server_headers"),
    ({"auth_server_headers": {"X": 1}}, "auth_server_headers"),
    ({"auth_server_credentials": "include"}, "auth_server_credentials"),
    ({"auth_server_mode": "cors"}, "auth_server_mode"),
    ({"authorization_params": {"state": "x"}}, "authorization_params"),
    ({"authorization_params": {"a": 1}}, "authorization_params"),
    ({"oidc_config": {"issuer": "https://elsewhere.example.com"}}, "oidc_config"),
    ({"oidc_config": {"issuer": URL, "token_endpoint": "http://as.example.com/token"}}, "oidc_config"),
    ({"state_length": 8}, "state_length"),
    ({"verifier_length": 16}, "verifier_length"),
    ({"verifier_length": 97}, "verifier_length"),
    ({"client_secrets": "x"}, "client_secret"),
    ({"audience": "api"}, "audience"),
]


@pytest.mark.parametrize(("options", "named"), WRONG, ids=str)
def test_a_mistake_stops_the_construction_and_is_named(options: dict[str, Any], named: str) -> None:
    provided: Any = {"auth_server_base_url": URL, "client_id": "client", **options}
    with pytest.raises(CrossauthError, match=named) as e:
        OAuthClient(options=provided)
    assert e.value.code is ErrorCode.Configuration


def test_a_server_is_needed() -> None:
    with pytest.raises(CrossauthError, match="auth_server_base_url"):
        OAuthClient(options={"client_id": "c"})


def test_the_first_argument_is_the_server() -> None:
    client = OAuthClient(URL, {"client_id": "c", "auth_server_base_url": "https://elsewhere.example.com"})
    assert (client.auth_server_base_url, client.issuer, client.issuers) == (URL, URL, (URL,))
    assert (client.client_id, client.is_confidential) == ("c", False)
    assert OAuthClient(URL, {"client_id": "c", "client_secret": "s"}).is_confidential
    tenants = OAuthClient(TEMPLATE, {"client_id": "c", "tenants": ["one", "two"]})
    assert tenants.issuer == TEMPLATE
    assert len(tenants.issuers) == 2


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_AUTH_SERVER_BASE_URL", URL)
    monkeypatch.setenv("CROSSAUTH_OAUTH_CLIENT_ID", "c")
    monkeypatch.setenv("CROSSAUTH_OAUTH_CLIENT_SECRET", "s")
    monkeypatch.setenv("CROSSAUTH_OAUTH_VERIFIER_LENGTH", "96")
    client = OAuthClient()
    assert client.is_confidential
    challenge, verifier = client.code_challenge_and_verifier()
    assert len(verifier) == 128
    assert challenge == client.sha256(verifier)


def test_values() -> None:
    client = OAuthClient(URL, {"client_id": "c", "state_length": 16, "code_challenge_method": "plain"})
    challenge, verifier = client.code_challenge_and_verifier()
    assert challenge == verifier
    assert len(verifier) == 43
    assert len(client.random_state()) == 22
    assert len({client.random_value(16) for _ in range(100)}) == 100
    # RFC 7636 appendix B.
    assert client.sha256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
