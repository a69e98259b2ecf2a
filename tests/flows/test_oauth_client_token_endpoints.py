"""What a browser is told of the tokens in its session, and that it can have them forgotten."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.testing import FakeProvider, Fault
from tests.oauthclient import IN_SESSION, TOKENS, ClientSite
from tests.support import CSRF

KINDS = ("access_token", "refresh_token", "id_token")
HAVE = tuple(f"have_{kind}" for kind in KINDS)


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def test_without_tokens_there_is_nothing_to_tell(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        for path in (*KINDS, "tokens"):
            answer = await browser.call(f"/{path}")
            assert (answer.status_code, answer.content) == (204, b"")
        for path in HAVE:
            assert (await browser.call(f"/{path}")).json() == {"ok": False}


async def test_the_claims_are_told_by_default(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password("openid email")
        access = await browser.call("/access_token")
        assert (access.json()["client_id"], access.json()["iss"]) == ("client", provider.url)
        assert access.headers["cache-control"] == "no-store"
        id_token = (await browser.call("/id_token", decode=True)).json()
        assert (id_token["sub"], id_token["email"]) == ("alice", "alice@example.com")
        for path in HAVE:
            assert (await browser.call(f"/{path}")).json() == {"ok": True}
        told = (await browser.call("/tokens")).json()
        assert told.keys() == {*KINDS, *HAVE}
        assert (told["access_token"]["sub"], told["id_token"]["sub"]) == ("alice", "alice")
        assert [told[name] for name in HAVE] == [True] * 3


@pytest.mark.parametrize("decode", [False, "false", "0", "no"])
async def test_the_tokens_themselves_are_told_where_they_are_named_and_asked_for(
    provider: FakeProvider, decode: Any
) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        access = (await browser.call("/access_token", decode=decode)).json()["token"]
        assert access in provider.access_tokens
        assert (await browser.call("/refresh_token", decode=decode)).json()["token"] in provider.refresh_tokens
        told = (await browser.call("/tokens", decode=decode)).json()
        assert (told["access_token"], told["id_token"].count(".")) == (access, 2)


async def test_a_kind_that_is_not_named_has_no_endpoint_and_is_never_told(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, "token_endpoints": ["id_token"]}).open() as browser:
        await browser.log_in_by_password()
        for path in ("access_token", "refresh_token", *HAVE):
            assert (await browser.call(f"/{path}")).status_code == 404
        told = await browser.call("/tokens", decode=False)
        assert told.json()["access_token"]["sub"] == "alice"
        assert told.json()["id_token"].count(".") == 2
        for token in (*provider.access_tokens, *provider.refresh_tokens):
            assert token not in told.text


async def test_kinds_that_are_not_decoded(provider: FakeProvider) -> None:
    options = {**IN_SESSION, **TOKENS, "jwt_tokens": ["id"]}
    async with ClientSite(provider, options).open() as browser:
        await browser.log_in_by_password()
        assert (await browser.call("/access_token")).json() == {}
        told = (await browser.call("/tokens")).json()
        assert (told["access_token"], told["id_token"]["sub"]) == (None, "alice")


async def test_without_sessions_there_is_nothing_to_look_at(provider: FakeProvider) -> None:
    async with ClientSite(provider, sessions=False).open() as browser:
        for path in ("tokens", "refreshtokens", "api/refreshtokens"):
            assert (await browser.post(f"/{path}")).status_code == 404
    with pytest.raises(CrossauthError, match="token_endpoints"):
        ClientSite(provider, {"token_endpoints": ["have_id_token"]}, sessions=False)


async def test_the_tokens_are_forgotten_by_a_page(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        page = await browser.get("/deletetokens")
        assert (page.status_code, "Disconnect from" in page.text) == (200, True)
        assert (await browser.call("/have_access_token")).json() == {"ok": True}
        done = await browser.press(page, "Disconnect")
        assert (done.status_code, "Disconnected" in done.text) == (200, True)
        assert (await browser.call("/tokens")).status_code == 204
        assert not provider.refresh_tokens, "the grant lives on"
        assert (await browser.submit("/deletetokens")).status_code == 200


async def test_the_tokens_are_forgotten_by_a_script(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        for _ in range(2):
            assert (await browser.call("/api/deletetokens")).json() == {"ok": True}
        assert (await browser.call("/tokens")).status_code == 204


async def test_they_are_forgotten_when_the_provider_is_away(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        provider.fault = Fault.DIES
        assert (await browser.call("/api/deletetokens")).json() == {"ok": True}
        assert (await browser.call("/tokens")).status_code == 204


async def test_there_is_no_such_page_unless_it_is_named(provider: FakeProvider) -> None:
    async with ClientSite(provider, IN_SESSION).open() as browser:
        assert (await browser.get("/deletetokens")).status_code == 404
        for path in ("/deletetokens", "/api/deletetokens"):
            assert (await browser.call(path)).status_code == 404


async def test_the_user_stays_logged_in(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.sign_up()
        await browser.log_in_by_password()
        await browser.call("/api/deletetokens")
        assert (await browser.get("/api/userforsessionkey")).json()["user"]["username"] == "alice"


async def test_they_need_a_csrf_token(provider: FakeProvider) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        for path in (*KINDS, *HAVE, "tokens", "api/deletetokens"):
            for headers in ({}, {CSRF: "x"}):
                refused = await browser.post(f"/{path}", json={}, headers=headers)
                assert (refused.status_code, refused.json()["ok"]) == (403, False)
        page = await browser.post("/deletetokens", headers={CSRF: "x"})
        assert (page.status_code, "Reload the page and try again" in page.text) == (403, True)
        assert (await browser.call("/have_access_token")).json() == {"ok": True}


@pytest.mark.parametrize("value", [["a"], {}])
async def test_garbage_is_refused(provider: FakeProvider, value: Any) -> None:
    async with ClientSite(provider, {**IN_SESSION, **TOKENS}).open() as browser:
        await browser.log_in_by_password()
        for path in (*KINDS, "tokens"):
            assert (await browser.call(f"/{path}", decode=value)).status_code == 400
