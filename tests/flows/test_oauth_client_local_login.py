"""A login at the provider that logs in here, through every stage of a login."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage, SqlAlchemyIdentityStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.testing import FakeProvider
from crossauth_backend.users.states import UserState
from tests.oauthclient import HTML, TOKENS, Visitor
from tests.oauthpeople import LOCAL, PeopleSite, asking, come, refused, who
from tests.support import PASSWORD


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def site(provider: FakeProvider, client: dict[str, Any] | None = None, **options: Any) -> PeopleSite:
    return PeopleSite(provider, {**LOCAL, **TOKENS, **(client or {})}, **options)


async def test_the_linked_account_is_logged_in(provider: FakeProvider) -> None:
    here = site(provider)
    await here.linked("wonder")
    async with here.open() as browser:
        done = await come(browser, provider)
        assert (done.status_code, done.headers["location"]) == (302, "/welcome")
        assert await who(browser) == "wonder"
        told = await asking(browser)
        assert (told["user"], told["auth_type"], told["sub"]) == ("wonder", "cookie", "alice")
        assert (await browser.call("/have_access_token")).json()["ok"] is True
        assert "login_succeeded" in here.heard.names
        assert (await browser.get("/sessions", headers=HTML)).status_code == 200


async def test_where_the_browser_wanted_to_go(provider: FakeProvider) -> None:
    here = site(provider)
    await here.linked()
    async with here.open() as browser:
        done = await come(browser, provider, next="/asking?x=1")
        assert done.headers["location"] == "/asking?x=1"


async def test_tokens_are_sent_where_that_is_chosen(provider: FakeProvider) -> None:
    here = PeopleSite(provider, {"local_login": True})
    await here.linked()
    async with here.open() as browser:
        told = (await come(browser, provider)).json()
        assert (told["ok"], told["id_payload"]["sub"]) == (True, "alice")
        assert await who(browser) == "alice"


async def test_the_second_factor_is_asked_for_and_the_tokens_come_with_it(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        secret = await here.with_totp(browser)
        sent = await come(browser, provider, next="/asking")
        assert (sent.status_code, sent.headers["location"]) == (302, "/loginfactor2?next=%2Fasking")
        assert await who(browser) is None
        assert (await asking(browser))["user"] is None
        assert (await browser.call("/have_access_token")).json()["ok"] is False
        page = await browser.get(sent.headers["location"], headers=HTML)
        assert page.status_code == 200
        provided = await browser.submit("/loginfactor2", otp=here.code(secret), next="/asking")
        assert (provided.status_code, provided.headers["location"]) == (303, "/asking")
        assert await who(browser) == "alice"
        assert (await browser.call("/have_access_token")).json()["ok"] is True
        assert (await asking(browser))["sub"] == "alice"


async def test_a_wrong_code_brings_nothing(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await here.with_totp(browser)
        await come(browser, provider)
        assert (await browser.submit("/loginfactor2", otp="000000")).status_code == 401
        assert await who(browser) is None
        assert (await browser.call("/have_access_token")).json()["ok"] is False


async def test_a_password_change_that_is_due_comes_first(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        await browser.sign_up()
        await browser.call("/api/logout")
        user = (await here.users.get_user_by_username("alice")).user
        await here.identities.link(here.issuer, "alice", user.id)
        await here.users.update_user({"id": user.id, "state": UserState.password_change_needed})
        sent = await come(browser, provider)
        assert sent.headers["location"].startswith("/changepassword?required=true")
        assert await who(browser) is None
        new = {"new_password": "Another1one", "repeat_password": "Another1one"}
        done = await browser.submit("/changepassword", old_password=PASSWORD, **new)
        assert done.status_code in (200, 303), done.text
        assert await who(browser) == "alice"
        assert (await browser.call("/have_access_token")).json()["ok"] is True


async def test_somebody_unknown_is_refused_unless_accounts_are_made(provider: FakeProvider) -> None:
    here = site(provider)
    async with here.open() as browser:
        assert refused(await come(browser, provider)) == (401, "Unauthorized")
        assert await who(browser) is None
        assert await here.users.get_users() == []


async def test_somebody_unknown_gets_an_account(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    async with here.open() as browser:
        await come(browser, provider)
        assert await who(browser) == "alice"
        (user,) = await here.users.get_users()
        assert (user.username, user.email, user.state) == ("alice", "alice@example.com", "active")
        assert user.email_verified_at is not None
        assert (await here.users.get_user_by_id(user.id)).secrets.password is None
        assert [n for n in here.heard.names if n in ("signed_up", "account_linked")] == ["signed_up", "account_linked"]
        await browser.call("/api/logout")
        await come(browser, provider)
        assert await who(browser) == "alice"
        assert len(await here.users.get_users()) == 1


async def test_a_name_that_is_taken_or_cannot_be_is_another(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    await here.user("alice", email="other@example.com")
    provider.users["bob"] = {"preferred_username": "​​", "name": "Bob"}
    async with here.open() as browser:
        await come(browser, provider)
        assert await who(browser) == "alice@example.com"
        await browser.call("/api/logout")
        await come(browser, provider, "bob")
        assert str(await who(browser)).startswith("user-")


async def test_an_address_that_the_provider_has_not_verified_is_not_taken_over(provider: FakeProvider) -> None:
    provider.users["mallory"] = {"email": "victim@example.com", "email_verified": False, "preferred_username": "mal"}
    here = site(provider, {"create_accounts": True})
    async with here.open() as browser:
        await come(browser, provider, "mallory")
        user = (await here.users.get_user_by_username("mal")).user
        assert (user.email, user.email_verified_at) == (None, None)
    strict = site(provider, {"create_accounts": True}, enable_email_verification=True)
    async with strict.open() as browser:
        assert refused(await come(browser, provider, "mallory")) == (403, "EmailNotVerified")
        assert await strict.users.get_users() == []
        await come(browser, provider, "alice")
        assert await who(browser) == "alice"


async def test_an_account_with_this_address_is_not_given_away(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    await here.user("wonder", email="alice@example.com")
    async with here.open() as browser:
        answer = await come(browser, provider)
        assert refused(answer) == (400, "UserExists")
        assert "Log in to it, and link" in answer.text
        assert await who(browser) is None
        assert len(await here.users.get_users()) == 1


async def test_a_password_can_be_set_by_mail_later(provider: FakeProvider) -> None:
    here = site(provider, {"create_accounts": True})
    async with here.open() as browser:
        await come(browser, provider)
        await browser.call("/api/logout")
        assert refused(await browser.call("/api/login", username="alice", password=""))[0] == 401
        assert refused(await browser.call("/api/login", username="alice", password="None"))[0] == 401


async def test_logging_in_again_as_somebody_else_is_another_session(provider: FakeProvider) -> None:
    here = site(provider)
    await here.linked("alice", "alice")
    await here.linked("bob", "bob")
    async with here.open() as browser:
        await come(browser, provider, "alice")
        first = dict(browser.cookies)
        await come(browser, provider, "bob")
        assert await who(browser) == "bob"
        async with Visitor(str(browser.base_url)) as other:
            other.cookies.update(first)
            assert await who(other) is None


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_on_a_database(provider: FakeProvider, kind: str, request: pytest.FixtureRequest) -> None:
    engine = open_engine(request.getfixturevalue(f"{kind}_url"))
    users, identities = SqlAlchemyUserStorage(engine), SqlAlchemyIdentityStorage(engine)
    here = site(provider, {"create_accounts": True, "identity_storage": identities}, users=users)
    here.keys = InMemoryKeyStorage()
    async with here.open() as browser:
        await come(browser, provider)
        assert await who(browser) == "alice"
        await browser.call("/api/logout")
        await come(browser, provider)
        assert await who(browser) == "alice"
        assert len(await users.get_users()) == 1
        done = await browser.call("/api/deleteuser")
        assert done.status_code == 200, done.text
        assert await identities.find(here.issuer, "alice") is None
