"""What the standards ask of an OAuth client and of a backend for frontend, line by line"""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from crossauth_backend import InMemoryKeyStorage
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from crossauth_fastapi import BffEndpoint, FastApiServer
from tests.oauthclient import HTML, IN_SESSION, ClientSite, Visitor
from tests.support import SECRET

ROOT = Path(__file__).parents[2]
ID_TOKENS, ADVISORIES = "security/test_oauth_client_id_tokens.py", "security/test_oauth_client_advisories.py"
ENDINGS = "security/test_oauth_client_endings.py"
ANSWERS, BACKCHANNEL = "security/test_oauth_client_answers.py", "security/test_oauth_client_backchannel.py"
BFF, LOGOUT, HERE = "security/test_bff.py", "flows/test_oauth_client_logout.py", "security/test_oauth_client_lines.py"
SPOILED = "test_oidcc_client_test_a_spoiled_id_token_is_no_login"
SPOILED_LOGOUT = "test_oidcc_client_test_rp_backchannel_a_spoiled_logout_token_ends_nothing"

# The modules of the certification of clients, without `oidcc-client-test`, and the test that is each.
MODULES: dict[str, tuple[str, str]] = {
    "": (ID_TOKENS, "test_oidcc_client_test_and_client_secret_basic"),
    "-invalid-iss": (ID_TOKENS, SPOILED),
    "-missing-sub": (ID_TOKENS, SPOILED),
    "-invalid-aud": (ID_TOKENS, SPOILED),
    "-missing-iat": (ID_TOKENS, SPOILED),
    "-kid-absent-single-jwks": (ID_TOKENS, "test_oidcc_client_test_kid_absent_single_jwks"),
    "-kid-absent-multiple-jwks": (ID_TOKENS, "test_oidcc_client_test_kid_absent_multiple_jwks"),
    "-idtoken-sig-rs256": (ID_TOKENS, "test_oidcc_client_test_and_client_secret_basic"),
    "-idtoken-sig-none": (ID_TOKENS, SPOILED),
    "-invalid-sig-rs256": (ID_TOKENS, SPOILED),
    "-userinfo-invalid-sub": (ID_TOKENS, "test_oidcc_client_test_userinfo_invalid_sub"),
    "-nonce-invalid": (ID_TOKENS, SPOILED),
    "-scope-userinfo-claims": (ID_TOKENS, "test_oidcc_client_test_scope_userinfo_claims"),
    "-client-secret-basic": (ID_TOKENS, "test_oidcc_client_test_and_client_secret_basic"),
    "-discovery-openid-config": ("interop/test_oauth_client.py", "test_a_login_by_code_with_pkce"),
    "-discovery-jwks-uri-keys": ("interop/test_oauth_client.py", "test_keys_may_change_between_two_logins"),
    "-discovery-issuer-mismatch": (ID_TOKENS, "test_oidcc_client_test_discovery_issuer_mismatch"),
    "-signing-key-rotation": (ID_TOKENS, "test_oidcc_client_test_signing_key_rotation_between_logins"),
    "-signing-key-rotation-just-before-signing": (
        ID_TOKENS, "test_oidcc_client_test_signing_key_rotation_just_before_signing"),
    "-refresh-token": (ID_TOKENS, "test_oidcc_client_test_refresh_token_then_userinfo"),
    "-refresh-token-invalid-issuer": (ID_TOKENS, "test_oidcc_client_test_refresh_token_invalid_issuer_and_sub"),
    "-refresh-token-invalid-sub": (ID_TOKENS, "test_oidcc_client_test_refresh_token_invalid_issuer_and_sub"),
    "-rp-backchannel-rpinitlogout": (ID_TOKENS, "test_oidcc_client_test_rp_backchannel_rpinitlogout"),
    "-rp-backchannel-rpinitlogout answers 200 and no-store": (BACKCHANNEL, "test_a_good_token"),
    "-rp-backchannel-rpinitlogout answers 400": (BACKCHANNEL, "test_a_bad_token_ends_nothing"),
    "-rp-backchannel-rpinitlogout-alg-none": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-wrong-alg": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-no-event": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-wrong-event": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-with-nonce": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-wrong-aud": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-backchannel-rpinitlogout-wrong-iss": (ID_TOKENS, SPOILED_LOGOUT),
    "-rp-init-logout": (LOGOUT, "test_the_browser_logs_out_here_and_at_the_provider"),
    "-rp-init-logout-no-state": (LOGOUT, "test_another_state_is_noticed"),
    "-rp-init-logout-other-state": (LOGOUT, "test_another_state_is_noticed"),
}  # fmt: skip

# RFC 9700, by section, as far as it is about clients.
BEST_PRACTICE: dict[str, tuple[str, str]] = {
    "4.11.1 no open redirector": (ADVISORIES, "test_cve_2026_27982_and_cve_2022_39174_after_a_login_the_browser_stays_here"),
    "4.11.1 errors neither": (ADVISORIES, "test_authlib_1_6_10_and_1_7_1_an_error_leads_nowhere_else"),
    "2.1 cross-site request forgery": (ADVISORIES, "test_django_allauth_65_16_1_no_login_ends_without_the_state"),
    "2.1 state of one browser": (ADVISORIES, "test_cve_2025_68158_and_cve_2026_41425_a_state_belongs_to_one_browser"),
    "4.4.2.1 mix-up, by issuer": (ANSWERS, "test_mix_up_an_answer_of_another_server_is_no_login_and_none_of_its_words_are_shown"),
    "4.4.2.1 mix-up, RFC 9207": ("unit/oauth/client/test_authcode.py", "test_the_four_rows_of_rfc_9207"),
    "4.4.2.2 mix-up, by redirect URI": (ADVISORIES, "test_ghsa_x445_f3h2_j279_an_attempt_belongs_to_the_provider_where_it_began"),
    "2.1.1 PKCE": (ADVISORIES, "test_authlib_1_7_0_a_challenge_is_always_sent"),
    "2.1.1 S256": (ADVISORIES, "test_authlib_1_7_0_a_challenge_is_always_sent"),
    "2.1.1 PKCE that does nothing": ("unit/oauth/client/test_authcode.py", "test_whether_pkce_does_anything"),
    "2.1.1 one challenge and nonce for each transaction": (HERE, "test_no_two_logins_share_a_secret"),
    "2.1.2 no implicit grant": (HERE, "test_only_codes_come_through_the_browser"),
    "2.2.2 refresh tokens rotate": ("interop/test_oauth_client.py", "test_a_refresh_rotates_and_keeps_the_user"),
    "4.14.2 refresh tokens are revoked at logout": (LOGOUT, "test_the_refresh_token_is_revoked"),
    "2.4 no password grant": (HERE, "test_the_password_grant_is_off_and_advised_against"),
    "2.5 client authentication": ("unit/oauth/client/test_authcode.py", "test_how_the_client_authenticates"),
    "2.6 metadata": ("unit/oauth/client/test_authcode.py", "test_the_metadata_says_how"),
    "2.6 TLS, and no http beyond this machine": (
        ADVISORIES, "test_authlib_1_8_0_and_cve_2022_36087_a_url_that_looks_local_stops_the_start"),
    "4.17 no postMessage": (HERE, "test_pages_run_no_foreign_script_and_cannot_be_framed"),
    "2.6 no CORS where browsers are sent": (HERE, "test_pages_of_other_sites_read_nothing"),
    "4.2.4 no third party on pages, no referrer": (HERE, "test_pages_run_no_foreign_script_and_cannot_be_framed"),
    "4.2.4 codes and states count once": (ANSWERS, "test_a_code_counts_once"),
    "4.5 an injected code": (ANSWERS, "test_a_code_of_another_browser_is_of_no_use_without_its_verifier"),
    "4.3.2 no token in a URL, log or answer": (HERE, "test_no_token_leaves_the_server_in_a_whole_walk"),
    "4.16 clickjacking": (HERE, "test_pages_run_no_foreign_script_and_cannot_be_framed"),
    "4.13 headers of proxies": (BFF, "test_a_browser_is_not_taken_for_a_proxy_nor_for_somebody_else"),
}  # fmt: skip

# RFC 10017, of a backend for frontend.
BACKEND_FOR_FRONTEND: dict[str, tuple[str, str]] = {
    "1 a confidential client": ("flows/test_bff_tokens.py", "test_a_public_client_has_no_backend"),
    "1 the code grant": ("flows/test_bff_tokens.py", "test_the_api_gets_the_access_token_of_the_session"),
    "2 its cookies": (HERE, "test_cookies_are_for_one_host_and_no_script"),
    "3 a header that foreign pages cannot send": (BFF, "test_a_csrf_token_counts_in_the_header_only"),
    "3 foreign pages": (BFF, "test_pages_of_other_sites_have_nothing_passed_on"),
    "3 foreign pages, in a browser": ("browser/test_bff.py", "test_pages_of_other_sites_get_nothing"),
    "4 a list of methods and paths": ("flows/test_bff.py", "test_only_named_methods_and_paths_are_served"),
    "4 paths that are not what they look like": (BFF, "test_paths_that_leave_what_is_offered"),
    "4 one host": (BFF, "test_redirects_stay_where_they_are_offered"),
    "5 the session ends with the refresh token": (ENDINGS, "test_a_local_session_ends_with_the_refresh_token_of_its_login"),
    "6 tokens stay": (HERE, "test_no_token_leaves_the_server_in_a_whole_walk"),
    "6 and the API gets no cookie": ("flows/test_bff.py", "test_a_request_is_passed_on_with_the_access_token"),
}  # fmt: skip

# What users of such systems ask for.
ASKED_FOR: dict[str, tuple[str, str]] = {
    "authlib/authlib#285, nextauthjs/next-auth#7894, panva/openid-client#639": (HERE, "test_several_tabs_log_in_at_once"),
    "the eleventh attempt drops the oldest": (HERE, "test_the_eleventh_attempt_drops_the_oldest"),
    "DuendeArchive/Support#154, #966, DataBiosphere/duos-ui#3805": (
        "flows/test_bff_tokens.py", "test_where_nobody_can_say_the_tokens_are_kept"),
    "the same of the endpoints": ("flows/test_oauth_client_refresh.py", "test_a_provider_that_is_away_takes_nothing"),
    "DuendeArchive/Support#972": ("flows/test_bff_sockets.py", "test_messages_pass_both_ways"),
    "DuendeSoftware/products#1732": ("flows/test_bff_sockets.py", "test_pages_of_other_sites_open_none"),
    "Boise-State-Development/agentcore-public-stack#216": (
        "flows/test_bff_streams.py", "test_where_the_browser_leaves_the_stream_of_the_api_ends"),
    "a socket that the browser closes": ("flows/test_bff_sockets.py", "test_where_the_browser_closes_the_api_hears_it"),
    "erlef/oidcc#401, ramosbugs/openidconnect-rs#216": (
        ID_TOKENS, "test_erlef_oidcc_401_tenants_that_are_not_listed_cannot_log_in"),
    "nextcloud/user_oidc#1183": (BACKCHANNEL, "test_it_is_about_one_session_or_about_all"),
    "keycloak/keycloak#22914": (BACKCHANNEL, "test_it_survives_a_refresh_and_a_new_session_id"),
    "logout of another issuer's user": (BACKCHANNEL, "test_another_issuer_with_the_same_user_is_not_meant"),
}  # fmt: skip
EVERY = {**MODULES, **BEST_PRACTICE, **BACKEND_FOR_FRONTEND, **ASKED_FOR}


@pytest.mark.parametrize("line", EVERY, ids=lambda line: line or "oidcc-client-test")
def test_every_line_has_its_test(line: str) -> None:
    file, name = EVERY[line]
    assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("advisory", [
    "CVE-2025-68158", "CVE-2026-41425", "1.6.10", "1.7.1", "1.7.0", "1.8.0", "CVE-2022-39174", "CVE-2022-36087",
    "GHSA-x445-f3h2-j279", "GHSA-8fpg-xm3f-6cx3", "65.16.1", "0.58.0", "64.2.0", "CVE-2025-65431", "CVE-2026-27982",
    "GHSA-g38m-r43w-p2q7", "GHSA-7w99-5wm4-3g79", "GHSA-392p-2q2v-4372", "GHSA-86j7-9j95-vpqj", "GHSA-5rr4-8452-hf4v",
])  # fmt: skip
def test_every_advisory_has_its_test(advisory: str) -> None:
    name = re.sub(r"\W", "_", advisory.lower())
    assert re.search(rf"def test_\w*{name}_", (ROOT / "tests" / ADVISORIES).read_text())


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def leave(browser: Visitor, path: str = "/authzcodeflow", **query: str) -> str:
    """Begin a login; the URL at the provider."""
    return (await browser.get(path, params=query)).headers["location"]


async def come_back(browser: Visitor, url: str) -> httpx2.Response:
    """Follow the provider's redirect."""
    parts = urlsplit(url)
    return await browser.get(f"{parts.path}?{parts.query}")


async def test_no_two_logins_share_a_secret(provider: FakeProvider) -> None:
    """State, nonce and challenge are new for each attempt, and of 256 bits (RFC 9700 §2.1.1, RFC 7636 §7.1)."""
    seen: dict[str, set[str]] = {"state": set(), "nonce": set(), "code_challenge": set()}
    async with ClientSite(provider, IN_SESSION).open() as browser, browser.another() as other:
        for number in range(24):
            query = parse_qs(urlsplit(await leave((browser, other)[number % 2])).query)
            for name, values in seen.items():
                (value,) = query[name]
                assert len(value) >= 43
                values.add(value)
    assert {name: len(values) for name, values in seen.items()} == dict.fromkeys(seen, 24)


async def test_only_codes_come_through_the_browser(provider: FakeProvider) -> None:
    """Tokens are never asked for in the browser, and not taken from there (RFC 9700 §2.1.2)."""
    async with ClientSite(provider, IN_SESSION).open() as browser:
        for path in ("/authzcodeflow", "/authzcodeflowpkce"):
            query = parse_qs(
                urlsplit(await leave(browser, path, response_type="token", response_mode="fragment")).query
            )
            assert query["response_type"] == ["code"]
            assert "response_mode" not in query
        token = provider.issue_token()
        refused = await browser.get(
            "/authzcode", params={"state": query["state"][0], "access_token": token, "id_token": token}
        )
        assert refused.is_client_error
        assert token not in refused.text


def test_the_password_grant_is_off_and_advised_against(provider: FakeProvider) -> None:
    """No flow is on unless it is named, and the page of this one says why not to (RFC 9700 §2.4)."""
    app = FastAPI()
    options: Any = {
        "client_id": "c",
        "client_secret": "a secret of the client",
        "valid_flows": ["oidcAuthorizationCode"],
    }
    params: Any = {
        "session": {"key_storage": InMemoryKeyStorage()},
        "oauth_client": {"auth_server_base_url": provider.url, "options": options},
    }
    FastApiServer(params, {"app": app, "secret": SECRET, "site_url": "http://localhost:8000"})
    assert "/passwordotp" not in app.openapi()["paths"]
    page = (ROOT / "docs" / "flow_password.md").read_text()
    assert "Don't. RFC 9700 §2.4" in page


async def test_pages_run_no_foreign_script_and_cannot_be_framed(provider: FakeProvider) -> None:
    """Pages of the client load and run nothing from elsewhere, tell nobody where a browser was (RFC 9700 §4.2.4, §4.16)."""
    options = {
        **IN_SESSION, "delete_tokens_get_url": "deletetokens", "delete_tokens_post_url": "deletetokens",
        "error_response_type": "page_error",
    }  # fmt: skip
    async with ClientSite(provider, options).open() as browser:
        pages = [await browser.get(path, headers=HTML) for path in (
            "/passwordflow", "/deletetokens", "/logoutoidc", "/loggedout", "/authzcode?state=x&error=access_denied",
        )]  # fmt: skip
        pages.append(await browser.submit("/devicecodeflow", scope="openid"))
        for page in pages:
            assert "text/html" in page.headers["content-type"], page.url
            policy = page.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert page.headers["referrer-policy"] in ("no-referrer", "same-origin")
            assert "no-store" in page.headers["cache-control"]
            # One of our own, and nothing in the page itself.
            scripts = re.findall(r"<script([^>]*)>(.*?)</script>", page.text)
            assert page.text.count("<script") == len(scripts)
            assert all(
                re.fullmatch(r' src="/crossauth\.js\?v=\w+" defer( data-\w+="\w+")*', where) and not code
                for where, code in scripts
            )
            assert not re.search(r'(src|href)="(?!/|#|http://localhost|http://127.0.0.1|data:)', page.text), page.url


async def test_pages_of_other_sites_read_nothing(provider: FakeProvider) -> None:
    """No endpoint of the client answers a page of another origin in a way that it can read (RFC 9700 §2.6, Fetch §3.2)."""
    async with ClientSite(provider, IN_SESSION).open() as browser:
        back = provider.sign_in(await leave(browser))
        await come_back(browser, back)
        headers = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}
        for path in ("/authzcode", "/authzcodeflow", "/tokens", "/api/refreshtokens", "/clientcredflow", "/logoutoidc"):
            for method in ("GET", "POST", "OPTIONS"):
                answer = await browser.request(method, path, headers=headers)
                assert not [name for name in answer.headers if name.lower().startswith("access-control")], path
                assert answer.status_code != 200 or method == "GET", path


async def test_cookies_are_for_one_host_and_no_script() -> None:
    """The session and every attempt: `Secure`, `HttpOnly`, `__Host-`, `Path=/`, no `Domain` (RFC 10017 §6.1.3.2)."""
    async with FakeProvider() as provider:
        site = ClientSite(provider, IN_SESSION, site_url="https://shop.example.com")
        async with site.open() as browser:
            answer = await browser.get("/authzcodeflow")
            (attempt,) = answer.headers.get_list("set-cookie")
            back = urlsplit(provider.sign_in(answer.headers["location"]))
            cookie = attempt.partition(";")[0]
            done = await browser.get(f"/authzcode?{back.query}", headers={"Cookie": cookie})
            cookies = [attempt, *done.headers.get_list("set-cookie")]
    stored = [text for text in cookies if "max-age=0" not in text.lower() and '=""' not in text]
    assert len(stored) >= 2
    for text in stored:
        name, _, attributes = text.partition("=")
        response = {part.strip().lower() for part in attributes.split(";")[1:]}
        assert name.startswith("__Host-"), text
        assert {"secure", "httponly", "path=/"} <= response, text
        assert {"samesite=lax", "samesite=strict"} & response, text
        assert not any(part.startswith("domain") for part in response), text


async def test_several_tabs_log_in_at_once(provider: FakeProvider) -> None:
    for order in ((0, 1), (1, 0)):
        async with ClientSite(provider, IN_SESSION).open() as browser:
            tabs = [provider.sign_in(await leave(browser, next=f"/tab{number}")) for number in range(2)]
            for number in order:
                assert (await come_back(browser, tabs[number])).headers["location"] == f"/tab{number}"


async def test_the_eleventh_attempt_drops_the_oldest(provider: FakeProvider) -> None:
    async with ClientSite(provider, IN_SESSION).open() as browser:
        tabs = [provider.sign_in(await leave(browser)) for _ in range(11)]
        answers = [await come_back(browser, back) for back in tabs]
    assert [answer.is_redirect for answer in answers] == [False, *[True] * 10]


async def test_no_token_leaves_the_server_in_a_whole_walk(
    provider: FakeProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer, header, cookie, page or line of the log has one, nor has the storage in a form that can be read."""
    caplog.set_level(logging.DEBUG)
    issued: set[str] = set()
    respond = provider.token_response

    def recorded(*args: Any, **more: Any) -> dict[str, Any]:
        response = respond(*args, **more)
        issued.update(value for name, value in response.items() if name.endswith("_token"))
        return response

    monkeypatch.setattr(provider, "token_response", recorded)
    seen: list[str] = []

    async def record(response: httpx2.Response) -> None:
        await response.aread()
        seen.append(f"{response.url} {response.headers.multi_items()} {response.text}")

    options = {
        **IN_SESSION, "token_endpoints": ["have_access_token", "have_refresh_token", "have_id_token"],
        "api_delete_tokens_post_url": "api/deletetokens", "bff_base_url": provider.url,
        "bff_endpoints": [BffEndpoint("/userinfo", ["GET"], False)], "oauth_log_fetch": True,
    }  # fmt: skip
    site = ClientSite(provider, options)
    async with site.open() as browser:
        browser.event_hooks["response"] = [record]
        await come_back(browser, provider.sign_in(await leave(browser, scope="openid email offline_access")))
        assert (await browser.get("/bff/userinfo")).json()["sub"] == "alice"
        for path in ("/tokens", "/have_access_token", "/api/refreshtokens", "/api/refreshtokensifexpired"):
            for more in ({}, {"decode": False}):
                assert (await browser.call(path, **more)).is_success
        for fault in (Fault.UNAVAILABLE, ProviderFault.ERROR, Fault.HTML, ProviderFault.WRONG_SUB):
            provider.faults["token"] = fault
            await browser.call("/api/refreshtokens")
            await browser.submit("/refreshtokens")
        del provider.faults["token"]
        await come_back(browser, provider.sign_in(await leave(browser)))
        for flow in (
            {"/clientcredflow": {}},
            {"/passwordflow": {"username": "alice", "password": "password of alice"}},
        ):
            for path, fields in flow.items():
                await browser.submit(path, **fields)
        stored = str([vars(key) if hasattr(key, "__dict__") else str(key) for key in await all_keys(site)])
        assert (await browser.call("/logoutoidc")).is_redirect
        await browser.call("/api/deletetokens")
    assert len(issued) > 8
    assert len(seen) > 20
    everything = "\n".join(seen) + caplog.text + stored
    assert caplog.records
    for token in issued:
        for part in token.split("."):
            assert part not in everything or len(part) < 40, "a token, or a part of one"
    assert provider.client_options["client_secret"] not in everything


async def all_keys(site: ClientSite) -> list[Any]:
    """Everything in the key storage."""
    found: list[Any] = []
    for name, value in vars(site.keys).items():
        if isinstance(value, dict):
            found += [(name, key, repr(entry)) for key, entry in value.items()]
    assert found
    return found
