"""Two requests at once, in the worst order: the second runs from its beginning to its end while the first has read, but not
written."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    BearerTransport,
    JWTStrategy,
    KeyStorageStrategy,
)
from tests.fastapi_users.app import SECRET
from tests.fastapi_users.conftest import Api, detail, open_site

EMAIL = "arthur@camelot.bt"


@pytest.fixture
def api(tmp_path: Any) -> Iterator[Api]:
    keys = InMemoryKeyStorage()
    long = AuthenticationBackend[Any, Any](
        "long", BearerTransport("auth/long/login"), lambda: JWTStrategy(SECRET, 60), refresh_lifetime_seconds=3600
    )
    stored = AuthenticationBackend[Any, Any](
        "stored", BearerTransport("auth/stored/login"), lambda: KeyStorageStrategy(keys, 3600)
    )
    with open_site(tmp_path, more_backends=[long, stored], key_storage=keys) as api:
        api.register()
        yield api


def meanwhile(api: Api, method: str, second: Callable[[Api], Any], after: bool = True) -> list[Any]:
    """Let `second` happen once, when the user manager's `method` has been called (or `after` not: is about to be)."""
    real, answers = getattr(api.site.manager, method), []

    async def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = await real(self, *args, **kwargs) if after else None
        if not answers:
            answers.append(None)
            client = api.another()
            answers[0] = await asyncio.to_thread(second, client)
            client.close()
        return found if after else await real(self, *args, **kwargs)

    setattr(api.site.manager, method, interrupted)
    return answers


def change_password(header: dict[str, str], password: str = "merlin") -> Callable[[Api], Any]:
    return lambda client: client.patch("/users/me", headers=header, json={"password": password})


@pytest.mark.parametrize("by", ["jwt", "cookie", "stored", "long"])
def test_a_login_by_a_password_that_is_just_being_changed(api: Api, by: str) -> None:
    other = meanwhile(api, "authenticate", change_password(api.cookie_login()))
    answer = api.log_in(by=by)
    assert other[0].status_code == 200
    assert (answer.status_code, detail(answer)) == (400, "LOGIN_BAD_CREDENTIALS")
    assert len(api.sql("SELECT * FROM accesstoken")) == 1, "that which asked for the change"
    assert api.get("/auth/sessions", headers=api.bearer(password="merlin")).json()[0]["current"] is False


def test_a_refresh_while_the_password_is_being_changed(api: Api) -> None:
    cookie, login = api.cookie_login(), api.log_in(by="long").json()
    other = meanwhile(api, "get", change_password(cookie))
    answer = api.post("/auth/long/refresh", data={"refresh_token": login["refresh_token"]})
    assert other[0].status_code == 200
    assert (answer.status_code, detail(answer)) == (400, "REFRESH_BAD_TOKEN")


def test_a_thief_who_changes_the_password_while_it_is_reset(api: Api) -> None:
    assert api.post("/auth/forgot-password", json={"email": EMAIL}).status_code == 202
    body = {"token": api.token("forgot"), "password": "lancelot"}
    thief = api.cookie_login()
    other = meanwhile(api, "validate_password", lambda client: client.post("/auth/reset-password", json=body))
    answer = api.patch("/users/me", headers=thief, json={"password": "mordred"})
    assert other[0].status_code == 200
    assert (answer.status_code, detail(answer)) == (409, "UPDATE_USER_CONFLICT")
    assert api.log_in(password="lancelot").status_code == 200
    assert api.log_in(password="mordred").status_code == 400


def test_a_thief_who_changes_the_password_over_and_over(api: Api) -> None:
    """Each change spoils the links to choose a new password, so there may not be so many."""
    thief = api.cookie_login()
    statuses = [api.patch("/users/me", headers=thief, json={"password": f"mordred{n}"}).status_code for n in range(21)]
    assert statuses == [200] * 20 + [429]


def test_an_address_is_proven_while_it_is_changed(api: Api) -> None:
    api.post("/auth/request-verify-token", json={"email": EMAIL})
    token, header = api.token("request_verify"), api.bearer()
    other = meanwhile(
        api, "get_by_email", lambda client: client.patch("/users/me", headers=header, json={"email": "m@bank.com"})
    )
    answer = api.post("/auth/verify", json={"token": token})
    assert other[0].status_code == 200
    assert (answer.status_code, detail(answer)) == (400, "VERIFY_USER_BAD_TOKEN")
    assert api.sql('SELECT email, is_verified FROM "user"') == [("m@bank.com", 0)]


def test_an_address_is_changed_while_it_is_proven(api: Api) -> None:
    api.post("/auth/request-verify-token", json={"email": EMAIL})
    token, header = api.token("request_verify"), api.bearer()
    other = meanwhile(api, "_refuse_taken", lambda client: client.post("/auth/verify", json={"token": token}))
    answer = api.patch("/users/me", headers=header, json={"email": "m@bank.com"})
    assert (other[0].status_code, answer.status_code) == (200, 200)
    assert api.sql('SELECT email, is_verified FROM "user"') == [("m@bank.com", 0)]


@pytest.mark.parametrize("how", ["reset", "change", "delete", "deactivate"])
def test_a_hook_that_fails_leaves_no_login_behind(api: Api, how: str) -> None:
    own, others = api.cookie_login(), [api.cookie_login(), api.bearer(), api.bearer(by="stored")]
    refresh = api.log_in(by="long").json()["refresh_token"]
    me = api.get("/users/me", headers=own).json()["id"]
    boss = api.superuser()

    async def fails(self: Any, *args: Any) -> None:
        raise RuntimeError("no mail today")

    hooks = {"reset": "on_after_reset_password", "delete": "on_after_delete"}
    api.post("/auth/forgot-password", json={"email": EMAIL})
    token = api.token("forgot")
    setattr(api.site.manager, hooks.get(how, "on_after_update"), fails)
    if how == "reset":
        answer = api.post("/auth/reset-password", json={"token": token, "password": "merlin"})
    elif how == "change":
        answer = api.patch("/users/me", headers=own, json={"password": "merlin"})
    elif how == "delete":
        answer = api.delete(f"/users/{me}", headers=boss)
    else:
        answer = api.patch(f"/users/{me}", headers=boss, json={"is_active": False})
    assert answer.status_code == 500
    if how == "deactivate":
        others.pop(1)  # a JWT is refused while its user is inactive, and is good again afterwards
        api.set(is_active=1)
    with api.another() as client:  # the server closes a connection after a 500
        assert [client.get("/hello", headers=header).status_code for header in others] == [401] * len(others)
        assert client.post("/auth/long/refresh", data={"refresh_token": refresh}).status_code == 400


def test_a_hook_that_refuses_a_deletion(api: Api) -> None:
    from fastapi import HTTPException

    async def refuses(self: Any, *args: Any) -> None:
        raise HTTPException(409)

    api.site.manager.on_before_delete = refuses  # type: ignore[attr-defined]
    header = api.cookie_login()
    me = api.get("/users/me", headers=header).json()["id"]
    assert api.delete(f"/users/{me}", headers=api.superuser()).status_code == 409
    assert api.get("/hello", headers=header).status_code == 200, "nothing happened"


def test_one_address_in_two_cases_at_once(api: Api) -> None:
    clients = [api.another() for _ in range(6)]
    for client in clients:
        client.get("/maybe")
    names = ["ann@camelot.bt", "ANN@camelot.bt", "Ann@camelot.bt"] * 2
    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(a.status_code for a in pool.map(lambda c, n: c.register(n), clients, names))
    for client in clients:
        client.close()
    assert statuses == [201] + [400] * 5
    assert len(api.sql('SELECT * FROM "user" WHERE lower(email) = ?', "ann@camelot.bt")) == 1


def test_a_user_who_is_deleted_meanwhile(api: Api) -> None:
    header, boss = api.bearer(), api.superuser()
    me = api.get("/users/me", headers=header).json()["id"]
    other = meanwhile(api, "update", lambda client: client.delete(f"/users/{me}", headers=boss), after=False)
    answer = api.patch("/users/me", headers=header, json={"email": "b@camelot.bt"})
    assert other[0].status_code == 204
    assert answer.status_code in (401, 409), answer.text


def test_a_refresh_that_is_late_for_a_change_of_the_password(api: Api) -> None:
    """It took the token before, and reads the user after everything else has ended."""
    cookie, login = api.cookie_login(), api.log_in(by="long").json()
    other = meanwhile(api, "get", change_password(cookie), after=False)
    answer = api.post("/auth/long/refresh", data={"refresh_token": login["refresh_token"]})
    assert other[0].status_code == 200
    assert (answer.status_code, detail(answer)) == (400, "REFRESH_BAD_TOKEN")


def test_the_login_that_changes_the_password_can_still_be_renewed(api: Api) -> None:
    login = api.log_in(by="long").json()
    header = {"Authorization": f"Bearer {login['access_token']}"}
    assert change_password(header)(api).status_code == 200
    assert api.get("/hello", headers=header).status_code == 401, "the JWT rested on the old password"
    renewed = api.post("/auth/long/refresh", data={"refresh_token": login["refresh_token"]}).json()
    assert api.get("/hello", headers={"Authorization": f"Bearer {renewed['access_token']}"}).status_code == 200
