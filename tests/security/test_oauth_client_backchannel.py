"""Messages that a login at the provider has ended: forged, replayed, sent by anybody, and those that must count everywhere.

The names of modules are those of the OpenID Foundation's suite for relying parties (Back-Channel Logout).
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request

from crossauth_backend import EventName, InMemoryKeyStorage, SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from tests.flows.test_oauth_client_logout import OIDC, has_tokens, log_in
from tests.oauthclient import ClientSite, Visitor

URL = "/backchannellogout"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(algorithms=("ES256", "RS256")) as provider:
        yield provider


async def notify(browser: Visitor, provider: FakeProvider, **said: Any) -> httpx2.Response:
    """The provider sends a logout token: nothing of a browser goes along."""
    async with httpx2.AsyncClient(base_url=str(browser.base_url), trust_env=False) as sender:
        return await sender.post(URL, data={"logout_token": provider.logout_token(**said)})


async def test_a_good_token(provider: FakeProvider) -> None:
    """oidcc-client-test-rp-backchannel-rpinitlogout"""
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        answer = await notify(browser, provider, sub="alice", sid=provider.sessions["alice"])
        assert (answer.status_code, answer.headers["cache-control"], answer.content) == (200, "no-store", b"")
        assert "set-cookie" not in answer.headers
        assert not await has_tokens(browser)
        await log_in(browser, provider)


BAD: dict[str, tuple[ProviderFault | None, dict[str, Any]]] = {
    "alg-none": (ProviderFault.NO_SIGNATURE, {}), "wrong-alg": (ProviderFault.WRONG_ALGORITHM, {}),
    "no-event": (ProviderFault.NO_EVENT, {}), "wrong-event": (ProviderFault.WRONG_EVENT, {}),
    "with-nonce": (ProviderFault.WITH_NONCE, {}), "wrong-aud": (ProviderFault.WRONG_AUDIENCE, {}),
    "wrong-iss": (ProviderFault.WRONG_ISSUER, {}), "no-aud": (ProviderFault.NO_AUDIENCE, {}),
    "no subject": (ProviderFault.NO_SUBJECT, {}), "no-jti": (ProviderFault.NO_JTI, {}), "no-iat": (ProviderFault.NO_IAT, {}),
    "future-iat": (ProviderFault.FUTURE_IAT, {}), "old-iat": (ProviderFault.OLD_IAT, {}), "no-exp": (ProviderFault.NO_EXP, {}),
    "expired": (ProviderFault.EXPIRED, {}), "signature": (ProviderFault.WRONG_SIGNATURE, {}),
    "public key": (ProviderFault.PUBLIC_KEY_AS_SECRET, {}), "unknown key": (ProviderFault.UNKNOWN_KEY, {}),
    "access token": (ProviderFault.WRONG_TYPE, {}), "no jwt": (ProviderFault.NO_JWT, {}),
    "another event": (None, {"events": {"http://schemas.openid.net/event/frontchannel-logout": {}}}),
    "an event that is no object": (None, {"events": {"http://schemas.openid.net/event/backchannel-logout": 1}}),
    "a list of events": (None, {"events": ["http://schemas.openid.net/event/backchannel-logout"]}),
    "a number of a user": (None, {"sub": 7}), "a list of sessions": (None, {"sid": ["a"]}), "an empty user": (None, {"sub": ""}),
    "a long session": (None, {"sid": "x" * 10_000}), "a NUL in a user": (None, {"sub": "a\x00"}),
    "a number of a name": (None, {"jti": 7}), "an empty name": (None, {"jti": ""}), "an end in text": (None, {"exp": "soon"}),
    "an end that never is": (None, {"exp": 10**30}),
}  # fmt: skip


async def test_a_bad_token_ends_nothing(provider: FakeProvider) -> None:
    """oidcc-client-test-rp-backchannel-rpinitlogout-alg-none, -wrong-alg, -no-event, -wrong-event, -with-nonce, -wrong-aud,
    -wrong-iss
    """
    provider.settings.metadata["id_token_signing_alg_values_supported"] = ["ES256"]
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        for name, (fault, claims) in BAD.items():
            response = {"sub": "alice", "sid": provider.sessions["alice"], **claims}
            answer = await notify(browser, provider, fault=fault, **response)
            told = (answer.status_code, answer.headers["cache-control"], answer.json()["error"])
            assert told == (400, "no-store", "invalid_request"), name
        assert await has_tokens(browser)


async def test_an_id_token_is_no_logout_token(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        token = (await browser.call("/id_token", decode=False)).json()
        raw = next(text for text in [token, *token.values()] if isinstance(text, str) and text.count(".") == 2)
        answer = await browser.post(URL, data={"logout_token": raw})
        assert answer.status_code == 400
        assert await has_tokens(browser)


JSON_TYPE = {"Content-Type": "application/json"}
GARBAGE: list[tuple[bytes, dict[str, str]]] = [
    (b"", FORM), (b"logout_token=", FORM), (b"logout_token=x", FORM), (b"logout_token=a.b.c", FORM), (b"&" * 60_000, FORM),
    (b"logout_token=a&logout_token=b", FORM), (b"logout_token=%00", FORM), (b"logout_token=%ff", FORM), (b"x", {}),
    (b"logout_token=" + b"x" * 70_000, FORM), (b"logout_token=" + b"a." * 20_000, FORM), (b'{"logout_token": "x"}', JSON_TYPE),
    (b'{"logout_token": 7}', JSON_TYPE), (b"\xff\xfe", {"Content-Type": "text/plain"}),
    (b"[" * 50_000, JSON_TYPE), (b'{"logout_token": "\\ud800"}', JSON_TYPE),
]  # fmt: skip


async def test_garbage_is_refused(provider: FakeProvider) -> None:
    async with ClientSite(provider, OIDC).open() as browser:
        for body, headers in GARBAGE:
            answer = await browser.post(URL, content=body, headers=headers)
            assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store"), body[:40]


async def test_a_token_counts_once(provider: FakeProvider) -> None:
    """Whoever has seen it cannot log the user out again, also at once and in two workers."""
    keys = InMemoryKeyStorage()
    async with ClientSite(provider, OIDC, keys=keys).open() as browser:
        token = {"logout_token": provider.logout_token(sub="alice")}
        answers = await asyncio.gather(*(browser.post(URL, data=token) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
        site = ClientSite(provider, OIDC, keys=keys)
        async with site.open() as second:
            site.later(seconds=5)
            await log_in(second, provider)
            assert (await second.post(URL, data=token)).status_code == 400
            assert await has_tokens(second)


async def test_it_is_about_one_session_or_about_all(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as one, one.another() as two, one.another() as bob:
        await log_in(one, provider)
        first = provider.sessions.pop("alice")
        await log_in(two, provider)
        await log_in(bob, provider, "bob")
        assert (await notify(one, provider, sid=first)).status_code == 200
        assert [await has_tokens(b) for b in (one, two, bob)] == [False, True, True]
        assert (await notify(one, provider, sub="alice", sid="another")).status_code == 200
        assert await has_tokens(two), "with a sid, a session that is not this one"
        assert (await notify(one, provider, sub="alice")).status_code == 200
        assert [await has_tokens(b) for b in (one, two, bob)] == [False, False, True]
        site.later(seconds=2)
        await log_in(two, provider)
        assert await has_tokens(two), "a login after it"


async def test_another_issuer_with_the_same_user_is_not_meant(provider: FakeProvider) -> None:
    """`sub` is unique at one issuer only (OpenID Connect Core §2)."""
    async with FakeProvider() as second:
        client = {**OIDC, "session_data_name": "second"}
        site = ClientSite(provider, OIDC)
        other = ClientSite(second, client, keys=site.keys)
        async with site.open() as one, other.open() as two:
            await log_in(one, provider)
            await log_in(two, second)
            assert (await notify(one, provider, sub="alice")).status_code == 200
            assert (await two.post(URL, data={"logout_token": provider.logout_token(sub="alice")})).status_code == 400
            assert not await has_tokens(one)
            assert await has_tokens(two)


async def test_a_login_whose_id_token_names_no_session(provider: FakeProvider) -> None:
    """It may be the one that is meant."""
    provider.settings.claims["sid"] = None
    async with ClientSite(provider, OIDC).open() as browser:
        await log_in(browser, provider)
        assert (await notify(browser, provider, sub="bob", sid="s")).status_code == 200
        assert await has_tokens(browser)
        assert (await notify(browser, provider, sub="alice", sid="s")).status_code == 200
        assert not await has_tokens(browser)


async def test_it_survives_a_refresh_and_a_new_session_id(provider: FakeProvider) -> None:
    site = ClientSite(provider, OIDC)
    async with site.open() as browser:
        await log_in(browser, provider)
        sid = provider.sessions["alice"]
        site.later(minutes=30)
        assert (await browser.submit("/refreshtokensifexpired")).status_code in (200, 303, 302)
        assert await has_tokens(browser)
        assert (await notify(browser, provider, sid=sid)).status_code == 200
        assert not await has_tokens(browser)


async def test_it_is_told(provider: FakeProvider) -> None:
    class RecordingListener:
        def __init__(self) -> None:
            self.events: list[Any] = []

        async def on_event(self, event: Any) -> None:
            self.events.append(event)

    heard = RecordingListener()
    async with ClientSite(provider, OIDC, event_listeners=[heard]).open() as browser:
        await notify(browser, provider, sub="alice")
        async with asyncio.timeout(10):
            while not heard.events:
                await asyncio.sleep(0.01)
    event = heard.events[-1]
    assert (event.name, event.userid) == (EventName.logged_out, None)
    assert provider.url in event.reason
    assert "alice" not in repr(event)


async def test_wrong_tokens_are_counted_and_good_ones_are_not(provider: FakeProvider) -> None:
    limits = {"attempt_limits": {"logout_token_address": (4, 900)}}
    async with ClientSite(provider, OIDC, **limits).open() as browser:
        for _ in range(12):
            assert (await notify(browser, provider, sub="alice")).status_code == 200
        answers = [await browser.post(URL, data={"logout_token": "x"}) for _ in range(8)]
        assert {answer.status_code for answer in answers} == {400, 429}
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_provider_whose_keys_cannot_be_had_is_asked_to_come_again(provider: FakeProvider) -> None:
    token = provider.logout_token(sub="alice")
    async with ClientSite(provider, OIDC).open() as browser:
        provider.faults["jwks"] = Fault.UNAVAILABLE
        answer = await browser.post(URL, data={"logout_token": token})
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        assert "alice" not in answer.text


async def test_a_storage_that_fails_does_not_use_the_token_up(provider: FakeProvider) -> None:
    """The provider sends it again."""

    class Failing(InMemoryKeyStorage):
        fails = True

        async def save_key(self, userid: Any, value: str, *args: Any, **more: Any) -> None:
            if value.startswith("plo:") and self.fails:
                raise OSError
            await super().save_key(userid, value, *args, **more)

    keys = Failing()
    async with ClientSite(provider, OIDC, keys=keys).open() as browser:
        token = {"logout_token": provider.logout_token(sub="alice")}
        assert (await browser.post(URL, data=token)).status_code == 500
        keys.fails = False
        assert (await browser.post(URL, data=token)).status_code == 200


async def test_nothing_of_the_user_is_in_the_storage(provider: FakeProvider) -> None:
    keys = InMemoryKeyStorage()
    async with ClientSite(provider, OIDC, keys=keys).open() as browser:
        await notify(browser, provider, sub="alice", sid="of alice")
    found = [key for key in await keys.get_all_for_user(None) if key.value.startswith("plo:")]
    assert len(found) == 2
    assert "alice" not in repr([(key.value, key.data) for key in found])
    assert all(key.expires is not None and key.expires - key.created == timedelta(days=400) for key in found)


async def test_a_local_session_that_the_login_opened_ends_in_the_same_request(provider: FakeProvider) -> None:
    """Not only after it: what the request asks for is refused already."""
    site = ClientSite(
        provider, {**OIDC, "local_login": True, "user_match_field": "username", "id_token_match_field": "sub"}
    )

    @site.server.app.get("/who")
    async def who(request: Request) -> dict[str, Any]:
        user = request.state.user
        return {"user": None if user is None else user.username}

    async with site.open() as browser, browser.another() as by_password:
        await by_password.sign_up("alice")
        await log_in(browser, provider)
        assert [(await b.get("/who")).json()["user"] for b in (browser, by_password)] == ["alice", "alice"]
        assert (await notify(browser, provider, sub="alice")).status_code == 200
        assert (await browser.get("/who")).json()["user"] is None
        assert (await by_password.get("/who")).json()["user"] == "alice", (
            "who logged in by password has nothing to do with it"
        )


async def test_it_counts_in_every_worker_on_a_database(provider: FakeProvider, tmp_path: Path) -> None:
    """Where keys are read by the query that sessions are read by."""
    sites = []
    for _ in range(2):
        engine = open_engine(f"sqlite+aiosqlite:///{tmp_path}/site.db")
        users = SqlAlchemyUserStorage(engine)
        sites.append(ClientSite(provider, OIDC, users=users, keys=SqlAlchemyKeyStorage(engine)))
    async with sites[0].open() as browser, sites[1].open() as elsewhere:
        await log_in(browser, provider)
        elsewhere.cookies.update(browser.cookies)
        assert await has_tokens(elsewhere)
        assert (await notify(browser, provider, sub="alice")).status_code == 200
        assert not await has_tokens(elsewhere)
        assert not await has_tokens(browser)
