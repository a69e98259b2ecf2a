"""The authorization code flow, the other flows without a device, and how requests are written."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.oauth.client import OAuthClient, TokenSet
from crossauth_backend.oauth.client.authcode import can_prove, is_from
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.client.requests import auth_method
from crossauth_backend.testing import FakeProvider
from tests.oauth_login import BACK, Login


async def started(client: OAuthClient, *args: Any, **more: Any) -> dict[str, str]:
    url = (await client.start_authorization_code_flow(*args, **more))["url"]
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


async def test_what_the_browser_is_sent_with(login: Login) -> None:
    assert await started(login.client, "s") == {
        "response_type": "code", "client_id": "client", "redirect_uri": BACK, "state": "s",
    }  # fmt: skip
    other = "https://other.example.com/cb"
    asked = await started(
        login.another(authorization_params={"prompt": "login", "access_type": "offline"}), "s", "openid a", "c", True,
        nonce="n", redirect_uri=other, extra={"prompt": "none", "resource": "https://api.example.com"},
    )  # fmt: skip
    assert asked == {
        "response_type": "code", "client_id": "client", "redirect_uri": other, "state": "s", "scope": "openid a", "nonce": "n",
        "code_challenge": "c", "code_challenge_method": "S256", "prompt": "none", "access_type": "offline",
        "resource": "https://api.example.com",
    }  # fmt: skip


async def test_what_cannot_be_asked_for(login: Login) -> None:
    start = login.client.start_authorization_code_flow
    for scope in ('a"b', "a\nb\x00", "ä", "a " * 5000):
        assert (await start("s", scope))["error"] == "invalid_scope"
    for state in ("", "s" * 3000, "\ud800"):
        assert (await start(state))["error"] == "invalid_request"
    with pytest.raises(CrossauthError, match="redirect_uri"):
        await login.another(redirect_uri=None).start_authorization_code_flow("s")
    with pytest.raises(CrossauthError, match="redirect_uri"):
        await start("s", redirect_uri="http://app.example.com/cb")


async def test_the_endpoint_may_have_a_query_and_be_reached_by_another_name(login: Login) -> None:
    login.provider.settings.metadata = {"authorization_endpoint": f"{login.provider.url}/tenant/authorize?p=1"}
    url = (await login.another().start_authorization_code_flow("s"))["url"]
    assert url.startswith(f"{login.provider.url}/tenant/authorize?p=1&response_type=code")
    client = login.another(oauth_authorize_redirect="https://login.example.com/")
    url = (await client.start_authorization_code_flow("s"))["url"]
    assert url.startswith("https://login.example.com/tenant/authorize?p=1&")
    login.provider.settings.metadata = {"authorization_endpoint": None, "token_endpoint": None}
    client = login.another()
    assert (await client.start_authorization_code_flow("s"))["error"] == "server_error"
    assert (await client.client_credentials_flow())["error"] == "server_error"


async def test_tokens_come_with_what_was_verified_and_can_be_kept(login: Login) -> None:
    answer = await login.walk()
    tokens = TokenSet.from_response(answer, issuer=login.client.issuer, now=login.clock(), flow="oidcAuthorizationCode")
    assert tokens.id_payload is not None
    assert tokens.id_payload["nonce"] == "the nonce"
    assert not tokens.is_expired(login.clock())
    login.clock.advance(minutes=10)
    assert tokens.is_expired(login.clock())
    assert tokens.refresh_token is not None
    more = await login.client.refresh_token_flow(tokens.refresh_token, id_payload=tokens.id_payload)
    again = tokens.refreshed(more, login.clock())
    assert again.refresh_token != tokens.refresh_token
    assert not again.is_expired(login.clock())
    assert again.saved_at == tokens.saved_at


async def test_plain_oauth_without_openid(login: Login) -> None:
    back = await login.begin(scope="read")
    answer = await login.client.redirect_endpoint(**back, code_verifier=login.verifier)
    assert answer["scope"] == "read"
    assert "id_payload" not in answer


async def test_max_age_is_asked_of_the_id_token(login: Login) -> None:
    assert "error" not in await login.walk(max_age=60)
    login.provider.settings.claims = {"auth_time": None}
    assert (await login.finish(await login.begin(), max_age=60))["error"] == "access_denied"


async def test_how_the_client_authenticates(login: Login) -> None:
    seen = []
    for options in (
        {}, {"token_endpoint_auth_method": "client_secret_post"}, {"oauth_post_type": "json"},
        {"client_id": "public", "client_secret": None}, {"auth_server_headers": {"X-Tenant": "a"}},
    ):  # fmt: skip
        client = login.another(**options)
        assert "error" not in await login.walk(client)
        seen.append(next(r for r in reversed(login.provider.received) if r.endpoint == "token"))
    basic, posted, as_json, public, headed = seen
    assert basic.basic == ("client", "the secret of the client")
    assert "client_secret" not in basic.fields
    assert "client_id" not in basic.fields
    assert posted.basic is None
    assert posted.fields["client_secret"] == "the secret of the client"
    assert as_json.headers["content-type"] == "application/json"
    assert public.fields["client_id"] == "public"
    assert public.basic is None
    assert headed.headers["x-tenant"] == "a"
    assert all(r.headers["accept"] == "application/json" for r in seen)


@pytest.mark.parametrize(
    ("metadata", "method"),
    [
        ({}, "client_secret_basic"), ({"m": ["client_secret_post", "client_secret_basic"]}, "client_secret_basic"),
        ({"m": ["client_secret_post"]}, "client_secret_post"), ({"m": ["private_key_jwt"]}, None),
        ({"m": "x"}, "client_secret_basic"),
    ],
    ids=str,
)  # fmt: skip
def test_the_metadata_says_how(metadata: dict[str, Any], method: str | None) -> None:
    response = {"token_endpoint_auth_methods_supported": metadata["m"]} if metadata else {}
    assert auth_method(ClientSettings(client_secret="s"), response) == method
    assert auth_method(ClientSettings(), response) == "none"
    assert auth_method(
        ClientSettings(client_secret="s", token_endpoint_auth_method="client_secret_post"), response
    ) == ("client_secret_post")


async def test_a_server_that_takes_no_secret_is_not_sent_one(login: Login) -> None:
    login.provider.settings.metadata = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    assert (await login.another().client_credentials_flow())["error"] == "server_error"
    assert not any(r.endpoint == "token" for r in login.provider.received)


async def test_client_credentials(login: Login) -> None:
    answer = await login.client.client_credentials_flow("a b")
    assert answer["scope"] == "a b"
    assert "refresh_token" not in answer
    public = login.another(client_id="public", client_secret=None)
    assert (await public.client_credentials_flow())["error"] == "unauthorized_client"
    assert (await login.another(client_secret="wrong").client_credentials_flow())["error"] == "invalid_client"


async def test_refreshing(login: Login) -> None:
    first = await login.walk()
    assert (await login.client.refresh_token_flow("unknown"))["error"] == "invalid_grant"
    assert (await login.client.refresh_token_flow(""))["error"] == "invalid_request"
    again = await login.client.refresh_token_flow(first["refresh_token"])
    assert again["id_payload"]["sub"] == "alice"
    # Without rotation, and without another ID token.
    login.provider.settings.rotate = login.provider.settings.id_token_on_refresh = False
    third = await login.client.refresh_token_flow(again["refresh_token"], id_payload=first["id_payload"])
    assert "refresh_token" not in third
    assert "id_payload" not in third


def test_the_four_rows_of_rfc_9207() -> None:
    response = {"authorization_response_iss_parameter_supported": True}
    assert is_from("a", ["a"], response)
    assert not is_from(None, ["a"], response)
    assert is_from("a", ["a"], {})
    assert is_from(None, ["a"], {})
    for metadata in (response, {}):
        for iss in ("b", "", "a/", "A"):
            assert not is_from(iss, ["a"], metadata)


def test_whether_pkce_does_anything() -> None:
    settings = ClientSettings()
    assert can_prove(settings, {})
    assert can_prove(settings, {"code_challenge_methods_supported": ["plain", "S256"]})
    assert not can_prove(settings, {"code_challenge_methods_supported": ["plain"]})


async def test_metadata_can_be_given_and_read(login: Login) -> None:
    client = login.another()
    assert client.get_oidc_config() is None
    assert (await client.metadata())["issuer"] == login.provider.url
    other = login.another()
    await other.load_config(dict(await client.metadata()))
    assert other.get_oidc_config() is not None
    with pytest.raises(CrossauthError, match="oidc_config"):
        await other.load_config({"issuer": "https://elsewhere.example.com"})
    assert login.provider.requests["metadata"] == 1


async def test_a_jwt_can_be_read_without_believing_it(login: Login) -> None:
    token = (await login.walk())["access_token"]
    assert login.client.get_token_payload(token)["sub"] == "alice"
    for text in ("", "a.b.c", "x" * 20_000):
        with pytest.raises(CrossauthError):
            login.client.get_token_payload(text)


async def test_an_issuer_with_a_path_and_a_slash() -> None:
    async with FakeProvider("/realms/one/") as provider:
        client = OAuthClient(provider.url, {"redirect_uri": BACK, **provider.client_options})  # type: ignore[typeddict-item]
        answer = await started(client, "s", "openid")
        assert answer["scope"] == "openid"
        await client.aclose()
