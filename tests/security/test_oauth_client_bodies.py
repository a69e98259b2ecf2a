"""Bodies and queries that are huge, deep, repeated or odd, at every endpoint of the OAuth client: refused, never a fault"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend.testing import FakeProvider
from tests.oauthclient import IN_SESSION, JSON, TOKENS, ClientSite
from tests.support import CSRF

POSTS = (
    "authzcodeflow", "authzcodeflowpkce", "clientcredflow", "refreshtokenflow", "refreshtokens", "refreshtokensifexpired",
    "api/refreshtokens", "api/refreshtokensifexpired", "passwordflow", "passwordotp", "passwordoob", "devicecodeflow",
    "api/devicecodeflow", "devicecodepoll", "api/devicecodepoll", "access_token", "refresh_token", "id_token",
    "have_access_token", "tokens", "deletetokens", "api/deletetokens",
)  # fmt: skip
FIELDS = (
    "scope", "refresh_token", "username", "password", "mfa_token", "otp", "oob_code", "binding_code", "device_code", "decode",
    "next", "name", "challenge_type",
)  # fmt: skip
FORM = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"
# Content type, body, and whether it is refused wherever it is sent.
WRONG: dict[str, tuple[str, bytes, bool]] = {
    "no object": (JSON_TYPE, b"[1]", True),
    "no JSON": (JSON_TYPE, b"{", True),
    "deep": (JSON_TYPE, b'{"scope":' + b"[" * 5000 + b"]" * 5000 + b"}", True),
    "infinity": (JSON_TYPE, b'{"decode": Infinity}', True),
    "huge number": (JSON_TYPE, b'{"decode": ' + b"9" * 5000 + b"}", True),
    "lone surrogates": (JSON_TYPE, json.dumps(dict.fromkeys(FIELDS, "\ud800")).encode(), True),
    "NUL": (JSON_TYPE, json.dumps(dict.fromkeys(FIELDS, "a\x00b")).encode(), True),
    "repeated": (FORM, b"scope=a&scope=b", True),
    "repeated in JSON": (JSON_TYPE, b'{"scope":"a","scope":"b"}', True),
    "no text": (FORM, b"scope=%ff%fe", True),
    "another type": ("text/plain", b"scope=a", True),
    "XML": ("application/xml", b"<a/>", True),
    "huge": (FORM, b"scope=" + b"a" * 70_000, True),
    "many fields": (FORM, b"&".join(b"a%d=1" % n for n in range(500)), True),
    "wrong types": (JSON_TYPE, json.dumps({name: [{"a": 1}] for name in FIELDS}).encode(), False),
    "numbers": (JSON_TYPE, json.dumps(dict.fromkeys(FIELDS, 1e300)).encode(), False),
    "long": (JSON_TYPE, json.dumps(dict.fromkeys(FIELDS, "é" * 2000)).encode(), False),
    "nothing": (JSON_TYPE, json.dumps(dict.fromkeys(FIELDS)).encode(), False),
    "empty": (FORM, b"&".join(name.encode() + b"=" for name in FIELDS), False),
}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.mark.parametrize("errors", ["json_error", "page_error"])
async def test_no_body_is_a_fault_of_the_server(provider: FakeProvider, errors: str) -> None:
    options = {**IN_SESSION, **TOKENS, "error_response_type": errors}
    async with ClientSite(provider, options, attempt_limits={"oauth_flow_address": None}).open() as browser:
        for what, (kind, body, always) in WRONG.items():
            headers = {CSRF: await browser.token(), "Content-Type": kind, **JSON}
            for path in POSTS:
                answer = await browser.post(f"/{path}", content=body, headers=headers)
                assert answer.status_code < 500, (what, path, answer.text)
                assert not always or answer.status_code >= 400, (what, path)


@pytest.mark.parametrize("query", ["scope=%ff", "scope=a&scope=b", "scope=%00", "a=1&" * 300, "scope=" + "a" * 9000])
async def test_no_query_is_a_fault_of_the_server(provider: FakeProvider, query: str) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        for path in ("passwordflow", "deletetokens", "authzcodeflow", "authzcodeflowpkce", "authzcode"):
            answer = await browser.get(f"/{path}?{query}")
            assert 400 <= answer.status_code < 500, (path, answer.text)


async def test_what_is_shown_again_is_no_markup(provider: FakeProvider) -> None:
    script = "\"><script>alert(1)</script>'"
    displayed: list[tuple[str, dict[str, Any]]] = [
        ("/passwordflow", {"username": script, "password": "x", "scope": script}),
        ("/devicecodeflow", {"scope": script}),
        ("/deletetokens", {"next": script}),
    ]
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        for path, fields in displayed:
            page = await browser.submit(path, **fields)
            assert page.headers["content-type"].startswith("text/html"), page.text
            assert "<script>" not in page.text
        page = await browser.get("/passwordflow", params={"scope": script})
        assert "<script>" not in page.text
        provider.mfa.require("alice", "sms")
        provider.mfa.of_user["alice"][0]["name"] = script
        asked = await browser.log_in_by_password()
        assert "<script>" not in asked.text
        again = await browser.press(asked, "Continue", binding_code="0")
        assert (again.status_code, "<script>" in again.text) == (401, False)
