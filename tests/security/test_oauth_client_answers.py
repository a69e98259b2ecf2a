"""Authorization servers that are away, slow, dying or talking nonsense, and browsers that bring what is not theirs

Every flow of the client gives a typed error within its time, shows nothing of another server, and works again afterwards.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.testing import Fault, ProviderFault
from tests.oauth_login import BACK, Login, login_at_provider
from tests.patience import Impatient

AWAY = ("temporarily_unavailable", "server_error")
SECRETS = ("the secret of the client", "the password", "the refresh token", "the code", "the mfa token")


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    async with login_at_provider() as login:
        yield login


FLOWS: dict[str, Callable[[OAuthClient], Awaitable[Any]]] = {
    "authorization code": lambda c: c.redirect_endpoint("the code", "state", "v" * 43, iss=c.issuer),
    "client credentials": lambda c: c.client_credentials_flow("a"),
    "refresh": lambda c: c.refresh_token_flow("the refresh token"),
    "password": lambda c: c.password_flow("alice", "the password"),
    "otp": lambda c: c.mfa_otp_complete("the_mfa_token", "123456"),
    "oob": lambda c: c.mfa_oob_complete("the_mfa_token", "oob", "123456"),
    "otp challenge": lambda c: c.mfa_otp_request("the_mfa_token", "a"),
    "oob challenge": lambda c: c.mfa_oob_request("the_mfa_token", "a"),
    "authenticators": lambda c: c.mfa_authenticators("the_mfa_token"),
    "device": lambda c: c.start_device_code_flow(scope="a"),
    "poll": lambda c: c.poll_device_code_flow("the device code"),
    "user info": lambda c: c.user_info_endpoint("token"),
}
ENDPOINTS = ("token", "mfa/challenge", "mfa/authenticators", "device_authorization", "userinfo")
# What comes back at once, and what never ends.
AT_ONCE = [
    Fault.NOT_FOUND, Fault.REDIRECT, Fault.UNAVAILABLE, Fault.HUGE, Fault.DEEP, Fault.NO_JSON, Fault.NO_OBJECT, Fault.HTML,
    Fault.COMPRESSED, Fault.DIES, Fault.GARBAGE,
]  # fmt: skip
NEVER = [Fault.HANGS, Fault.DRIPS, Fault.CHUNKS]


@pytest.mark.parametrize("fault", AT_ONCE, ids=lambda fault: fault.name.lower())
async def test_nonsense_is_a_typed_error_in_every_flow(
    login: Login, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await login.client.load_config()
    login.provider.faults.update(dict.fromkeys(ENDPOINTS, fault))
    for name, flow in FLOWS.items():
        answer = await flow(login.client)
        # Whatever the body is, the status says that the token is not accepted (RFC 6750 §3.1).
        is_told = name == "user info" and answer["error"] == "invalid_token"
        assert answer["error"] in AWAY or is_told, (name, answer)
    assert not any(secret in caplog.text for secret in SECRETS)
    login.provider.faults.clear()
    assert "error" not in await login.client.client_credentials_flow("a")


@pytest.mark.parametrize("fault", NEVER, ids=lambda fault: fault.name.lower())
async def test_an_answer_that_never_ends_ends_with_the_time(login: Login, fault: Fault) -> None:
    async with aclosing(Impatient(login.provider)) as fetcher:
        client = login.another(fetcher=fetcher)
        await client.load_config()
        login.provider.faults.update(dict.fromkeys(ENDPOINTS, fault))
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(flow(client) for flow in FLOWS.values()))
        assert {answer["error"] for answer in answers} == {"temporarily_unavailable"}
        login.provider.faults.clear()
        assert "error" not in await client.client_credentials_flow("a")


async def test_a_provider_that_is_away_when_we_start_is_found_later(login: Login) -> None:
    login.provider.faults.update(dict.fromkeys((*ENDPOINTS, "metadata"), Fault.UNAVAILABLE))
    for flow in FLOWS.values():
        assert (await flow(login.client))["error"] in AWAY
    assert (await login.client.start_authorization_code_flow("s"))["error"] == "temporarily_unavailable"
    assert await login.client.end_session_url() is None
    assert await login.client.revoke("token", "access_token") is False
    login.provider.faults.clear()
    assert "error" not in await login.walk()


class Says:
    """A fetcher that answers everything but the metadata with one thing."""

    def __init__(self, body: Any, status: int = 200, kind: str = "application/json") -> None:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.kind = status, kind
        self.sent: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        self.sent.append(request)
        return FetchResponse(status=self.status, headers={"content-type": self.kind}, body=self.body)


URL = "https://as.example.com"
METADATA = {
    "issuer": URL, "token_endpoint": f"{URL}/token", "authorization_endpoint": f"{URL}/authorize",
    "userinfo_endpoint": f"{URL}/userinfo", "device_authorization_endpoint": f"{URL}/device",
}  # fmt: skip


def a_client(says: Says, **options: Any) -> OAuthClient:
    provided: Any = {
        "client_id": "client",
        "client_secret": "secret",
        "redirect_uri": BACK,
        "oidc_config": METADATA,
        "fetcher": says,
    }
    return OAuthClient(URL, {**provided, **options})


GOOD = {"access_token": "a", "token_type": "Bearer", "expires_in": 60}
WRONG: dict[str, Any] = {
    "nothing": {},
    "an array": [],
    "a number": 1,
    "null": None,
    "no access token": {**GOOD, "access_token": None},
    "an access token that is a list": {**GOOD, "access_token": ["a"]},
    "an access token with a line end": {**GOOD, "access_token": "a\r\nX-Injected: 1"},
    "an access token with a blank": {**GOOD, "access_token": "a b"},
    "an access token that is not ASCII": {**GOOD, "access_token": "ä"},
    "an access token with half a character": {**GOOD, "access_token": "\ud800"},
    "an access token with a NUL": {**GOOD, "access_token": "a\x00"},
    "a huge access token": {**GOOD, "access_token": "a" * 20_000},
    "no token type": {"access_token": "a"},
    "another token type": {**GOOD, "token_type": "DPoP"},
    "a token type that is a list": {**GOOD, "token_type": ["Bearer"]},
    "expires_in true": {**GOOD, "expires_in": True},
    "expires_in negative": {**GOOD, "expires_in": -1},
    "expires_in huge": {**GOOD, "expires_in": 10**30},
    "expires_in text": {**GOOD, "expires_in": "soon"},
    "expires_in in another script": {**GOOD, "expires_in": "٣٠"},
    "expires_in a list": {**GOOD, "expires_in": [60]},
    "expires_in NaN": b'{"access_token":"a","token_type":"Bearer","expires_in":NaN}',
    "expires_in Infinity": b'{"access_token":"a","token_type":"Bearer","expires_in":Infinity}',
    "expires_in 1e999": b'{"access_token":"a","token_type":"Bearer","expires_in":1e999}',
    "expires_in of 10000 digits": b'{"access_token":"a","token_type":"Bearer","expires_in":' + b"9" * 10_000 + b"}",
    "a name twice": b'{"access_token":"a","access_token":"b","token_type":"Bearer"}',
    "a refresh token that is an object": {**GOOD, "refresh_token": {"a": 1}},
    "a refresh token with a line end": {**GOOD, "refresh_token": "a\nb"},
    "an ID token that is a list": {**GOOD, "id_token": ["a"]},
    "a scope that is an object": {**GOOD, "scope": {"a": 1}},
    "a huge scope": {**GOOD, "scope": "a " * 10_000},
    "no UTF-8": b'{"access_token":"\xff"}',
    "empty": b"",
    "an error that is a list": {"error": ["invalid_grant"]},
    "an error that is empty": {"error": ""},
    "an error with a line end": {"error": "invalid_grant\r\nX: 1"},
    "an error without end": {"error": "a" * 5000},
    "an error that is true": {"error": True},
    "an error that is null beside a token that is none": {**GOOD, "access_token": "a b", "error": None},
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_token_response_that_is_none_gives_no_tokens(name: str) -> None:
    for status in (200, 400, 401):
        client = a_client(Says(WRONG[name], status))
        for flow in ("client credentials", "refresh", "authorization code", "poll"):
            assert (await FLOWS[flow](client))["error"] == "server_error", (status, flow)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 403, 404, 418, 0])
async def test_a_good_document_with_another_status_gives_no_tokens(status: int) -> None:
    assert (await a_client(Says(GOOD, status)).refresh_token_flow("r"))["error"] == "server_error"


@pytest.mark.parametrize("status", [302, 404, 405, 418, 429, 500, 501, 502, 503, 504, 599])
async def test_duos_ui_3805_a_server_in_trouble_says_nothing_final_of_a_refresh_token(status: int) -> None:
    answer = await a_client(Says({"error": "invalid_grant"}, status)).refresh_token_flow("r")
    assert answer["error"] in AWAY


async def test_what_another_server_says_is_held_to_what_an_error_can_say() -> None:
    text = '<script>alert("1")</script>\r\n\x00\x1b[31m\ud800' + "x" * 5000
    answer = await a_client(Says({"error": "invalid_grant", "error_description": text}, 400)).refresh_token_flow("r")
    assert answer["error"] == "invalid_grant"
    assert len(answer["error_description"]) <= 500
    assert answer["error_description"].isascii()
    assert answer["error_description"].isprintable()
    assert '"' not in answer["error_description"]
    for description in (None, 1, ["x"], {"a": 1}, "", "\x00"):
        says = Says({"error": "invalid_grant", "error_description": description}, 400)
        answer = await a_client(says).refresh_token_flow("r")
        assert answer == {"error": "invalid_grant", "error_description": "invalid_grant"}


@pytest.mark.parametrize("value", ["\ud800", "a\x00", "x" * 20_000])
async def test_what_cannot_be_sent_is_refused_and_not_sent(value: str) -> None:
    says = Says(GOOD)
    client = a_client(says)
    answers = [
        await client.password_flow(value, "p"),
        await client.password_flow("u", value),
        await client.refresh_token_flow(value),
        await client.client_credentials_flow(value),
        await client.redirect_endpoint(value, "s"),
        await client.poll_device_code_flow(value),
        await client.start_device_code_flow(scope=value),
        await client.mfa_otp_complete("t", value),
        await client.mfa_oob_complete(value, "a", "b"),
        await client.mfa_otp_request(value, "b"),
        await client.mfa_authenticators(value),
        await client.user_info_endpoint(value),
    ]
    assert {answer["error"] for answer in answers} == {"invalid_request", "invalid_token"}  # type: ignore[index]
    assert await client.revoke(value) is False
    assert says.sent == []


# What the browser brings back


async def test_mix_up_an_answer_of_another_server_is_no_login_and_none_of_its_words_are_shown(login: Login) -> None:
    """RFC 9207 §2.4 and RFC 9700 §4.4: advertised or not, present or not."""
    back = await login.begin()
    refused = {
        "error": "access_denied",
        "error_description": "The response came from another authorization server",
    }
    for iss in ("https://elsewhere.example.com", login.provider.url + "/", login.provider.url.upper(), "", None):
        assert await login.finish({**back, "iss": iss}) == refused  # type: ignore[dict-item]
        words = await login.client.redirect_endpoint(
            state="s", error="<b>", error_description="Call this number", iss=iss
        )
        assert words == refused
    assert not any(r.endpoint == "token" for r in login.provider.received)
    assert "error" not in await login.finish(back)
    login.provider.settings.iss_parameter = False
    client = login.another()
    back = await login.begin(client)
    assert "iss" not in back
    assert await login.finish({**back, "iss": "https://elsewhere.example.com"}, client) == refused
    assert "error" not in await login.finish(back, client)


async def test_authlib_170_notes_pkce_is_not_left_out_where_the_server_does_not_do_it(login: Login) -> None:
    for methods in (["plain"], [], "S256", {"S256": 1}, 1):
        login.provider.settings.metadata = {"code_challenge_methods_supported": methods}
        client = login.another()
        challenge, _ = client.code_challenge_and_verifier()
        answer = await client.start_authorization_code_flow("s", "openid", challenge, True)
        assert "url" not in answer
        plain = login.another(code_challenge_method="plain")
        assert "url" in await plain.start_authorization_code_flow("s", "openid", challenge, True)
    # Many do it and do not say so.
    login.provider.settings.metadata = {"code_challenge_methods_supported": None}
    assert "url" in await login.another().start_authorization_code_flow("s", "openid", challenge, True)
    assert "url" not in await login.another().start_authorization_code_flow("s", "openid", None, True)


async def test_a_code_of_another_browser_is_of_no_use_without_its_verifier(login: Login) -> None:
    back = await login.begin()
    stolen = login.another()
    assert (await login.finish(back, stolen, code_verifier="v" * 43))["error"] == "invalid_grant"


async def test_a_code_counts_once(login: Login) -> None:
    back = await login.begin()
    answers = await asyncio.gather(*(login.finish(back) for _ in range(3)))
    assert sorted("error" in answer for answer in answers) == [False, True, True]


@pytest.mark.parametrize(
    "back", [{}, {"code": "c"}, {"state": "s"}, {"code": "", "state": "s"}, {"code": "c", "state": ""}]
)
async def test_half_an_answer_is_none(login: Login, back: dict[str, str]) -> None:
    answer = await login.client.redirect_endpoint(**back, iss=login.provider.url)
    assert answer["error"] == "invalid_request"


async def test_further_parameters_cannot_replace_those_of_the_flow(login: Login) -> None:
    for name in ("state", "redirect_uri", "client_id", "client_secret", "nonce", "code_challenge", "response_type"):
        with pytest.raises(CrossauthError, match="further parameters"):
            await login.client.start_authorization_code_flow("s", extra={name: "x"})
        with pytest.raises(CrossauthError, match="authorization_params"):
            login.another(authorization_params={name: "x"})


async def test_a_device_page_that_is_no_web_page_is_not_shown(login: Login) -> None:
    login.provider.faults["device_authorization"] = ProviderFault.WRONG_VERIFICATION_URI
    assert (await login.client.start_device_code_flow(scope="openid"))["error"] == "server_error"
    for uri in (
        "javascript:alert(1)",
        "http://as.example.com/device",
        "https://a@b.example.com",
        "data:text/html,x",
        "",
        1,
    ):
        good = {"device_code": "d", "user_code": "u", "verification_uri": f"{URL}/device", "expires_in": 60}
        for changed in ({"verification_uri": uri}, {"verification_uri_complete": uri}):
            answer = await a_client(Says({**good, **changed})).start_device_code_flow()
            assert answer["error"] == "server_error", changed


async def test_no_error_and_no_repr_holds_a_secret(login: Login) -> None:
    answer = await login.walk()
    texts = [repr(login.client), repr(login.client.settings), str(vars(login.client))]
    for fault in (ProviderFault.ERROR, Fault.UNAVAILABLE, ProviderFault.WRONG_SECRET):
        login.provider.faults["token"] = fault
        texts.append(str(await login.client.refresh_token_flow(answer["refresh_token"])))
    for text in texts:
        assert login.provider.client_options["client_secret"] not in text
        assert answer["refresh_token"] not in text
