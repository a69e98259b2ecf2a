"""The authorization code flows from the link on a page to the tokens in the session."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from crossauth_backend.testing import FakeProvider
from crossauth_backend.testing.fake_provider_faults import ProviderFault
from tests.oauthclient import HTML, IN_SESSION, TOKENS, ClientSite, Visitor

OIDC = {"valid_flows": ["oidcAuthorizationCode"], **IN_SESSION}
STARTERS = ("/authzcodeflow", "/authzcodeflowpkce")


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as found:
        yield found


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


async def start(browser: Visitor, path: str = "/authzcodeflow", **query: str) -> str:
    """Begin a flow by a link; the URL at the provider."""
    answer = await browser.get(path, params=query, headers=HTML)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def finish(browser: Visitor, provider: FakeProvider, url: str, user: str = "alice") -> httpx2.Response:
    """The user agrees, and the browser goes where the provider sends it."""
    back = urlsplit(provider.sign_in(url, user))
    return await browser.get(f"{back.path}?{back.query}", headers=HTML)


async def log_in(
    browser: Visitor, provider: FakeProvider, path: str = "/authzcodeflow", **query: str
) -> httpx2.Response:
    return await finish(browser, provider, await start(browser, path, **query))


async def claims(browser: Visitor) -> Any:
    answer = await browser.call("/id_token")
    return answer.json() if answer.status_code == 200 else None


@pytest.mark.parametrize("path", STARTERS)
async def test_a_login_ends_with_tokens_in_the_session(provider: FakeProvider, path: str) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser:
        url = await start(browser, path)
        asked = query_of(url)
        assert url.startswith(f"{provider.url}/")
        assert asked["redirect_uri"] == "http://localhost:8000/authzcode"
        assert (asked["response_type"], asked["scope"], asked["code_challenge_method"]) == ("code", "openid", "S256")
        assert len(asked["state"]) >= 43
        assert len(asked["nonce"]) >= 43
        answer = await finish(browser, provider, url)
        assert (answer.status_code, answer.headers["location"]) == (302, "/welcome")
        assert (await claims(browser))["sub"] == "alice"


@pytest.mark.parametrize("path", STARTERS)
async def test_a_form_begins_a_flow_with_a_csrf_token_only(provider: FakeProvider, path: str) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser:
        refused = await browser.post(path, data={"scope": "openid"})
        assert (refused.status_code, refused.json()["error_code_name"]) == (403, "InvalidCsrf")
        answer = await browser.submit(path, scope="openid email")
        assert answer.status_code == 303
        assert query_of(answer.headers["location"])["scope"] == "openid email"
        assert (await finish(browser, provider, answer.headers["location"])).headers["location"] == "/welcome"


@pytest.mark.parametrize(
    ("flows", "path", "scope", "expected", "nonce"),
    [
        (["authorizationCode"], "/authzcodeflow", "", "", False),
        (["authorizationCode"], "/authzcodeflow", "read", "read", False),
        (["authorizationCodeWithPKCE"], "/authzcodeflowpkce", "read", "read", False),
        (["oidcAuthorizationCode"], "/authzcodeflow", "read", "openid read", True),
        (["oidcAuthorizationCode", "authorizationCode"], "/authzcodeflow", "read", "read", False),
        (["authorizationCode"], "/authzcodeflow", "openid", "openid", True),
        (["all"], "/authzcodeflowpkce", "", "openid", True),
    ],
)
async def test_what_is_asked_for_goes_by_flow_and_scope(
    provider: FakeProvider, flows: list[str], path: str, scope: str, expected: str, nonce: bool
) -> None:
    async with ClientSite(provider, {"valid_flows": flows}).open() as browser:
        asked = query_of(await start(browser, path, **({"scope": scope} if scope else {})))
        assert asked.get("scope", "") == expected
        assert ("nonce" in asked) is nonce
        assert asked["code_challenge_method"] == "S256"


async def test_only_flows_that_are_named_are_there(provider: FakeProvider) -> None:
    async with ClientSite(provider, {"valid_flows": ["clientCredentials"]}).open() as browser:
        for path in (*STARTERS, "/authzcode"):
            assert (await browser.get(path)).status_code == 404
    async with ClientSite(provider, {"valid_flows": ["authorizationCodeWithPKCE"]}).open() as browser:
        assert (await browser.get("/authzcodeflow")).status_code == 404
        assert (await browser.get("/authzcodeflowpkce")).status_code == 302


async def test_a_login_goes_on_where_it_was_going(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        assert (await log_in(browser, provider, next="/orders?page=2")).headers["location"] == "/orders?page=2"
        for elsewhere in (
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/" + "x" * 3000,
        ):
            assert (await log_in(browser, provider, next=elsewhere)).headers["location"] == "/welcome"


async def test_several_tabs_log_in_at_once_in_any_order(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser:
        urls = [await start(browser, next=f"/tab{n}") for n in range(3)]
        for n in (2, 0, 1):
            assert (await finish(browser, provider, urls[n], f"user{n}")).headers["location"] == f"/tab{n}"
            assert (await claims(browser))["sub"] == f"user{n}"


async def test_the_oldest_of_eleven_tabs_is_given_up(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as browser:
        urls = []
        for n in range(11):
            urls.append(await start(browser, next=f"/tab{n}"))
            site.later(seconds=1)
        assert len([c for c in browser.cookies.jar if "OAUTH-" in c.name]) == 10
        refused = await finish(browser, provider, urls[0])
        assert (refused.status_code, refused.json()["error_code_name"]) == (401, "Unauthorized")
        assert (await finish(browser, provider, urls[1])).headers["location"] == "/tab1"
        assert (await finish(browser, provider, urls[10])).headers["location"] == "/tab10"


async def test_a_login_that_took_too_long_is_over(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as browser:
        url = await start(browser)
        browser.cookies.jar.clear_expired_cookies = lambda: None  # type: ignore[method-assign]
        site.later(minutes=11)
        assert (await finish(browser, provider, url)).status_code == 401


async def test_the_host_that_a_request_names_changes_nothing(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        answer = await browser.get(
            "/authzcodeflow", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        )
        assert query_of(answer.headers["location"])["redirect_uri"] == "http://localhost:8000/authzcode"


async def test_prefix_and_configured_redirect_uri(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, "prefix": "/oauth"}).open() as browser:
        url = await start(browser, "/oauth/authzcodeflow")
        assert query_of(url)["redirect_uri"] == "http://localhost:8000/oauth/authzcode"
        assert (await finish(browser, provider, url)).headers["location"] == "/welcome"
    chosen = {"redirect_uri": "http://localhost:8000/callback/of/mine"}
    async with ClientSite(provider, {**OIDC, **chosen}).open() as browser:
        url = await start(browser)
        assert query_of(url)["redirect_uri"] == chosen["redirect_uri"]
        assert (await finish(browser, provider, url)).headers["location"] == "/welcome"


async def test_an_answer_by_form_reaches_the_session_without_its_cookie(provider: FakeProvider) -> None:
    """As Apple answers: a browser sends no cookie along with a form of another site."""
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser, AsyncExitStack() as stack:
        await browser.get("/api/getcsrftoken")
        fields = query_of(provider.sign_in(await start(browser), "alice"))
        stranger = await stack.enter_async_context(browser.another())
        sent = await stranger.post("/authzcode", data=fields, headers={"Origin": "https://provider.example", **HTML})
        assert sent.status_code == 303
        assert sent.headers["location"].startswith("/authzcode?answer=")
        assert "set-cookie" not in sent.headers
        for secret in (fields["code"], fields["state"]):
            assert secret not in sent.headers["location"]
        assert (await stranger.get(sent.headers["location"])).status_code == 401, "it is another browser"
        answer = await browser.get(sent.headers["location"], headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (302, "/welcome")
        assert (await claims(browser))["sub"] == "alice"


async def test_an_answer_by_form_is_bounded_and_short_lived(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as browser:
        for data in ({"code": "x" * 5000, "state": "s"}, {"code": ["a", "b"], "state": "s"}):
            assert (await browser.post("/authzcode", data=data)).status_code in (400, 413)
        assert (await browser.post("/authzcode", json={"code": {"a": 1}})).status_code == 400
        fields = query_of(provider.sign_in(await start(browser), "alice"))
        sent = (await browser.post("/authzcode", data=fields)).headers["location"]
        site.later(minutes=2)
        assert (await browser.get(sent)).status_code == 400
        assert (await browser.get("/authzcode?answer=enc.x.y")).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "", "state=", "state=x", "state=x&code=y", "state=%00&code=y", "state=%F0%80&code=y", "state=a&state=b&code=c",
        "state=" + "x" * 600, "code=%ED%A0%80&state=x", "&".join(f"a{n}=1" for n in range(300)), "error=x&state=y",
    ],
)  # fmt: skip
async def test_garbage_is_refused(provider: FakeProvider, query: str) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        answer = await browser.get(f"/authzcode?{query}")
        assert answer.status_code in (400, 401), answer.text
        assert answer.json()["ok"] is False


@pytest.mark.parametrize("scope", ["a\tb", "a  b", 'a"b', "ä", "x" * 2000])
async def test_a_scope_that_cannot_be_one_is_refused(provider: FakeProvider, scope: str) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        answer = await browser.get("/authzcodeflow", params={"scope": scope})
        assert (answer.status_code, answer.json()["error_code_name"]) == (400, "BadRequest")
        assert not [c for c in browser.cookies.jar if "OAUTH-" in c.name]


async def test_what_the_provider_says_no_to_is_said(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        state = query_of(await start(browser))["state"]
        response = {"error": "access_denied", "error_description": "You said no", "state": state, "iss": provider.url}
        refused = await browser.get("/authzcode", params=response)
        assert (refused.status_code, refused.json()["error_message"]) == (401, "You said no")
        again = await browser.get("/authzcode", params={"error": "access_denied", "state": state, "iss": provider.url})
        assert (again.status_code, "has expired" in again.text) == (401, True), "it was used"


@pytest.mark.parametrize(
    "fault",
    [
        ProviderFault.WRONG_NONCE, ProviderFault.WRONG_ISSUER, ProviderFault.WRONG_AUDIENCE,
    ],
)  # fmt: skip
async def test_a_token_that_is_wrong_logs_nobody_in(provider: FakeProvider, fault: ProviderFault) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser:
        provider.faults["token"] = fault
        refused = await log_in(browser, provider)
        assert (refused.status_code, refused.json()["ok"]) == (401, False)
        assert await claims(browser) is None
        provider.faults.clear()
        assert (await log_in(browser, provider)).headers["location"] == "/welcome"


async def test_an_anonymous_session_gets_a_new_id_and_keeps_its_data(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser, browser.another() as other:
        await log_in(browser, provider)
        before = browser.cookies["SESSIONID"]
        other.cookies.update(browser.cookies)
        await log_in(browser, provider, next="/again")
        assert browser.cookies["SESSIONID"] != before
        assert (await other.call("/have_id_token")).status_code in (200, 403, 204)
        assert (await other.call("/have_id_token")).json() != {"ok": True}


async def test_a_user_who_is_logged_in_stays_so(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**OIDC, **TOKENS}).open() as browser:
        await browser.sign_up("bob")
        before = browser.cookies["SESSIONID"]
        assert (await log_in(browser, provider)).headers["location"] == "/welcome"
        assert browser.cookies["SESSIONID"] == before
        assert (await claims(browser))["sub"] == "alice"
        assert (await browser.get("/api/userforsessionkey")).json()["user"]["username"] == "bob"


async def test_flows_for_users_who_are_logged_in(provider: FakeProvider) -> None:
    site = ClientSite(provider, {**OIDC, "login_protected_flows": ["all"]})
    async with site.open() as browser, browser.another() as other:
        answer = await browser.get("/authzcodeflow?scope=openid", headers=HTML)
        assert answer.headers["location"] == "/login?next=%2Fauthzcodeflow%3Fscope%3Dopenid"
        assert (await browser.submit("/authzcodeflow")).status_code == 401
        await browser.sign_up("bob")
        url = await start(browser)
        other.cookies.update({n: v for n, v in browser.cookies.items() if "OAUTH-" in n})
        assert (await finish(other, provider, url)).status_code == 401, "logged out meanwhile"
        assert (await log_in(browser, provider)).headers["location"] == "/welcome"


async def test_without_sessions_the_tokens_are_sent(provider: FakeProvider) -> None:
    async with ClientSite(provider, {"valid_flows": ["oidcAuthorizationCode"]}, sessions=False).open() as browser:
        answer = await log_in(browser, provider)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["ok"] is True
        assert told["id_payload"]["sub"] == "alice"
        assert answer.headers["cache-control"] == "no-store"
        page = await browser.get("/authzcode?state=x", headers=HTML)
        assert page.status_code == 401
        assert (await browser.get("/crossauth.css")).headers["content-type"].startswith("text/css")
        own = {"Origin": "http://localhost:8000"}
        assert (await browser.post("/authzcodeflow", headers=own)).status_code == 303
        foreign = await browser.post("/authzcodeflow", headers={"Origin": "https://evil.example"})
        assert (foreign.status_code, foreign.json()["error_code_name"]) == (403, "InvalidCsrf")


async def test_on_https_the_cookie_is_the_host_s_alone(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC, site_url="https://shop.example.com")
    async with site.open() as browser:
        answer = await browser.get("/authzcodeflow")
        (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "OAUTH-" in c]
        assert cookie.startswith("__Host-OAUTH-")
        for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert attribute.lower() in cookie.lower()
        asked = query_of(answer.headers["location"])
        for secret in (asked["state"], asked["nonce"]):
            assert secret not in cookie
