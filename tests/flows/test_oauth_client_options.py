"""Options of an OAuth client: what cannot take effect, or not together, stops the start and says what would be right."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
)
from crossauth_fastapi import FastApiServer
from crossauth_fastapi.fastapioauthclient import BffEndpoint, FastApiOAuthClient
from tests.support import CHEAP, SECRET

PROVIDER = "https://provider.example.com"
CLIENT: dict[str, Any] = {
    "client_id": "shop",
    "client_secret": "secret of the shop",
    "valid_flows": ["oidcAuthorizationCode"],
}
IN_SESSION = {"token_response_type": "save_in_session_and_redirect"}
BFF = [BffEndpoint("/orders", ["GET"], True)]


def make(
    options: dict[str, Any] | None = None,
    *,
    sessions: bool = True,
    clients: list[dict[str, Any]] | None = None,
    **shared: Any,
) -> FastApiServer:
    """A server with an OAuth client on it."""
    users = InMemoryUserStorage()
    one: dict[str, Any] = {"auth_server_base_url": PROVIDER, "options": {**CLIENT, **(options or {})}}
    params: dict[str, Any] = {"oauth_client": one} if clients is None else {"oauth_clients": clients}
    provided: dict[str, Any] = {"app": FastAPI(), "secret": SECRET, "site_url": "https://shop.example.com"}
    if sessions:
        params["session"] = {"key_storage": InMemoryKeyStorage()}
        provided |= {
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}, "user_storage": users,
        }  # fmt: skip
    return FastApiServer(params, {**provided, **shared})


def refused(**how: Any) -> str:
    with pytest.raises(CrossauthError) as caught:
        make(**how)
    assert caught.value.code is ErrorCode.Configuration
    return caught.value.message


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"valid_flows": ["magic"]}, ["'valid_flows'", "'magic'", "'oidcAuthorizationCode'"]),
        ({"token_response_type": "custom"}, ["'token_response_type'", "'receive_token_fn'"]),
        ({"receive_token_fn": print}, ["'receive_token_fn'", "'custom'"]),
        ({"error_response_type": "custom"}, ["'error_response_type'", "'error_fn'"]),
        ({"error_fn": print}, ["'error_fn'", "'custom'"]),
        ({"user_creation_type": "custom"}, ["'user_creation_type'", "'user_creation_fn'"]),
        ({"user_creation_fn": print}, ["'user_creation_fn'", "'custom'"]),
        ({"token_response_type": "by_pigeon"}, ["'token_response_type'", "'send_json'"]),
        ({"error_response_type": "silence"}, ["'error_response_type'"]),
        ({"token_endpoints": ["access_token"]}, ["'token_endpoints'", "'save_in_session_and_redirect'"]),
        ({"token_endpoints": ["secret_token"]}, ["'token_endpoints'"]),
        ({"delete_tokens_get_url": "x"}, ["'delete_tokens_get_url'", "'token_response_type'"]),
        ({"bff_endpoints": BFF, "bff_base_url": "https://api.example.com"}, ["'bff_endpoints'", "'token_response_type'"]),
        ({"bff_base_url": "https://api.example.com"}, ["'bff_base_url'", "'bff_endpoints'"]),
        ({"bff_timeout": 5}, ["'bff_timeout'", "'bff_endpoints'"]),
        ({"bff_endpoint_name": "proxy"}, ["'bff_endpoint_name'", "'bff_endpoints'"]),
        ({"authorized_url": "/x"}, ["'authorized_url'", "'save_in_session_and_redirect'"]),
        ({"authorized_page": "x.html"}, ["'authorized_page'", "'send_in_page'"]),
        ({"password_flow_url": "x"}, ["'password_flow_url'", "'password'"]),
        ({"mfa_otp_page": "x"}, ["'mfa_otp_page'", "'passwordMfa'"]),
        ({"device_code_poll_url": "x"}, ["'device_code_poll_url'", "'device_code'"]),
        ({"delete_tokens_page": "x"}, ["'delete_tokens_page'", "'delete_tokens_get_url'"]),
        ({"login_url": "/x"}, ["'login_url'", "'login_protected_flows'"]),
        ({"login_protected_flows": ["password"]}, ["'login_protected_flows'", "'password'", "'valid_flows'"]),
        ({"valid_flows": ["clientCredentials"], "logout_oidc_url": "x"}, ["'logout_oidc_url'", "'oidcAuthorizationCode'"]),
        ({"valid_flows": ["clientCredentials"], "redirect_uri": "https://a.example/"}, ["'redirect_uri'", "'valid_flows'"]),
        ({"redirect_uri": "http://shop.example.com/cb"}, ["'redirect_uri'", "https"]),
        ({"site_url": "http://shop.example.com"}, ["'site_url'", "https"]),
        ({"site_url": "https://shop.example.com/?a=b"}, ["'site_url'"]),
        ({"session_data_name": "a.b"}, ["'session_data_name'", "dot"]),
        ({"session_data_name": "2fa"}, ["'session_data_name'", "'2fa'"]),
        ({"session_data_name": ""}, ["'session_data_name'", "empty"]),
        ({"secret": "short"}, ["'secret'", "32"]),
        ({"encryption_keys": ["short"]}, ["'encryption_keys'[0]", "32"]),
        ({"audience": "api"}, ["'audience'", "'client_id'"[1:-1]]),
        ({"persist_access_token": True}, ["'persist_access_token'", "resource server"]),
        ({"clent_id": "x"}, ["'clent_id'", "'client_id'"]),
        ({"client_id": ""}, ["'client_id'", "empty"]),
        ({"error_page": "nowhere.html", "error_response_type": "page_error"}, ["'error_page'", "'nowhere.html'"]),
        ({**IN_SESSION, "delete_tokens_post_url": "authzcode"}, ["'/authzcode'"]),
    ],
)  # fmt: skip
def test_what_cannot_take_effect_is_refused(options: dict[str, Any], texts: list[str]) -> None:
    message = refused(options=options)
    for text in texts:
        assert text in message


@pytest.mark.parametrize(
    "options",
    [
        IN_SESSION, {"token_response_type": "save_in_session_and_load"}, {"token_endpoints": ["have_id_token"]},
        {"bff_endpoints": BFF}, {"login_protected_flows": ["all"]}, {"local_login": True}, {"link_accounts": True},
        {"api_delete_tokens_post_url": "x"},
    ],
)  # fmt: skip
def test_what_needs_sessions_is_refused_without(options: dict[str, Any]) -> None:
    message = refused(options=options, sessions=False)
    assert "'session'" in message
    assert "'session_adapter'" in message


def test_without_sessions_a_client_needs_a_secret_of_its_own() -> None:
    assert "'secret'" in refused(sessions=False, secret=None)
    make(sessions=False)


def test_two_spellings_of_the_site_are_one() -> None:
    message = refused(options={"siteUrl": "https://a.example", "site_url": "https://b.example"})
    assert "'site_url' and 'siteUrl'" in message
    client = make({"siteUrl": "https://own.example.com/", "site_url": None}).oauth_client
    assert client is not None
    assert client.context.redirect_uri == "https://own.example.com/authzcode"


def several(*own: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"auth_server_base_url": PROVIDER, "options": {**CLIENT, **one}} for one in own]


@pytest.mark.parametrize(
    ("one", "two", "text"),
    [
        ({}, {}, "'prefix'"),
        ({"prefix": "/a"}, {"prefix": "/a/", "session_data_name": "b"}, "'prefix'"),
        ({"prefix": "/a"}, {"prefix": "/b"}, "'session_data_name'"),
        (
            {"prefix": "/a", "redirect_uri": "https://shop.example.com/cb"},
            {"prefix": "/b", "session_data_name": "b", "redirect_uri": "https://shop.example.com/cb"},
            "'redirect_uri'",
        ),
    ],
)
def test_several_clients_differ_in_what_they_answer_and_keep(
    one: dict[str, Any], two: dict[str, Any], text: str
) -> None:
    assert text in refused(clients=several(one, two))


def test_several_clients() -> None:
    server = make(clients=several({"prefix": "/a"}, {"prefix": "/b", "session_data_name": "b"}))
    assert server.oauth_client is None
    assert [client.session_data_name for client in server.oauth_clients or []] == ["oauth", "b"]
    (only,) = make(clients=several({})).oauth_clients or []
    assert isinstance(only, FastApiOAuthClient)
    assert "must not be empty" in refused(clients=[])
    with pytest.raises(CrossauthError, match="not both"):
        FastApiServer({"oauth_client": several({})[0], "oauth_clients": several({})}, {})  # type: ignore[typeddict-item]


def test_a_client_that_nobody_assembled_is_refused() -> None:
    nothing: Any = None
    with pytest.raises(CrossauthError, match="created by FastApiServer"):
        FastApiOAuthClient(nothing, PROVIDER)
    server = make(sessions=False)
    with pytest.raises(CrossauthError, match="'have_session_server'"):
        FastApiOAuthClient(server, PROVIDER, CLIENT, True)  # type: ignore[arg-type]


def test_the_documented_properties() -> None:
    client = make({**IN_SESSION, "delete_tokens_get_url": "gone", "jwt_tokens": ["id"]}).oauth_client
    assert client is not None
    displayed = {name: getattr(client, name) for name in (
        "api_delete_tokens_post_url", "authorized_page", "authorized_url", "delete_tokens_get_url", "delete_tokens_page",
        "delete_tokens_post_url", "device_code_flow_page", "error_page", "id_token_match_field", "jwt_tokens",
        "mfa_oob_page", "mfa_otp_page", "password_flow_page", "session_data_name", "user_creation_type", "user_match_field",
    )}  # fmt: skip
    assert displayed == {
        "api_delete_tokens_post_url": None, "authorized_page": "authorized.jinja2", "authorized_url": "authorized",
        "delete_tokens_get_url": "gone", "delete_tokens_page": "deletetokens.jinja2", "delete_tokens_post_url": None,
        "device_code_flow_page": "devicecodeflow.jinja2", "error_page": "error.jinja2", "id_token_match_field": "sub",
        "jwt_tokens": ["id"], "mfa_oob_page": "mfaoob.jinja2", "mfa_otp_page": "mfaotp.jinja2",
        "password_flow_page": "passwordflow.jinja2", "session_data_name": "oauth", "user_creation_type": "idToken",
        "user_match_field": "username",
    }  # fmt: skip
    assert client.server.app is client.server.app
    assert client.templates.env.get_template("error.jinja2")


def test_the_environment_says_what_the_application_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_AUTH_SERVER_BASE_URL", PROVIDER)
    monkeypatch.setenv("CROSSAUTH_OAUTH_CLIENT_ID", "from outside")
    monkeypatch.setenv("CROSSAUTH_OAUTH_VALID_FLOWS", '["clientCredentials"]')
    monkeypatch.setenv("CROSSAUTH_OAUTH_TOKEN_RESPONSE_TYPE", "send_json")
    server = FastApiServer(
        {"oauth_client": {"options": {}}},  # type: ignore[typeddict-item]
        {"app": FastAPI(), "secret": SECRET, "site_url": "https://shop.example.com"},
    )
    assert server.oauth_client is not None
    assert server.oauth_client.client_id == "from outside"
    assert server.oauth_client.context.flows == {"clientCredentials"}


def test_a_client_s_own_options_override_the_shared_ones() -> None:
    server = make({"prefix": "/own", "client_id": "own"}, client_id="shared", default_scope="openid email")
    assert server.oauth_client is not None
    assert (server.oauth_client.client_id, server.oauth_client.context.prefix) == ("own", "/own/")
    assert server.oauth_client.context.options.default_scope == "openid email"


def test_an_own_folder_of_templates_counts(tmp_path: Path) -> None:
    (tmp_path / "error.html").write_text("mine")
    client = make({"template_dir": str(tmp_path)}).oauth_client
    assert client is not None
    assert client.templates.env.get_template("error.jinja2").render() == "mine"


def test_openapi_shows_what_scripts_call_and_no_pages() -> None:
    server = make(IN_SESSION)
    with TestClient(server.app) as browser:
        paths = browser.get("/openapi.json").json()["paths"]
    assert set(paths["/authzcodeflow"]) == {"post"}
    assert "/authzcode" not in paths
    told = paths["/authzcodeflow"]["post"]
    assert told["security"] == [{"CSRF": []}]
    assert "scope" in str(told["requestBody"])
    assert set(told["responses"]) >= {"400", "401", "403", "502", "503"}


def test_requests_to_the_provider_are_logged_without_what_they_say(caplog: pytest.LogCaptureFixture) -> None:
    class Answers:
        async def fetch(self, request: Any) -> Any:
            raise CrossauthError(ErrorCode.Connection, detail="away")

    caplog.set_level("INFO")
    server = make({"oauth_log_fetch": True, "fetcher": Answers()})
    with TestClient(server.app) as browser:
        assert browser.get("/authzcodeflow", follow_redirects=False).status_code == 503
    assert "GET https://provider.example.com/.well-known/openid-configuration: away" in caplog.text
    assert "secret of the shop" not in caplog.text
