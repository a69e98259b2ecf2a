"""Who is asking, by an ID token in the session: made of its claims, or an account that is merged with them or embeds them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryUserStorage, User
from crossauth_backend.testing import FakeProvider
from tests.oauthclient import CSRF, HTML, IN_SESSION, Visitor
from tests.oauthpeople import PeopleSite, asking, come, refused, verified, who

NOBODY = {
    "user": None, "id": None, "kind": "NoneType", "name": None, "id_token": None, "auth_type": None, "sub": None, "same": True,
}  # fmt: skip
ANONYMOUS = NOBODY | {"auth_type": "cookie"}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def site(provider: FakeProvider, kind: str = "idToken", **client: Any) -> PeopleSite:
    return PeopleSite(provider, {**IN_SESSION, "user_creation_type": kind, **client})


async def test_a_user_is_made_of_the_id_token(provider: FakeProvider) -> None:
    async with site(provider).open() as browser:
        assert await asking(browser) == NOBODY
        assert (await browser.get("/me")).status_code == 401
        done = await come(browser, provider)
        assert (done.status_code, done.headers["location"]) == (302, "/welcome")
        told = await asking(browser)
        assert told == {
            "user": "alice", "id": f"{provider.url}#alice", "kind": "ClaimedUser", "name": "Alice", "id_token": None,
            "auth_type": "oidc", "sub": "alice", "same": True,
        }  # fmt: skip
        assert (await browser.get("/me")).json() == {"username": "alice"}
        assert await who(browser) is None, "nobody is logged in at the session server"


async def test_a_change_in_its_name_needs_a_csrf_token(provider: FakeProvider) -> None:
    async with site(provider).open() as browser:
        await come(browser, provider)
        assert refused(await browser.post("/change", json={})) == (403, "InvalidCsrf")
        assert (await browser.post("/change", json={}, headers={CSRF: await browser.token()})).status_code == 200


async def test_it_is_no_account(provider: FakeProvider) -> None:
    """Neither its own pages nor those of whoever has the same name are open to it."""
    async with site(provider).open() as browser:
        await browser.sign_up()
        await browser.call("/api/logout")
        await come(browser, provider)
        for path in ("/api/updateuser", "/api/changepassword", "/api/deleteuser"):
            assert (await browser.call(path, email="a@example.com", password="x")).status_code in (401, 404), path
        for page in ("/updateuser", "/changepassword", "/sessions"):
            assert (await browser.get(page, headers=HTML)).status_code == 401, page


async def test_whoever_is_logged_in_here_goes_first(provider: FakeProvider) -> None:
    async with site(provider).open() as browser:
        await browser.sign_up("bob")
        await come(browser, provider)
        told = await asking(browser)
        assert (told["user"], told["auth_type"], told["sub"]) == ("bob", "cookie", "alice")


@pytest.mark.parametrize("kind", ["merge", "embed"])
async def test_an_account_is_found_by_issuer_and_subject(provider: FakeProvider, kind: str) -> None:
    here = site(provider, kind)
    alice = await here.linked("wonder", email="w@example.com")
    await here.user("alice")
    async with here.open() as browser:
        await come(browser, provider)
        told = await asking(browser)
        assert (told["user"], told["id"], told["kind"], told["auth_type"]) == ("wonder", alice.id, "User", "oidc")
        if kind == "merge":
            assert (told["name"], told["id_token"]) == ("Alice", None)
        else:
            assert (told["name"], told["id_token"]["name"]) == (None, "Alice")


@pytest.mark.parametrize("kind", ["merge", "embed"])
async def test_without_an_account_it_is_nobody_unless_that_is_allowed(provider: FakeProvider, kind: str) -> None:
    here = site(provider, kind)
    await here.user("alice")
    async with here.open() as browser:
        await come(browser, provider)
        told = await asking(browser)
        assert (told["user"], told["auth_type"], told["sub"]) == (None, "cookie", "alice")
        assert (await browser.get("/me")).status_code == 401
    async with site(provider, kind, require_local_account=False).open() as browser:
        await come(browser, provider)
        assert (await asking(browser))["kind"] == "ClaimedUser"


async def test_our_own_issuer_names_users_by_id(provider: FakeProvider) -> None:
    here = site(provider, "merge", oauth_issuer=provider.url)
    user = await here.user("alice")
    provider.users[str(user.id)] = {"name": "Alice"}
    async with here.open() as browser:
        await come(browser, provider, "alice")
        assert (await asking(browser))["user"] is None
        await come(browser, provider, str(user.id))
        assert (await asking(browser))["user"] == "alice"


async def test_accounts_are_found_by_the_fields_that_the_application_names(provider: FakeProvider) -> None:
    here = site(provider, "merge", user_match_field="email", id_token_match_field="email")
    await here.user("wonder", email="alice@example.com", email_verified_at=verified())
    async with here.open() as browser:
        await come(browser, provider)
        assert (await asking(browser))["user"] == "wonder"


async def test_what_becomes_of_the_account_counts_at_once(provider: FakeProvider) -> None:
    here = site(provider, "merge")
    user = await here.linked()
    async with here.open() as browser:
        await come(browser, provider)
        assert (await browser.get("/me")).status_code == 200
        await here.users.update_user({"id": user.id, "state": "disabled"})
        assert (await browser.get("/me")).status_code == 401
        await here.users.update_user({"id": user.id, "state": "active"})
        assert (await browser.get("/me")).status_code == 200
        await here.identities.unlink(here.issuer, "alice", user.id)
        assert (await browser.get("/me")).status_code == 401


async def test_a_function_of_the_applications_makes_the_user(provider: FakeProvider) -> None:
    async def make(id_token: dict[str, Any], *more: Any) -> User | None:
        return User(id=7, username=f"own {id_token['sub']}") if id_token["sub"] == "alice" else None

    async with site(provider, "custom", user_creation_fn=make).open() as browser:
        await come(browser, provider)
        assert (await asking(browser))["user"] == "own alice"
        await come(browser, provider, "bob")
        assert (await asking(browser))["user"] is None


@pytest.mark.parametrize("wrong", [RuntimeError("no"), "text", True, CrossauthError(ErrorCode.Forbidden)])
async def test_one_that_fails_refuses_and_leaves_the_rest_alone(provider: FakeProvider, wrong: Any) -> None:
    def make(*args: Any) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    async with site(provider, "custom", user_creation_fn=make).open() as browser:
        await come(browser, provider)
        assert (await browser.get("/welcome")).status_code == 200
        assert (await browser.get("/me")).status_code in (403, 500)
        assert (await asking(browser))["user"] is None


async def test_the_user_ends_with_the_tokens(provider: FakeProvider) -> None:
    async with site(provider, api_delete_tokens_post_url="api/deletetokens").open() as browser:
        await come(browser, provider)
        assert (await browser.call("/api/deletetokens")).status_code == 200
        assert await asking(browser) == ANONYMOUS


async def test_an_id_token_ends_unless_it_can_be_renewed(provider: FakeProvider) -> None:
    for renewed, left in ((False, None), (True, "alice")):
        provider.settings.refresh_tokens = renewed
        here = site(provider)
        async with here.open() as browser:
            await come(browser, provider)
            here.later(seconds=299)
            assert (await asking(browser))["user"] == "alice"
            here.later(seconds=10)
            assert (await asking(browser))["user"] == left


async def test_without_openid_nobody_is_known(provider: FakeProvider) -> None:
    async with site(provider, valid_flows=["authorizationCode"]).open() as browser:
        await come(browser, provider, scope="api")
        assert await asking(browser) == ANONYMOUS


async def test_a_storage_that_is_away_is_503_and_recovers(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(provider, "merge")
    await here.linked()
    async with here.open() as browser:
        await come(browser, provider)
        with monkeypatch.context() as broken:

            async def away(*args: Any) -> Any:
                raise CrossauthError(ErrorCode.Connection, status=503)

            broken.setattr(here.identities, "find", away)
            assert (await browser.get("/me")).status_code == 503
        assert (await browser.get("/me")).status_code == 200


async def test_an_account_of_another_storage_than_the_session_servers(provider: FakeProvider) -> None:
    other = InMemoryUserStorage()
    await other.create_user({"username": "elsewhere", "state": "active", "factor1": ""})
    here = site(provider, "merge", user_storage=other)
    await here.identities.link(here.issuer, "alice", 1)
    async with here.open() as browser:
        await browser.sign_up("bob")
        await browser.call("/api/logout")
        await come(browser, provider)
        assert (await asking(browser))["user"] == "elsewhere"


async def test_two_browsers_are_two_users(provider: FakeProvider) -> None:
    async with site(provider).open() as one, Visitor(str(one.base_url)) as two:
        await come(one, provider, "alice")
        await come(two, provider, "bob")
        assert [(await asking(browser))["user"] for browser in (one, two)] == ["alice", "bob"]
