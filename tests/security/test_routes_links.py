"""Accounts at providers: who may link one, who is told, and what a reset ends."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage
from tests.fastapi_users.app import SECRET, UserRead
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_providers import Says

LINK = "/link"
ARTHUR = "arthur@camelot.bt"


def open_linking(folder: Path, require: bool | None) -> Iterator[Api]:
    """The application with one provider, to log in by and to link; the users router asks for the old password if `require`."""
    says = Says()
    with open_site(
        folder, key_storage=InMemoryKeyStorage(), require_old_password=require, site_url="http://localhost"
    ) as api:
        app, users = api.site.app, api.site.users
        app.include_router(users.get_oauth_associate_router(says, UserRead, SECRET), prefix=LINK)
        app.include_router(users.get_oauth_router(says, api.site.jwt, SECRET), prefix="/oauth")

        async def told(self: Any, user: Any, oauth_name: str, account_email: str, request: Any = None) -> None:
            self.calls.append(("linked", user.email, f"{oauth_name} {account_email}"))

        api.site.manager.on_after_oauth_link = told  # type: ignore[method-assign]
        api.says = says  # type: ignore[attr-defined]
        api.register()
        says.account = ("9", "mordred@evil.bt")
        yield api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    yield from open_linking(tmp_path, None)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Api]:
    yield from open_linking(tmp_path, True)


def go_on(api: Api, begun: Any, path: str, header: dict[str, str]) -> Any:
    """Come back from the provider."""
    state = begun.json()["authorization_url"].partition("state=")[2].partition("&")[0]
    cookie = begun.headers["set-cookie"].partition(";")[0]
    return api.get(f"{path}/callback", params={"code": "c", "state": state}, headers={**header, "Cookie": cookie})


def reset(api: Api, password: str = "lancelot") -> None:
    api.post("/auth/forgot-password", json={"email": ARTHUR})
    body = {"token": api.token("forgot"), "password": password}
    assert api.post("/auth/reset-password", json=body).status_code == 200


def by_provider(api: Api) -> Any:
    return go_on(api, api.get("/oauth/authorize"), "/oauth", {})


def test_linking_asks_for_the_old_password_where_a_new_one_does(strict: Api) -> None:
    """A stolen token links nothing; the password does, and is counted."""
    header = strict.bearer()
    for answer in (
        strict.get(f"{LINK}/authorize", headers=header),
        strict.post(f"{LINK}/authorize", headers=header, json={}),
        strict.post(f"{LINK}/authorize", headers=header, json={"old_password": "wrong"}),
    ):
        assert (answer.status_code, detail(answer)) == (400, "UPDATE_USER_OLD_PASSWORD_INVALID")
    assert strict.post(f"{LINK}/authorize", json={"old_password": "guinevere"}).status_code == 401
    begun = strict.post(f"{LINK}/authorize", headers=header, json={"old_password": "guinevere"})
    assert go_on(strict, begun, LINK, header).status_code == 200
    guesses = [strict.post(f"{LINK}/authorize", headers=header, json={"old_password": "x"}) for _ in range(20)]
    assert guesses[-1].status_code == 429


def test_the_user_is_told_of_a_linked_account(api: Api) -> None:
    header = api.bearer()
    assert go_on(api, api.get(f"{LINK}/authorize", headers=header), LINK, header).status_code == 200
    assert api.token("linked") == "plain mordred@evil.bt"
    again = go_on(api, api.get(f"{LINK}/authorize", headers=header), LINK, header)
    assert again.status_code == 200
    assert len([call for call in api.site.calls if call[0] == "linked"]) == 1, "only when it is new"


def test_a_reset_ends_what_was_linked_by_a_login_alone(api: Api) -> None:
    """The thief of a token links an account; the owner, whose address is proven, resets."""
    api.set(is_verified=1)
    header = api.bearer()
    assert go_on(api, api.get(f"{LINK}/authorize", headers=header), LINK, header).status_code == 200
    assert by_provider(api).status_code == 200
    reset(api)
    thief = by_provider(api)
    assert thief.status_code == 200, "as a new user of the account's own address"
    token = {"Authorization": f"Bearer {thief.json()['access_token']}"}
    assert api.get("/users/me", headers=token).json()["email"] == "mordred@evil.bt"


@pytest.mark.parametrize("own", [True, False])
def test_an_account_that_was_linked_with_the_owners_password_survives_a_reset(strict: Api, own: bool) -> None:
    """It was chosen by a link in a mail. One that was chosen at registration may be a stranger's, verified or not."""
    strict.set(is_verified=1)
    if own:
        reset(strict, "guinevere")
    header = strict.bearer()
    begun = strict.post(f"{LINK}/authorize", headers=header, json={"old_password": "guinevere"})
    assert go_on(strict, begun, LINK, header).status_code == 200
    reset(strict)
    token = {"Authorization": f"Bearer {by_provider(strict).json()['access_token']}"}
    assert (strict.get("/users/me", headers=token).json()["email"] == ARTHUR) is own


def test_a_flow_to_link_is_over_when_the_password_changes(api: Api) -> None:
    header = api.cookie_login()
    begun = api.get(f"{LINK}/authorize", headers=header)
    assert api.patch("/users/me", headers=header, json={"password": "merlin"}).status_code == 200
    cookies = f"{header['Cookie']}; {begun.headers['set-cookie'].partition(';')[0]}"
    state = begun.json()["authorization_url"].partition("state=")[2].partition("&")[0]
    late = api.get(f"{LINK}/callback", params={"code": "c", "state": state}, headers={"Cookie": cookies})
    assert (late.status_code, detail(late)) == (400, "OAUTH_INVALID_STATE")


def test_two_flows_in_one_browser_both_come_back(api: Api) -> None:
    """Two tabs: whichever comes back first leaves the other as it is, and none comes back twice."""
    jar = ""
    states = []
    for _ in range(2):
        begun = api.get("/oauth/authorize", headers={"Cookie": jar})
        jar = begun.headers["set-cookie"].partition(";")[0]
        states.append(begun.json()["authorization_url"].partition("state=")[2].partition("&")[0])
    for state in states:
        answer = api.get("/oauth/callback", params={"code": "c", "state": state}, headers={"Cookie": jar})
        assert answer.status_code == 200, answer.text
        before = jar
        jar = next(c for c in answer.headers.get_list("set-cookie") if "csrf" in c).partition(";")[0]
        again = api.get("/oauth/callback", params={"code": "c", "state": state}, headers={"Cookie": before})
        assert detail(again) == "OAUTH_INVALID_STATE"
    assert jar.endswith('=""')
    for _ in range(9):
        begun = api.get("/oauth/authorize", headers={"Cookie": jar})
        jar = begun.headers["set-cookie"].partition(";")[0]
    assert len(jar) < 250, "however many are begun"


def test_what_the_database_refuses_of_an_account_at_a_provider_is_a_conflict(api: Api, tmp_path: Path) -> None:
    """One account of each provider for a user; and rows that refer to an account. Front ends are told by the redirect."""
    router = api.site.users.get_oauth_router(api.says, api.site.cookie, SECRET, login_redirect_url="/front")  # type: ignore[attr-defined]
    api.site.app.include_router(router, prefix="/front")
    api.sql("CREATE UNIQUE INDEX one_of_each ON oauth_account (user_id, oauth_name)")
    header = api.bearer()
    assert go_on(api, api.get(f"{LINK}/authorize", headers=header), LINK, header).status_code == 200
    api.says.account = ("10", "mordred@evil.bt")  # type: ignore[attr-defined]
    again = go_on(api, api.get(f"{LINK}/authorize", headers=header), LINK, header)
    assert (again.status_code, detail(again)) == (409, "CONSTRAINT_VIOLATED")
    api.sql("CREATE TRIGGER kept BEFORE DELETE ON oauth_account BEGIN SELECT RAISE(ABORT, 'kept'); END")
    unlinked = api.delete(f"{LINK}/linked/9", headers=header)
    assert (unlinked.status_code, detail(unlinked)) == (409, "CONSTRAINT_VIOLATED")
    api.sql("CREATE TRIGGER full BEFORE INSERT ON oauth_account BEGIN SELECT RAISE(ABORT, 'full'); END")
    answer = go_on(api, api.get("/oauth/authorize"), "/oauth", {})
    assert (answer.status_code, detail(answer)) == (409, "CONSTRAINT_VIOLATED")
    answer = go_on(api, api.get("/front/authorize"), "/front", {})
    assert (answer.status_code, answer.headers["location"]) == (303, "/front?error=CONSTRAINT_VIOLATED")
    api.sql("CREATE TRIGGER out BEFORE INSERT ON accesstoken BEGIN SELECT RAISE(ABORT, 'out'); END")
    answer = api.log_in(by="cookie")
    assert (answer.status_code, detail(answer)) == (409, "CONSTRAINT_VIOLATED")


STRANGER = "a stranger's"


@pytest.fixture(params=[None, True])
def merging(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Api]:
    """The application with two providers that link by address."""
    says, second = Says(), Says()
    second.name = "second"
    with open_site(tmp_path, key_storage=InMemoryKeyStorage(), site_url="http://localhost") as api:
        for client in (says, second):
            users = api.site.users
            router = users.get_oauth_router(client, api.site.jwt, SECRET, associate_by_email=request.param)
            api.site.app.include_router(router, prefix=f"/{client.name}")
            link = users.get_oauth_associate_router(client, UserRead, SECRET, require_old_password=request.param)
            api.site.app.include_router(link, prefix=f"/{client.name}/link")
            client.proves(ARTHUR)
        api.says, api.second = says, second  # type: ignore[attr-defined]
        yield api


def merge(api: Api, client: Says) -> dict[str, str]:
    answer = go_on(api, api.get(f"/{client.name}/authorize"), f"/{client.name}", {})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def verify(api: Api, email: str = ARTHUR) -> None:
    api.post("/auth/request-verify-token", json={"email": email})
    assert api.post("/auth/verify", json={"token": api.token("request_verify")}).status_code == 200


def link(api: Api, client: Says, password: str, header: dict[str, str]) -> None:
    begun = api.post(f"/{client.name}/link/authorize", json={"old_password": password}, headers=header)
    assert go_on(api, begun, f"/{client.name}/link", header).status_code == 200


def test_a_stranger_who_registered_the_address_first_keeps_nothing(merging: Api) -> None:
    """Although its owner has pressed the link that verified it, and then comes by a provider."""
    api = merging
    api.register(password=STRANGER)
    his, hers = api.bearer(password=STRANGER), api.second  # type: ignore[attr-defined]
    hers.account = ("mordred", "mordred@evil.bt")
    link(api, hers, STRANGER, his)
    verify(api)
    cookie = api.cookie_login(password=STRANGER)
    owner = merge(api, api.says)  # type: ignore[attr-defined]
    for header in (his, cookie):
        assert api.get("/hello", headers=header).status_code == 401
    assert detail(api.log_in(password=STRANGER)) == "LOGIN_BAD_CREDENTIALS"
    me = api.get("/users/me", headers=owner).json()
    assert [(a["oauth_name"], a["account_email"]) for a in me["oauth_accounts"]] == [("plain", ARTHUR)]
    hers.proves("mordred@evil.bt", "mordred")
    assert api.get("/users/me", headers=merge(api, hers)).json()["id"] != me["id"]


def test_a_stranger_who_moved_an_account_to_the_address_keeps_nothing_either(merging: Api) -> None:
    """What was known of the password was known for another mailbox."""
    api = merging
    api.register("mordred@evil.bt", STRANGER)
    api.post("/auth/forgot-password", json={"email": "mordred@evil.bt"})
    assert api.post("/auth/reset-password", json={"token": api.token("forgot"), "password": "again"}).status_code == 200
    header = api.bearer("mordred@evil.bt", "again")
    assert api.patch("/users/me", headers=header, json={"email": ARTHUR}).status_code == 200
    verify(api)
    merge(api, api.says)  # type: ignore[attr-defined]
    assert detail(api.log_in(password="again")) == "LOGIN_BAD_CREDENTIALS"
    assert api.get("/hello", headers=header).status_code == 401


def test_a_password_that_was_set_by_a_link_in_a_mail_is_the_owners(merging: Api) -> None:
    """It stays, with the logins and whatever else is linked, as it did when it was chosen by mail after a provider."""
    api = merging
    api.register(password=STRANGER)
    verify(api)
    reset(api, "lancelot")
    header = api.bearer(password="lancelot")
    merge(api, api.says)  # type: ignore[attr-defined]
    merge(api, api.second)  # type: ignore[attr-defined]
    assert api.get("/hello", headers=header).status_code == 200
    assert api.log_in(password="lancelot").status_code == 200
    assert len(api.get("/users/me", headers=header).json()["oauth_accounts"]) == 2


def test_an_account_that_was_taken_over_once_is_not_taken_over_again(merging: Api) -> None:
    """The second provider ends no login, and both providers go on."""
    api = merging
    api.register()
    verify(api)
    header = merge(api, api.says)  # type: ignore[attr-defined]
    for client in (api.second, api.says, api.second):  # type: ignore[attr-defined]
        merge(api, client)
        assert api.get("/hello", headers=header).status_code == 200
    reset(api, "lancelot")
    assert api.log_in(password="lancelot").status_code == 200


def test_what_is_known_of_a_password_goes_with_the_user(tmp_path: Path) -> None:
    """A later user may have the same id and the same address."""
    keys = InMemoryKeyStorage()
    with open_site(tmp_path, key_storage=keys) as api:
        me = api.register().json()["id"]
        reset(api)
        assert [key.value[:3] for key in asyncio.run(keys.get_all_for_user(uuid.UUID(me)))] == ["pw:"]
        assert api.delete(f"/users/{me}", headers=api.superuser()).status_code == 204
        assert asyncio.run(keys.get_all_for_user(uuid.UUID(me))) == []
