"""Holes that were found in OAuth clients of other libraries, each against this one"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request

from crossauth_backend import (
    CrossauthError,
    InMemoryIdentityStorage,
    InMemoryKeyStorage,
    SqlAlchemyKeyStorage,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.oauth.client import OAuthClient, TokenSet
from crossauth_backend.oauth.client.provider_settings import provider_options
from crossauth_backend.oauth.client.providers import PROVIDERS
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from crossauth_fastapi import BffEndpoint, FastApiServer
from tests.oauthclient import IN_SESSION, TOKENS, ClientSite, Visitor
from tests.services.uvicorn import serve
from tests.support import SECRET

SAVED = {**IN_SESSION, **TOKENS}
EVIL = "https://evil.example.com"
CALLBACK = "/authzcode"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def leave(browser: Visitor, path: str = "/authzcodeflow", **query: str) -> str:
    """Begin a login; the URL at the provider."""
    answer = await browser.get(path, params=query)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def query_of(url: str) -> dict[str, str]:
    """The parameters of a URL, each once."""
    found = parse_qs(urlsplit(url).query, strict_parsing=True, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


async def come_back(browser: Visitor, url: str) -> httpx2.Response:
    """Follow the provider's redirect."""
    parts = urlsplit(url)
    return await browser.get(f"{parts.path}?{parts.query}")


async def has_tokens(browser: Visitor) -> bool:
    """Whether tokens are saved for a browser."""
    return bool((await browser.call("/have_access_token")).json()["ok"])


@pytest.mark.parametrize("where", ["memory", "sqlite"])
async def test_cve_2025_68158_and_cve_2026_41425_a_state_belongs_to_one_browser(
    provider: FakeProvider, where: str, tmp_path: Path
) -> None:
    """Wherever the sessions are kept, a login that one browser began is not finished by another."""
    keys: Any = InMemoryKeyStorage()
    if where == "sqlite":
        keys = SqlAlchemyKeyStorage(open_engine(f"sqlite:///{tmp_path}/keys.db"))
    async with ClientSite(provider, SAVED, keys=keys).open() as attacker, attacker.another() as victim:
        back = provider.sign_in(await leave(attacker), "bob")
        for begun in (False, True):
            if begun:
                await leave(victim)
            assert (await come_back(victim, back)).status_code == 401
            assert not await has_tokens(victim)
        assert (await come_back(attacker, back)).is_redirect
        assert await has_tokens(attacker)


async def test_authlib_1_6_10_and_1_7_1_an_error_leads_nowhere_else(provider: FakeProvider) -> None:
    """What an error of the provider, or a request that cannot be right, is answered with is no redirect."""
    async with ClientSite(provider, SAVED).open() as browser:
        for begun in (False, True):
            state = query_of(await leave(browser))["state"] if begun else "unknown"
            for query in ({"error": "access_denied"}, {"error": "login_required"}, {}):
                for name in ("redirect_uri", "next", "error_uri"):
                    answer = await browser.get(CALLBACK, params={**query, "state": state, name: EVIL})
                    assert answer.status_code in (400, 401, 403), answer.text
                    assert "location" not in answer.headers
                    assert EVIL not in answer.text


async def test_authlib_1_7_0_a_challenge_is_always_sent(provider: FakeProvider) -> None:
    """PKCE with S256 does not depend on what the metadata leave out, nor on the URL that begins a login."""
    for response in (["S256"], ["plain", "S256"], None):
        provider.settings.metadata["code_challenge_methods_supported"] = response
        async with ClientSite(provider).open() as browser:
            for path in ("/authzcodeflow", "/authzcodeflowpkce"):
                for more in ({}, {"code_challenge_method": "plain", "code_challenge": "x"}):
                    sent = query_of(await leave(browser, path, **more))
                    assert (sent["code_challenge_method"], len(sent["code_challenge"])) == ("S256", 43)
    provider.settings.metadata["code_challenge_methods_supported"] = ["plain"]
    async with ClientSite(provider).open() as browser:
        assert not (await browser.get("/authzcodeflowpkce")).is_redirect


def test_authlib_1_7_0_a_token_that_expired_in_1970_has_expired() -> None:
    """Zero is a time, and not the absence of one."""
    now = utc_now()
    tokens = TokenSet(access_token="x", issuer="https://auth.example.com", saved_at=0, flow="clientCredentials")
    assert not tokens.is_expired(now), "its end is not known"
    for end in (0, 1, -1):
        assert replace(tokens, expires_at=end).is_expired(now)
    at_once = TokenSet.from_response(
        {"access_token": "x", "token_type": "Bearer", "expires_in": 0}, issuer=tokens.issuer, now=now, flow=tokens.flow
    )
    assert at_once.is_expired(now)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:80@attacker.test", "http://localhost@attacker.test", "https://user:password@auth.example.com",
        "http://127.0.0.1.attacker.test", "http://localhost.attacker.test", "http://auth.example.com", "https://[::1",
        "https://auth.example.com/#x", "javascript:alert(1)", "//auth.example.com", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["auth_server_base_url", "redirect_uri", "oauth_authorize_redirect", "bff_base_url"])
def test_authlib_1_8_0_and_cve_2022_36087_a_url_that_looks_local_stops_the_start(option: str, url: str) -> None:
    """URLs with a user, malformed addresses, and plain http to elsewhere are configuration errors, never exceptions."""
    issuer = url if option == "auth_server_base_url" else "https://auth.example.com"
    options: dict[str, Any] = {
        "client_id": "c", "client_secret": "a secret of the client", "valid_flows": ["authorizationCodeWithPKCE"],
    }  # fmt: skip
    sessions: dict[str, Any] = {}
    if option == "bff_base_url":
        options |= {**IN_SESSION, "bff_endpoints": [BffEndpoint("/a", ["GET"], False)]}
        sessions = {"session": {"key_storage": InMemoryKeyStorage()}}
    if option != "auth_server_base_url":
        options[option] = url
    params: Any = {**sessions, "oauth_client": {"auth_server_base_url": issuer, "options": options}}
    with pytest.raises(CrossauthError, match=option):
        FastApiServer(params, {"app": FastAPI(), "secret": SECRET, "site_url": "https://shop.example.com"})


TARGETS = [
    EVIL, f"//{urlsplit(EVIL).netloc}", f"/\\{urlsplit(EVIL).netloc}", f"\\\\{urlsplit(EVIL).netloc}", "http://[::1",
    "https://[::1]@evil.example.com/", "javascript:alert(1)", "/\t/evil.example.com", "/\n/evil.example.com",
    "https:evil.example.com", "https:///evil.example.com", "///evil.example.com", "/%5cevil.example.com/..//evil.example.com",
    "http://localhost:8000@evil.example.com/", "\x00/", "/" + "a" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:24])
async def test_cve_2026_27982_and_cve_2022_39174_after_a_login_the_browser_stays_here(
    provider: FakeProvider, target: str
) -> None:
    """`next` is a path of this site, or it is not used; malformed ones are no exceptions."""
    async with ClientSite(provider, SAVED).open() as browser:
        answer = await browser.get(f"/authzcodeflow?next={quote(target)}")
        if answer.is_client_error:
            return
        answer = await come_back(browser, provider.sign_in(answer.headers["location"]))
        to = answer.headers["location"]
        assert to == "/welcome" or (to.startswith("/") and to[1:2] not in ("/", "\\") and "\\" not in to), to


async def test_ghsa_x445_f3h2_j279_an_attempt_belongs_to_the_provider_where_it_began(provider: FakeProvider) -> None:
    """Of two clients of one application, what began at one is not finished at the other."""
    async with FakeProvider() as other:
        app, keys = FastAPI(), InMemoryKeyStorage()
        clients = [
            {
                "auth_server_base_url": there.url,
                "options": {
                    **there.client_options, **SAVED, "valid_flows": ["oidcAuthorizationCode"], "prefix": f"/{name}/",
                    "session_data_name": name,
                },
            }
            for name, there in (("one", provider), ("two", other))
        ]  # fmt: skip
        params: Any = {"session": {"key_storage": keys}, "oauth_clients": clients}
        FastApiServer(params, {"app": app, "secret": SECRET, "site_url": "http://localhost:8000"})
        with serve(app) as url:
            async with Visitor(url) as browser:
                back = urlsplit(provider.sign_in(await leave(browser, "/one/authzcodeflow")))
                assert back.path == "/one/authzcode"
                refused = await browser.get(f"/two/authzcode?{back.query}")
                assert refused.status_code == 401
                assert other.requests["token"] == provider.requests["token"] == 0
                assert (await browser.get(f"{back.path}?{back.query}")).is_redirect


@pytest.mark.parametrize("fault", [Fault.WRONG_ISSUER, Fault.NO_KEYS_URL, Fault.NO_JSON, Fault.UNAVAILABLE, Fault.HTML])
async def test_ghsa_8fpg_xm3f_6cx3_a_provider_that_is_set_up_wrongly_lets_nobody_in(
    provider: FakeProvider, fault: Fault
) -> None:
    """With metadata that cannot be right no login begins, and none that has begun ends well."""
    async with ClientSite(provider, SAVED).open() as browser:
        provider.faults["metadata"] = fault
        answer = await browser.get("/authzcodeflow")
        if fault is Fault.NO_KEYS_URL:
            # That is noticed where the first ID token has to be verified.
            answer = await come_back(browser, provider.sign_in(answer.headers["location"]))
        assert answer.status_code in (401, 502, 503, 504), answer.text
        assert not await has_tokens(browser)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"client_id": ""}, "client_id"), ({"user_creation_type": "custom"}, "user_creation_fn"),
        ({"token_response_type": "custom"}, "receive_token_fn"), ({"valid_flows": ["implicit"]}, "valid_flows"),
        ({"id_token_algorithms": ["none"]}, "id_token_algorithms"), ({"unknown": 1}, "unknown"),
    ],
)  # fmt: skip
def test_ghsa_8fpg_xm3f_6cx3_a_client_that_is_set_up_wrongly_does_not_start(wrong: dict[str, Any], name: str) -> None:
    options = {
        "client_id": "c",
        "client_secret": "a secret of the client",
        "valid_flows": ["oidcAuthorizationCode"],
        **wrong,
    }
    params: Any = {
        "session": {"key_storage": InMemoryKeyStorage()},
        "oauth_client": {"auth_server_base_url": "https://auth.example.com", "options": options},
    }
    with pytest.raises(CrossauthError, match=name):
        FastApiServer(params, {"app": FastAPI(), "secret": SECRET, "site_url": "https://shop.example.com"})


async def test_django_allauth_65_16_1_every_provider_is_sent_a_state() -> None:
    """No row of the table of providers can leave it out."""
    documents = json.loads((Path(__file__).parents[1] / "peers" / "discovery.json").read_text())
    settings = {
        "google": {}, "github": {}, "discord": {}, "microsoft": {"tenant": "72f988bf-86f1-41af-91ab-2d7cd011db47"},
        "gitlab": {}, "keycloak": {"server": "https://sso.example.com", "realm": "staff"},
        "auth0": {"domain": "example.eu.auth0.com"},
        "okta": {"domain": "example.okta.com"}, "openid": {"issuer": "https://id.example.com"},
    }  # fmt: skip
    assert settings.keys() | {"apple"} == PROVIDERS.keys(), "Apple's differs in its secret alone"
    for name, more in settings.items():
        options = provider_options(name, client_id="c", client_secret="a secret of the client", **more)
        options.setdefault("oidc_config", documents.get(name))
        provided = {
            n: v for n, v in options.items() if n not in ("prefix", "session_data_name", "valid_flows", "default_scope")
        }
        client = OAuthClient(
            provided.pop("auth_server_base_url"), {**provided, "redirect_uri": "https://shop.example.com/cb"}
        )
        started = await client.start_authorization_code_flow("the state", "openid", "c" * 43, True)
        assert query_of(started["url"])["state"] == "the state", name
        await client.aclose()


async def test_django_allauth_65_16_1_no_login_ends_without_the_state(provider: FakeProvider) -> None:
    async with ClientSite(provider, SAVED).open() as browser:
        for fault in (ProviderFault.NO_STATE, ProviderFault.WRONG_STATE):
            provider.faults["authorize"] = fault
            assert (await come_back(browser, provider.sign_in(await leave(browser)))).status_code == 401
            assert provider.requests["token"] == 0
            assert not await has_tokens(browser)


@pytest.mark.parametrize(
    "fault", [ProviderFault.WRONG_AUDIENCE, ProviderFault.SEVERAL_AUDIENCES, ProviderFault.WRONG_AZP]
)
async def test_django_allauth_0_58_0_a_token_for_another_application_logs_nobody_in(
    provider: FakeProvider, fault: ProviderFault
) -> None:
    async with ClientSite(provider, SAVED).open() as browser:
        provider.faults["token"] = fault
        refused = await come_back(browser, provider.sign_in(await leave(browser)))
        assert refused.status_code == 401, refused.text
        assert not await has_tokens(browser)


async def test_django_allauth_64_2_0_an_id_token_of_an_earlier_login_counts_no_more(provider: FakeProvider) -> None:
    """An ID token is for one login, by its nonce; a callback is for one, by its state."""
    async with ClientSite(provider, SAVED).open() as browser, browser.another() as elsewhere:
        back = provider.sign_in(await leave(browser))
        assert (await come_back(browser, back)).is_redirect
        asked = provider.requests["token"]
        for again in (browser, elsewhere):
            assert (await come_back(again, back)).status_code == 401
        assert provider.requests["token"] == asked, "the code is not sent again"
        provider.faults["token"] = ProviderFault.WRONG_NONCE
        assert (await come_back(elsewhere, provider.sign_in(await leave(elsewhere)))).status_code == 401
        assert not await has_tokens(elsewhere)


async def test_cve_2025_65431_an_account_is_known_by_issuer_and_subject_alone(provider: FakeProvider) -> None:
    """Who takes the name and address of somebody else at the provider is nobody else here."""
    identities = InMemoryIdentityStorage()
    site = ClientSite(provider, {**SAVED, "user_creation_type": "merge", "identity_storage": identities})
    for username in ("alice", "bob"):
        await site.users.create_user({"username": username, "email": f"{username}@example.com", "state": "active"})
    alice = await site.users.get_user_by_username("alice")
    await identities.link(provider.url, "alice", alice.user.id)
    add_who(site.server.app)
    async with site.open() as browser, browser.another() as other:
        await come_back(browser, provider.sign_in(await leave(browser, scope="openid profile email"), "alice"))
        assert (await browser.get("/who")).json() == "alice"
        provider.users["mallory"] = dict(provider.users["alice"])
        provider.users["alice"] |= {"preferred_username": "bob", "email": "bob@example.com", "name": "bob"}
        await come_back(other, provider.sign_in(await leave(other, scope="openid profile email"), "mallory"))
        assert (await other.get("/who")).json() is None
        await come_back(browser, provider.sign_in(await leave(browser, scope="openid profile email"), "alice"))
        assert (await browser.get("/who")).json() == "alice"


def add_who(app: FastAPI) -> None:
    """A route that says who is asking."""

    @app.get("/who")
    async def who(request: Request) -> str | None:
        return request.state.user.username if request.state.user else None


@pytest.mark.parametrize(("here", "there"), [(False, True), (True, False), (False, False), (True, True)])
async def test_ghsa_g38m_r43w_p2q7_an_address_counts_where_both_sides_have_verified_it(
    provider: FakeProvider, here: bool, there: bool
) -> None:
    fields = {"user_match_field": "email", "id_token_match_field": "email", "user_creation_type": "merge"}
    site = ClientSite(provider, {**SAVED, **fields})
    user = await site.users.create_user({"username": "owner", "email": "alice@example.com", "state": "active"})
    if here:
        await site.users.update_user({"id": user.id, "email_verified_at": utc_now()})
    add_who(site.server.app)
    provider.users["alice"]["email_verified"] = there
    async with site.open() as browser:
        await come_back(browser, provider.sign_in(await leave(browser, scope="openid email"), "alice"))
        assert (await browser.get("/who")).json() == ("owner" if here and there else None)


async def test_ghsa_7w99_5wm4_3g79_and_ghsa_392p_2q2v_4372_one_of_many_at_once(provider: FakeProvider) -> None:
    """A code is sent once, and a refresh token is, however many requests find them at the same moment."""
    provider.settings.token_lifetime = 1
    async with ClientSite(provider, SAVED).open() as browser:
        back = provider.sign_in(await leave(browser, scope="openid offline_access"))
        answers = await asyncio.gather(*(come_back(browser, back) for _ in range(10)))
        assert [answer.is_redirect for answer in answers].count(True) == 1
        assert provider.requests["token"] == 1
        token = await browser.token()
        calls = (browser.post("/api/refreshtokens", headers={"X-CROSSAUTH-CSRF": token}) for _ in range(10))
        answers = await asyncio.gather(*calls)
        assert {answer.status_code for answer in answers} == {200}
        assert provider.requests["token"] == 2


async def test_ghsa_86j7_9j95_vpqj_the_redirect_uri_is_the_configured_one(provider: FakeProvider) -> None:
    """No header and no parameter changes where the provider sends the browser, nor what the token request says of it."""
    provider.settings.redirect_uris = ["http://localhost:8000/authzcode"]
    async with ClientSite(provider, SAVED).open() as browser:
        for headers in (
            {"Host": "evil.example.com"},
            {"X-Forwarded-Host": "evil.example.com"},
            {"Forwarded": "host=evil"},
        ):
            answer = await browser.get(f"/authzcodeflow?redirect_uri={EVIL}", headers=headers)
            if answer.is_redirect:
                assert query_of(answer.headers["location"])["redirect_uri"] == "http://localhost:8000/authzcode"
        assert (await come_back(browser, provider.sign_in(await leave(browser)))).is_redirect
        sent = next(received for received in provider.received if received.endpoint == "token")
        assert sent.fields["redirect_uri"] == "http://localhost:8000/authzcode"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://10.0.0.1/", "http://metadata.internal/",
        "file:///etc/passwd", "gopher://127.0.0.1/", "http://127.0.0.1.attacker.test/", "//169.254.169.254/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("member", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
async def test_ghsa_5rr4_8452_hf4v_metadata_lead_to_no_address_inside(
    provider: FakeProvider, member: str, address: str
) -> None:
    """What the provider publishes of its endpoints is https, or on the machine itself where the provider is too."""
    provider.settings.metadata[member] = address
    async with ClientSite(provider, {**SAVED, "oauth_use_user_info_endpoint": True}).open() as browser:
        answer = await browser.get("/authzcodeflow")
        if answer.is_redirect:
            answer = await come_back(browser, provider.sign_in(answer.headers["location"]))
        assert answer.status_code in (401, 502, 503), answer.text
        assert not await has_tokens(browser)
