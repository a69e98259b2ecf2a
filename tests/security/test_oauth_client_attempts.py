"""A login at a provider is finished by the browser that began it, with the provider it was begun at, once

Each test is an attack on the way back from the provider: somebody else's answer, another provider's, an old one, one of another
flow.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi._middleware.state import RequestState
from crossauth_fastapi._oauth_client.attempts import MOST, Attempt, Attempts
from crossauth_fastapi._oauth_client.once import InMemory
from tests.flows.test_oauth_client_code_flow import claims, finish, query_of, start
from tests.oauthclient import HTML, IN_SESSION, TOKENS, ClientSite, Visitor
from tests.patience import PATIENCE
from tests.support import SECRET

OIDC = {"valid_flows": ["oidcAuthorizationCode"], **IN_SESSION, **TOKENS}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as found:
        yield found


async def returned(browser: Visitor, **query: str) -> Any:
    return await browser.get("/authzcode", params=query, headers=HTML)


async def test_a_victim_is_not_logged_in_as_the_attacker(provider: FakeProvider) -> None:
    """Login CSRF (RFC 6749 §10.12): the attacker begins, agrees, and has the victim's browser go back."""
    async with ClientSite(provider, OIDC).open() as attacker, attacker.another() as victim:
        back = query_of(provider.sign_in(await start(attacker), "mallory"))
        refused = await returned(victim, **back)
        assert (refused.status_code, refused.json()["error_code_name"]) == (401, "Unauthorized")
        assert await claims(victim) is None
        # With a login of its own under way, too, and with that login's state and the attacker's code.
        own = query_of(await start(victim))
        assert (await returned(victim, **back)).status_code == 401
        assert (await returned(victim, **{**back, "state": own["state"]})).status_code in (400, 401, 502)
        assert await claims(victim) is None
        assert provider.requests["token"] <= 1


async def test_an_attempt_that_is_moved_to_another_browser_needs_that_browser_s_cookie(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as one, one.another() as two:
        first, second = await start(one), await start(two)
        back = query_of(provider.sign_in(first, "alice"))
        name = next(c.name for c in two.cookies.jar if "OAUTH-" in c.name)
        own = next(c for c in one.cookies.jar if "OAUTH-" in c.name)
        # The cookie of another attempt under the name of this one.
        async with one.another() as third:
            third.cookies.set(own.name, two.cookies[name])
            assert (await returned(third, **back)).status_code == 401
        assert second != first


async def test_a_state_is_used_once(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        url = await start(browser)
        back = query_of(provider.sign_in(url, "alice"))
        stored = dict(browser.cookies)
        assert (await returned(browser, **back)).headers["location"] == "/welcome"
        asked = provider.requests["token"]
        browser.cookies.update(stored)
        again = query_of(provider.sign_in(url, "alice"))
        assert again["code"] != back["code"]
        assert (await returned(browser, **again)).status_code == 401, "with a new code of the same state"
        assert provider.requests["token"] == asked


async def test_an_answer_with_an_error_uses_the_state_up_as_well(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        url = await start(browser)
        back, stored = query_of(provider.sign_in(url, "alice")), dict(browser.cookies)
        assert (
            await returned(browser, error="access_denied", state=back["state"], iss=provider.url)
        ).status_code == 401
        browser.cookies.update(stored)
        assert (await returned(browser, **back)).status_code == 401


async def test_the_answer_of_another_provider_is_not_taken_to_this_one(provider: FakeProvider) -> None:
    """Mix-up (RFC 9700 §4.4): one application, two providers, one of them hostile."""
    async with FakeProvider() as evil:
        options = [
            {"auth_server_base_url": one.url, "options": {
                **one.client_options, **OIDC, "prefix": f"/{name}/", "session_data_name": name, "fetch_timeout": PATIENCE,
                "authorized_url": "/welcome",
            }}
            for name, one in (("good", provider), ("evil", evil))
        ]  # fmt: skip
        site = ClientSite(provider, clients=options)
        async with site.open() as browser:
            first = (await browser.get("/good/authzcodeflow")).headers["location"]
            back = query_of(provider.sign_in(first, "alice"))
            taken = await browser.get(f"/evil/authzcode?{urlencode(back)}")
            assert taken.status_code == 401
            assert evil.requests["token"] == 0, "the code did not reach it"
            second = (await browser.get("/evil/authzcodeflow")).headers["location"]
            mixed = {**query_of(second), "code": back["code"], "iss": evil.url}
            answer = await browser.get(f"/good/authzcode?{urlencode({n: mixed[n] for n in ('state', 'code', 'iss')})}")
            assert answer.status_code == 401
            # It says that it is another one (RFC 9207), and what it says besides is not shown.
            third = query_of((await browser.get("/good/authzcodeflow")).headers["location"])
            displayed = {"state": third["state"], "error": "x", "error_description": "call 555-1234", "iss": evil.url}
            refused = await browser.get(f"/good/authzcode?{urlencode(displayed)}")
            assert refused.status_code == 401
            assert "555" not in refused.text
            fourth = (await browser.get("/good/authzcodeflow")).headers["location"]
            path = urlsplit(provider.sign_in(fourth, "alice"))
            assert (await browser.get(f"{path.path}?{path.query}")).headers["location"] == "/welcome"


async def test_a_flow_without_openid_is_not_finished_as_one_with_it(provider: FakeProvider) -> None:
    """Flow confusion: which flow it is, its nonce and its verifier are the attempt's, whatever comes back."""
    both = {**OIDC, "valid_flows": ["oidcAuthorizationCode", "authorizationCode"]}
    async with ClientSite(provider, both).open() as browser:
        plain, openid = await start(browser, scope="read"), await start(browser, scope="openid")
        codes = {url: query_of(provider.sign_in(url, "alice")) for url in (plain, openid)}
        crossed = {**codes[plain], "state": codes[openid]["state"]}
        assert (await returned(browser, **crossed)).status_code in (400, 401, 502), "no nonce, and another verifier"
        assert await claims(browser) is None


async def test_a_cookie_that_was_made_up_or_changed_is_none(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        url = await start(browser)
        cookie = next(c for c in browser.cookies.jar if "OAUTH-" in c.name)
        good = str(cookie.value)
        for bad in ("", "x", "1.enc.a.b", good[:-2] + "AA", good.partition(".")[2], "9" * 400, good + good):
            browser.cookies.clear()
            browser.cookies.set(cookie.name, bad)
            assert (await finish(browser, provider, url)).status_code == 401, bad
        assert await claims(browser) is None


async def test_the_way_back_leads_nowhere_else(provider: FakeProvider) -> None:
    """An open redirect: neither what comes back nor what a flow was begun with leads to another site."""
    async with ClientSite(provider, OIDC).open() as browser:
        for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil", "/\t/evil.example", "http:evil"):
            url = await start(browser, next=elsewhere)
            back = query_of(provider.sign_in(url, "alice"))
            assert (await returned(browser, **back, next=elsewhere)).headers["location"] == "/welcome"


def state_with(cookies: dict[str, str], host: bytes = b"localhost") -> tuple[Any, RequestState]:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()
    scope: dict[str, Any] = {
        "type": "http", "headers": [(b"cookie", header), (b"host", host)], "scheme": "http",
        "client": ("127.0.0.1", 1),
    }  # fmt: skip
    scope["state"] = state = RequestState(scope)
    return type("Connection", (), {"scope": scope})(), state


def attempts(
    name: str = "oauth", issuer: str = "https://a", uri: str = "https://s/cb", secret: str = SECRET
) -> Attempts:
    return Attempts(
        KeyRing([secret], "oauth client attempts"), name=name, issuer=issuer, redirect_uri=uri, clock=utc_now,
        use_once=InMemory(utc_now),
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        {"name": "other"},
        {"issuer": "https://b"},
        {"uri": "https://s/other"},
        {"secret": "another, which is as long as needed"},
    ],
)
async def test_an_attempt_is_of_one_client_one_issuer_and_one_redirect_uri(other: dict[str, str]) -> None:
    one, two = attempts(), attempts(**other)
    connection, state = state_with({})
    text = one.begin(connection, Attempt(flow="authorizationCode", verifier="v", nonce="n", target="/x"))
    ((name, (value, _)),) = state["set_cookies"].items()
    for secret in ("authorizationCode", text, "/x"):
        assert secret not in value
    renamed = name if name.startswith(two._prefix) else two._prefix + name.rpartition("-")[2]
    with pytest.raises(CrossauthError) as refused:
        await two.take(state_with({renamed: value})[0], text)
    assert refused.value.code is ErrorCode.Unauthorized
    assert (await one.take(state_with({name: value})[0], text)).target == "/x"
    with pytest.raises(CrossauthError):
        await one.take(state_with({name: value})[0], text)


async def test_no_browser_has_more_than_ten_under_way() -> None:
    one, cookies = attempts(), dict[str, str]()
    for _ in range(MOST + 5):
        connection, state = state_with(cookies)
        one.begin(connection, Attempt(flow="authorizationCode"))
        cookies |= {name: value for name, (value, _) in state["set_cookies"].items()}
        for name in state["delete_cookies"]:
            del cookies[name]
    assert len(cookies) == MOST
    assert sum(map(len, cookies.values())) < 4096, "and all of them fit into a header"


@pytest.mark.parametrize("name", ["OAUTH-{}-" + "x" * 14, "OAUTH-{}-(x)", "OAUTH-{}-<>" + "x" * 12, "OAUTH-{}-\xe9"])
async def test_cookies_that_a_neighbour_plants_end_no_login_and_stop_none(name: str) -> None:
    """Named so that they cannot be deleted, and dated so that the real ones are the oldest."""
    one, cookies = attempts(), dict[str, str]()
    planted = {f"{name.format(one._prefix[6:12])}{n:02}": f"{10**15 + n}.x" for n in range(MOST + 5)}
    for _ in range(2):
        connection, state = state_with({**planted, **cookies}, host=b"shop.test")
        one.begin(connection, Attempt(flow="authorizationCode"))
        assert state.response_headers(), "the answer can be sent"
        cookies |= {name: value for name, (value, _) in state["set_cookies"].items()}
        assert not state["delete_cookies"]
    assert len(cookies) == 2


async def test_what_was_used_is_remembered_without_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossauth_fastapi._oauth_client.once._MOST", 5)
    use, until = InMemory(utc_now), utc_now() + timedelta(minutes=1)
    assert await use("a", until)
    assert not await use("a", until)
    for n in range(20):
        assert await use(f"b{n}", datetime(2000, 1, 1, tzinfo=UTC) if n % 2 else until)
    assert len(use._used) <= 5
    assert json.dumps(list(use._used)).count("b1") == 0, "hashed"


async def test_logins_that_are_finished_are_counted_before_they_cost_anything(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC, attempt_limits={"oauth_flow_address": (3, 900)})
    async with site.open() as browser:
        for _ in range(3):
            assert (await finish(browser, provider, await start(browser))).status_code == 302
        asked = provider.requests["token"]
        refused = await finish(browser, provider, await start(browser))
        assert (refused.status_code, refused.json()["error_code_name"]) == (429, "TooManyAttempts")
        assert int(refused.headers["retry-after"]) > 0
        assert provider.requests["token"] == asked
        for _ in range(5):
            assert (await browser.get("/authzcode?state=x&code=y")).status_code == 401, "which costs nothing"


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
@pytest.mark.parametrize("size", [100, 900, 999, 1100, 2400])
async def test_no_target_makes_a_cookie_that_browsers_drop(provider: FakeProvider, letter: str, size: int) -> None:
    """Name and value of a cookie have 4096 bytes at most (RFC 6265bis §5.6)."""
    async with ClientSite(provider, OIDC).open() as browser:
        back = query_of(
            provider.sign_in(await start(browser, next="/" + letter * (size // len(letter.encode()))), "alice")
        )
        cookies = [c for c in browser.cookies.jar if "OAUTH-" in c.name]
        assert [len(c.name) + len(c.value or "") < 4096 for c in cookies] == [True]
        assert (await returned(browser, **back)).status_code == 302
