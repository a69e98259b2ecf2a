"""Options made of a provider's name, against discovery documents written after the providers' documentation."""

import json
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.jose import generate_signing_key
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.client.provider_settings import FLOW_OPTIONS, provider_options
from crossauth_backend.oauth.client.providers import PERSONAL_TENANT, PROVIDERS, Kind, Provider
from crossauth_backend.oauth.wire.metadata import check_metadata

# By hand, after the documentation; see `_about` there.
DISCOVERY: dict[str, Any] = json.loads((Path(__file__).parents[3] / "peers" / "discovery.json").read_text())
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
PEM = generate_signing_key("ES256").key.as_pem(private=True).decode()
WHO = {"client_id": "client", "client_secret": "secret"}
SETTINGS: dict[str, dict[str, Any]] = {
    "google": WHO, "github": WHO, "gitlab": WHO, "discord": WHO, "microsoft": {**WHO, "tenant": TENANT},
    "apple": {"client_id": "com.example", "team_id": "TEAM567890", "key_id": "KEY4567890", "private_key": PEM},
    "keycloak": {**WHO, "server": "https://sso.example.com", "realm": "staff"},
    "auth0": {**WHO, "domain": "example.eu.auth0.com"}, "okta": {**WHO, "domain": "example.okta.com"},
    "openid": {**WHO, "issuer": "https://id.example.com"},
}  # fmt: skip


def test_there_are_settings_for_every_provider() -> None:
    assert set(SETTINGS) == set(PROVIDERS)


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if not row.metadata])
def test_a_provider_with_a_discovery_document(name: str) -> None:
    """Issuer, algorithms and client authentication are those that the document has."""
    options, document = provider_options(name, **SETTINGS[name]), DISCOVERY[name]
    check_metadata(document, options["auth_server_base_url"])
    assert set(options.get("id_token_algorithms", [])) <= set(document["id_token_signing_alg_values_supported"])
    method = options.get("token_endpoint_auth_method", "client_secret_basic")
    assert method in document["token_endpoint_auth_methods_supported"]
    asked = set(options["default_scope"].split())
    assert "scopes_supported" not in document or asked <= set(document["scopes_supported"])
    mode = PROVIDERS[name].authorization_params.get("response_mode", "query")
    assert mode in document.get("response_modes_supported", ["query"])
    assert options["valid_flows"] == ["oidcAuthorizationCode"]
    assert not options.get("oauth_use_user_info_endpoint") or "userinfo_endpoint" in document


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.metadata])
def test_a_provider_without_one(name: str) -> None:
    options = provider_options(name, **SETTINGS[name])
    check_metadata(options["oidc_config"], options["auth_server_base_url"])
    assert options["valid_flows"] == ["authorizationCode"]
    assert name not in DISCOVERY
    assert PROVIDERS[name].profile is not None


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_client_is_made_of_them(name: str) -> None:
    options = provider_options(name, **SETTINGS[name])
    if name in DISCOVERY:
        options["oidc_config"] = DISCOVERY[name]
    client = OAuthClient(options={n: v for n, v in options.items() if n not in FLOW_OPTIONS})
    answer = await client.start_authorization_code_flow(
        "state", options["default_scope"], "c" * 43, True, redirect_uri="https://app.example.com/cb"
    )
    assert "code_challenge_method=S256" in answer["url"]
    assert ("response_mode=form_post" in answer["url"]) is (name == "apple")
    assert client.is_confidential


def test_each_provider_has_a_place_of_its_own() -> None:
    options = [provider_options(name, **settings) for name, settings in SETTINGS.items()]
    assert len({o["prefix"] for o in options}) == len({o["session_data_name"] for o in options}) == len(PROVIDERS)
    assert provider_options("google", **WHO, prefix="/", site_url="https://a.test")["prefix"] == "/"


def test_microsoft_of_several_tenants() -> None:
    options = provider_options("microsoft", **WHO, tenants=[TENANT.upper(), "consumers"])
    assert options["auth_server_base_url"] == "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert options["tenants"] == [TENANT, PERSONAL_TENANT]
    assert "tenant" not in options
    check_metadata(DISCOVERY["microsoft_organizations"], options["auth_server_base_url"])


def test_what_the_issuer_is_made_of() -> None:
    def issuer(name: str, **settings: str) -> Any:
        return provider_options(name, **WHO, **settings)["auth_server_base_url"]

    assert issuer("auth0", domain="example.eu.auth0.com") == "https://example.eu.auth0.com/", "its slash counts"
    assert issuer("okta", domain="a.okta.com", authorization_server="aus1") == "https://a.okta.com/oauth2/aus1"
    assert issuer("keycloak", server="https://sso.example.com/auth/", realm="a b".replace(" ", "-")) == (
        "https://sso.example.com/auth/realms/a-b"
    )
    assert issuer("gitlab", server="https://git.example.com/") == "https://git.example.com"
    assert issuer("openid", issuer="https://id.example.com/") == "https://id.example.com/"
    assert issuer("openid", issuer="http://localhost:9000") == "http://localhost:9000"


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("goggle", {}, "there is no provider 'goggle': it must be one of apple, auth0"), (7, {}, "there is no provider"),
        ("microsoft", {}, "'tenant' is missing: it must be the id of a tenant"), ("auth0", {}, "'domain' is missing"),
        ("microsoft", {"tenant": "common"}, "'tenant' must not be 'common', which lets in any tenant"),
        ("microsoft", {"tenant": "organizations"}, "lets in any tenant"),
        ("microsoft", {"tenant": "contoso.com"}, "names no tenant by its domain"),
        ("microsoft", {"tenant": 7}, "'tenant' must be"),
        ("microsoft", {"tenants": [TENANT], "tenant": TENANT}, "either 'tenant' or 'tenants'"),
        ("microsoft", {"tenants": []}, "'tenants' must be a list"),
        ("microsoft", {"tenants": TENANT}, "'tenants' must be a list"),
        ("microsoft", {"tenants": ["*"]}, "'tenant' must be"), ("microsoft", {"tenants": ["common"]}, "lets in any tenant"),
        ("auth0", {"domain": "https://example.eu.auth0.com"}, "'domain' must be a host name"),
        ("auth0", {"domain": "evil.com/x"}, "'domain' must be"), ("okta", {"domain": "a.okta.com@evil.com"}, "'domain' must be"),
        ("okta", {"domain": "a.okta.com", "authorization_server": "a/../b"}, "'authorization_server' must be a name"),
        ("keycloak", {"server": "http://sso.example.com", "realm": "r"}, "'server' must be an https URL"),
        ("keycloak", {"server": "https://sso.example.com", "realm": ".."}, "'realm' must be"),
        ("keycloak", {"server": "https://sso.example.com/?a=b", "realm": "r"}, "'server' must be"),
        ("openid", {}, "'issuer' is missing"), ("openid", {"issuer": "id.example.com"}, "'issuer' must be an https URL"),
        ("apple", {}, "'client_secret' runs out"), ("google", {"authorization_params": "x"}, "'authorization_params' must be"),
        ("microsoft", {"tenants": [None]}, "'tenant' must be"), ("microsoft", {"tenants": {TENANT}}, "'tenants' must be a list"),
        ("microsoft", {"tenants": [TENANT] * 257}, "'tenants' must be a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(name: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossauthError) as wrong:
        provider_options(name, **{**WHO, **settings})
    assert said in wrong.value.message
    if name != "goggle" and name != 7:
        assert wrong.value.message.startswith(f"provider '{name}': ")


@pytest.mark.parametrize("missing", ["client_id", "team_id", "key_id", "private_key"])
def test_what_apple_needs(missing: str) -> None:
    settings = {name: value for name, value in SETTINGS["apple"].items() if name != missing}
    with pytest.raises(CrossauthError, match=f"provider 'apple': '{missing}' is missing"):
        provider_options("apple", **settings)
    with pytest.raises(CrossauthError, match="'client_id' must be"):
        provider_options("apple", **{**SETTINGS["apple"], "client_id": 7})
    options = provider_options("apple", **SETTINGS["apple"])
    assert options["client_secret_fn"]().count(".") == 2
    assert "private_key" not in options


def test_a_provider_of_the_application() -> None:
    own = Provider(name="castle", title="Castle", issuer="https://castle.example")
    options = provider_options(own, **WHO)
    assert (options["auth_server_base_url"], options["prefix"]) == ("https://castle.example", "/castle/")


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("value", ["", None, 7, "a\n", "\x00", "\ud800", "x" * 5000, [], "a.b\n"])
def test_garbage_fits_nothing(kind: Kind, value: Any) -> None:
    assert not kind.fits(value)
