"""Logins at a provider: stages they must not skip, sessions they must not adopt, accounts they must not take over"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import Request, Response

from crossauth_backend import CrossauthError, ErrorCode, InMemoryIdentityStorage
from crossauth_backend.testing import FakeProvider
from crossauth_backend.users.states import UserState
from crossauth_fastapi import AdminUser
from tests.oauthclient import HTML, IN_SESSION, TOKENS, Visitor
from tests.oauthpeople import LOCAL, PeopleSite, asking, come, finish, refused, start, verified, who
from tests.support import PASSWORD

LINKS = {**LOCAL, "link_accounts": True}
BY_EMAIL = {"user_match_field": "email", "id_token_match_field": "email"}
NOT_ACTIVE = {
    UserState.disabled: "UserNotActive",
    UserState.awaiting_email_verification: "EmailNotVerified",
    UserState.password_reset_needed: "PasswordResetNeeded",
    UserState.password_and_factor2_reset_needed: "PasswordResetNeeded",
}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.mark.parametrize("state", NOT_ACTIVE)
async def test_a_login_by_a_provider_skips_no_state_of_the_account(provider: FakeProvider, state: str) -> None:
    here = PeopleSite(provider, LOCAL)
    await here.linked(state=state)
    async with here.open() as browser:
        status, name = refused(await come(browser, provider))
        assert (status in (401, 403), name) == (True, NOT_ACTIVE[state])
        assert await who(browser) is None
        assert (await asking(browser))["user"] is None
        assert (await browser.get("/me")).status_code == 401
        assert "login_failed" in here.heard.names


async def test_it_does_not_skip_the_second_factor(provider: FakeProvider) -> None:
    """Whatever the provider says of its own: only ours is the account's."""
    provider.settings.claims = {"amr": ["pwd", "otp", "mfa"], "acr": "2"}
    here = PeopleSite(provider, {**LOCAL, **TOKENS})
    async with here.open() as browser:
        await here.with_totp(browser)
        sent = await come(browser, provider)
        assert sent.headers["location"].startswith("/loginfactor2")
        assert await who(browser) is None
        assert (await browser.get("/me")).status_code == 401
        for path in ("/have_access_token", "/have_id_token", "/have_refresh_token"):
            assert (await browser.call(path)).json()["ok"] is False, path


async def test_tokens_that_came_another_way_log_nobody_in(provider: FakeProvider) -> None:
    """Where a login here goes through stages, nothing but these says who somebody is."""
    here = PeopleSite(provider, LOCAL)
    await here.linked()
    async with here.open() as browser:
        answer = await browser.log_in_by_password()
        assert answer.status_code == 303, answer.text
        told = await asking(browser)
        assert (told["user"], told["sub"]) == (None, "alice")
        assert (await browser.get("/me")).status_code == 401


@pytest.mark.parametrize("kind", ["merge", "embed"])
@pytest.mark.parametrize(
    "change", [*({"state": s} for s in NOT_ACTIVE), {"state": "passwordchangeneeded"}, {"factor2": "totp"}]
)
async def test_an_id_token_does_not_stand_for_an_account_that_would_be_asked_for_more(
    provider: FakeProvider, kind: str, change: dict[str, Any]
) -> None:
    for local in (True, False):
        here = PeopleSite(provider, {**IN_SESSION, "user_creation_type": kind, "require_local_account": local})
        await here.linked(**change)
        async with here.open() as browser:
            await come(browser, provider)
            assert (await asking(browser))["user"] is None
            assert (await browser.get("/me")).status_code == 401


async def test_what_is_disabled_after_the_login_is_out_at_once(provider: FakeProvider) -> None:
    here = PeopleSite(provider, LOCAL)
    user = await here.linked()
    async with here.open() as browser:
        await come(browser, provider)
        await here.users.update_user({"id": user.id, "state": UserState.disabled})
        assert (await browser.get("/me")).status_code == 401
        assert await who(browser) is None


@pytest.mark.parametrize("client", [LOCAL, IN_SESSION])
async def test_a_session_that_was_there_before_is_not_adopted(provider: FakeProvider, client: dict[str, Any]) -> None:
    """Whoever planted its cookie would be logged in with the victim."""
    here = PeopleSite(provider, client)
    await here.linked()

    @here.server.app.get("/plant")
    async def plant(request: Request) -> None:
        await here.server.create_anonymous_session(request, Response(), {"seen": True})

    async with here.open() as browser:
        await browser.get("/plant")
        planted = dict(browser.cookies)
        assert planted
        await come(browser, provider)
        async with Visitor(str(browser.base_url)) as thief:
            thief.cookies.update(planted)
            assert await who(thief) is None
            assert (await asking(thief))["user"] is None
            assert (await thief.get("/me")).status_code == 401
        assert (await browser.get("/me")).status_code == 200


@pytest.mark.parametrize("client", [LOCAL, IN_SESSION])
async def test_nobody_is_logged_in_as_an_attacker(provider: FakeProvider, client: dict[str, Any]) -> None:
    """The attacker's answer of the provider, in the browser of a victim."""
    here = PeopleSite(provider, client)
    await here.linked("mallory", "mallory")
    async with here.open() as victim, Visitor(str(victim.base_url)) as attacker:
        back = urlsplit(provider.sign_in(await start(attacker), "mallory"))
        answer = await victim.get(f"{back.path}?{back.query}", headers=HTML)
        assert answer.status_code == 401
        assert await who(victim) is None
        assert (await asking(victim))["user"] is None
        # Also where the victim has a login of its own under way.
        await start(victim)
        assert (await victim.get(f"{back.path}?{back.query}", headers=HTML)).status_code == 401
        assert (await asking(victim))["user"] is None


async def test_a_victim_does_not_link_the_account_of_an_attacker(provider: FakeProvider) -> None:
    """With it the attacker would log in as the victim."""
    here = PeopleSite(provider, LINKS)
    async with here.open() as victim, Visitor(str(victim.base_url)) as attacker:
        await victim.sign_up("victim")
        await attacker.sign_up("mallory")
        url = (await attacker.call("/api/linkaccount")).json()["url"]
        answer = await finish(victim, provider, url, "mallory")
        assert answer.status_code == 401
        assert await here.identities.of_user(1) == []
        # Nor does the attacker's, once somebody else is logged in there.
        url = (await attacker.call("/api/linkaccount")).json()["url"]
        await attacker.call("/api/logout")
        await attacker.call("/api/login", username="victim", password=PASSWORD)
        assert (await finish(attacker, provider, url, "mallory")).status_code == 401
        assert await here.identities.find(here.issuer, "mallory") is None


async def test_a_login_is_no_link_and_a_link_no_login(provider: FakeProvider) -> None:
    here = PeopleSite(provider, LINKS)
    await here.linked("bob", "bob")
    async with here.open() as browser:
        await browser.sign_up("alice")
        url = (await browser.call("/api/linkaccount")).json()["url"]
        assert refused(await finish(browser, provider, url, "bob")) == (409, "ConstraintViolation")
        assert await who(browser) == "alice", "the account of the provider is bob's, and bob is not logged in by it"
        await come(browser, provider, "stranger")
        assert await here.identities.find(here.issuer, "stranger") is None


async def test_linking_is_not_begun_by_a_link_to_a_page_or_without_a_fresh_login(provider: FakeProvider) -> None:
    here = PeopleSite(provider, LINKS)
    async with here.open() as browser:
        await browser.sign_up("alice")
        for path in ("/authzcodeflow", "/authzcodeflowpkce"):
            begun = await browser.get(path, params={"scope": "openid", "link": "1", "purpose": "link", "userid": "1"})
            await finish(browser, provider, begun.headers["location"], "mallory")
        assert await here.identities.of_user(1) == []
        displayed = await browser.get("/linkaccount", headers=HTML)
        assert displayed.status_code == 200
        assert provider.url not in displayed.text.replace("http-equiv", "")
        here.later(hours=1)
        assert refused(await browser.call("/api/linkaccount")) == (401, "Unauthorized")


async def test_a_login_that_ended_meanwhile_links_nothing(provider: FakeProvider) -> None:
    """Such as a thief's, whose victim has changed the password."""
    here = PeopleSite(provider, LINKS)
    async with here.open() as thief, Visitor(str(thief.base_url)) as victim:
        await thief.sign_up("victim")
        await victim.call("/api/login", username="victim", password=PASSWORD)
        url = (await thief.call("/api/linkaccount")).json()["url"]
        new = {"new_password": "Another1one", "repeat_password": "Another1one"}
        done = await victim.call("/api/changepassword", old_password=PASSWORD, **new)
        assert done.status_code == 200, done.text
        assert (await finish(thief, provider, url, "mallory")).status_code == 401
        assert await here.identities.of_user(1) == []


@pytest.mark.parametrize("said", [False, None, "true", 1, "yes"])
async def test_an_address_that_the_provider_has_not_verified_opens_no_account(
    provider: FakeProvider, said: Any
) -> None:
    provider.users["mallory"] = {"email": "victim@example.com", "email_verified": said, "preferred_username": "victim"}
    for client in ({**LOCAL, **BY_EMAIL}, {**IN_SESSION, "user_creation_type": "merge", **BY_EMAIL}):
        here = PeopleSite(provider, client)
        await here.user("victim", email="victim@example.com", email_verified_at=verified())
        async with here.open() as browser:
            await come(browser, provider, "mallory")
            assert await who(browser) is None
            assert (await asking(browser))["user"] is None


async def test_an_account_that_has_not_verified_its_address_is_not_come_to(provider: FakeProvider) -> None:
    """It may be an attacker's, who waits for the owner of the address (better-auth GHSA-g38m-r43w-p2q7)."""
    for client in ({**LOCAL, **BY_EMAIL}, {**IN_SESSION, "user_creation_type": "merge", **BY_EMAIL}):
        here = PeopleSite(provider, client)
        await here.user("mallory", email="alice@example.com")
        async with here.open() as browser:
            await come(browser, provider, "alice")
            assert await who(browser) is None
            assert (await asking(browser))["user"] is None
            assert await here.identities.find(here.issuer, "alice") is None


@pytest.mark.parametrize(
    "address", ["alicé@example.com", "alice@exämple.com", "аlice@example.com", "ＡＬＩＣＥ@example.com"]
)
async def test_an_address_that_looks_like_another_opens_no_account(provider: FakeProvider, address: str) -> None:
    provider.users["mallory"] = {"email": address, "email_verified": True}
    here = PeopleSite(provider, {**LOCAL, **BY_EMAIL})
    await here.user("alice", email="alice@example.com", email_verified_at=verified())
    async with here.open() as browser:
        assert (await come(browser, provider, "mallory")).status_code == 401
        assert await who(browser) is None


async def test_names_at_a_provider_open_no_account(provider: FakeProvider) -> None:
    """Neither the subject nor any other name that somebody may choose there, unless the application says so (django-allauth
    CVE-2025-65431).
    """
    provider.users["alice"] = {"preferred_username": "alice", "email": "alice@example.com", "email_verified": True}
    for client in (LOCAL, {**IN_SESSION, "user_creation_type": "merge"}, {**IN_SESSION, "user_creation_type": "embed"}):
        here = PeopleSite(provider, client)
        await here.user("alice", email="alice@example.com", email_verified_at=verified())
        async with here.open() as browser:
            await come(browser, provider, "alice")
            assert await who(browser) is None
            assert (await asking(browser))["user"] is None


async def test_the_same_subject_of_another_issuer_is_somebody_else(provider: FakeProvider) -> None:
    async with FakeProvider() as other:
        here = PeopleSite(provider, LOCAL)
        user = await here.user("alice")
        await here.identities.link(other.url, "alice", user.id)
        async with here.open() as browser:
            assert (await come(browser, provider, "alice")).status_code == 401
            assert await who(browser) is None


async def test_an_address_that_was_given_to_somebody_else_there_opens_no_account(provider: FakeProvider) -> None:
    here = PeopleSite(provider, {**LOCAL, **BY_EMAIL})
    await here.user("alice", email="alice@example.com", email_verified_at=verified())
    provider.users["next"] = {"email": "alice@example.com", "email_verified": True}
    async with here.open() as browser:
        await come(browser, provider, "alice")
        assert await who(browser) == "alice"
        assert "account_linked" in here.heard.names
        await browser.call("/api/logout")
        assert (await come(browser, provider, "next")).status_code == 401
        assert await who(browser) is None


async def test_whoever_lacks_the_second_factor_is_linked_to_nothing(provider: FakeProvider) -> None:
    here = PeopleSite(provider, {**LOCAL, **BY_EMAIL})
    async with here.open() as browser:
        secret = await here.with_totp(browser, "another")
        await here.identities.unlink(here.issuer, "another", 1)
        await here.users.update_user({"id": 1, "email": "alice@example.com", "email_verified_at": verified()})
        sent = await come(browser, provider)
        assert sent.headers["location"].startswith("/loginfactor2")
        assert await here.identities.of_user(1) == []
        assert (await browser.submit("/loginfactor2", otp=here.code(secret))).status_code == 303
        assert await who(browser) == "alice"


@pytest.mark.parametrize("name", ["victim@example.com", "VICTIM@example.com", "victim\uff20example.com"])
async def test_an_account_made_by_a_provider_does_not_take_an_address_from_its_owner(
    provider: FakeProvider, name: str
) -> None:
    """Neither one that has an account, nor one that may sign up later."""
    provider.users["mallory"] = {
        "email": "victim@example.com", "email_verified": False, "preferred_username": name,
    }  # fmt: skip
    here = PeopleSite(provider, {**LOCAL, "create_accounts": True}, enable_email_verification=False)
    async with here.open() as browser:
        await come(browser, provider, "mallory")
        (made,) = await here.users.get_users()
        assert made.email is None
        assert made.email_verified_at is None
        assert made.username.startswith("user-"), "a name is where mail goes that has no address"


async def test_one_account_at_a_provider_is_one_users(provider: FakeProvider) -> None:
    """Also where two ask at the same time (better-auth 10214), and where two logins make an account."""
    here = PeopleSite(provider, {**LINKS, "create_accounts": True})
    async with here.open() as one, Visitor(str(one.base_url)) as two:
        await one.sign_up("one")
        await two.sign_up("two")
        urls = [(await browser.call("/api/linkaccount")).json()["url"] for browser in (one, two)]
        done = await asyncio.gather(finish(one, provider, urls[0], "bob"), finish(two, provider, urls[1], "bob"))
        assert sorted(answer.status_code for answer in done) == [302, 409]
        both = [await here.identities.of_user(1), await here.identities.of_user(2)]
        assert sum(map(len, both)) == 1


async def test_two_logins_at_once_make_one_account(provider: FakeProvider) -> None:
    class Slow(InMemoryIdentityStorage):
        """Lets both find nothing before either has linked it."""

        async def find(self, iss: str, sub: str) -> Any:
            found = await super().find(iss, sub)
            await asyncio.sleep(0.3)
            return found

    identities = Slow()
    here = PeopleSite(provider, {**LOCAL, "create_accounts": True, "identity_storage": identities})
    async with here.open() as one, Visitor(str(one.base_url)) as two:
        # Without a name or an address that could be taken: the account at the provider alone decides.
        urls = [await start(browser, scope="openid") for browser in (one, two)]
        done = await asyncio.gather(finish(one, provider, urls[0], "alice"), finish(two, provider, urls[1], "alice"))
        assert sorted(answer.status_code for answer in done) == [302, 409]
        (user,) = await here.users.get_users()
        assert [one.sub for one in await identities.of_user(user.id)] == ["alice"]


async def test_claims_give_no_rights(provider: FakeProvider) -> None:
    provider.settings.claims = {"admin": True, "state": "active", "role": "admin", "userid": 1, "is_admin": True}
    for kind in ("idToken", "merge", "embed"):
        here = PeopleSite(provider, {**IN_SESSION, "user_creation_type": kind})
        await here.user("root", admin=True)
        await here.linked("plain")

        @here.server.app.get("/admin-only")
        async def admin_only(user: AdminUser) -> str:
            return user.username

        async with here.open() as browser:
            await come(browser, provider)
            assert (await asking(browser))["user"] is not None
            assert (await browser.get("/admin-only")).status_code == 403
            assert (await asking(browser))["id"] != 1


async def test_an_account_named_by_an_id_token_has_no_pages(provider: FakeProvider) -> None:
    """What changes an account needs a login here: an ID token in the session is none."""
    here = PeopleSite(provider, {**IN_SESSION, "user_creation_type": "merge", "link_accounts": True})
    await here.linked("victim")
    async with here.open() as browser:
        await come(browser, provider)
        assert (await asking(browser))["user"] == "victim"
        for path in (
            "updateuser",
            "changepassword",
            "deleteuser",
            "changefactor2",
            "linkaccount",
            "linkedaccounts",
            "sessions",
        ):
            answer = await browser.call(f"/api/{path}", email="m@example.com", account="x", factor2="totp")
            assert answer.status_code == 401, (path, answer.text)
        for path in ("updateuser", "deleteuser", "linkedaccounts", "sessions", "account"):
            displayed = await browser.get(f"/{path}", headers=HTML)
            assert displayed.status_code in (302, 401, 404), path
        login = await browser.get("/login", headers=HTML)
        assert login.status_code == 200, "and one can log in"


@pytest.mark.parametrize("code", [ErrorCode.Connection, ErrorCode.UnknownError])
async def test_a_storage_that_fails_lets_nobody_in(provider: FakeProvider, code: ErrorCode) -> None:
    """GHSA-8fpg-xm3f-6cx3: what cannot be judged is refused."""

    class Broken(InMemoryIdentityStorage):
        async def find(self, iss: str, sub: str) -> Any:
            raise CrossauthError(code, status=503 if code is ErrorCode.Connection else 500)

    for client in ({**LOCAL, "create_accounts": True}, {**IN_SESSION, "user_creation_type": "merge"}):
        here = PeopleSite(provider, {**client, "identity_storage": Broken()})
        await here.user("alice")
        async with here.open() as browser:
            await come(browser, provider)
            assert (await browser.get("/me")).status_code in (401, 500, 503)
            assert len(await here.users.get_users()) == 1


@pytest.mark.parametrize("sub", ["", "a\x00b", "a" * 256, None, 7, ["alice"]])
async def test_a_subject_that_is_none_is_nobody(provider: FakeProvider, sub: Any) -> None:
    provider.settings.claims = {"sub": sub}
    for client in ({**LOCAL, "create_accounts": True}, IN_SESSION):
        here = PeopleSite(provider, client)
        async with here.open() as browser:
            answer = await come(browser, provider)
            assert answer.status_code < 500 or answer.status_code == 502, answer.text
            assert await who(browser) is None
            assert (await asking(browser))["user"] is None
            assert await here.users.get_users() == []


async def test_sign_ups_by_a_provider_are_counted(provider: FakeProvider) -> None:
    here = PeopleSite(provider, {**LOCAL, "create_accounts": True}, attempt_limits={"signup_address": (2, 3600)})
    async with here.open() as browser:
        answers = []
        for name in ("a1", "a2", "a3"):
            answers.append(await come(browser, provider, name))
            await browser.call("/api/logout")
        assert [answer.status_code for answer in answers] == [302, 302, 429]
        assert len(await here.users.get_users()) == 2


async def test_the_state_in_the_url_at_the_provider_says_nothing(provider: FakeProvider) -> None:
    here = PeopleSite(provider, LINKS)
    async with here.open() as browser:
        await browser.sign_up("alice")
        url = (await browser.call("/api/linkaccount")).json()["url"]
        query = parse_qs(urlsplit(url).query)
        assert "alice" not in url
        assert "link" not in query
        assert len(query["state"][0]) >= 40
