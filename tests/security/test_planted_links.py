"""Accounts at providers that somebody linked to another's address, before or after its owner came: none outlives a reset of the
password, or the owner's own provider."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage
from crossauth_fastapi.fastapi_users.db import SQLAlchemyUserDatabase
from tests.fastapi_users.app import SECRET, UserRead
from tests.fastapi_users.conftest import Api, detail, open_site
from tests.fastapi_users.test_providers import Says
from tests.security.test_routes_links import ARTHUR, STRANGER, go_on, link, reset, verify

EVIL = "mordred@evil.bt"


@contextmanager
def open_providers(folder: Path, require: bool | None = True, **options: Any) -> Iterator[Api]:
    """The application with two providers: `good` says what is verified, `lax` lets people type any address."""
    good, lax = Says(), Says()
    good.name, lax.name = "good", "lax"
    with open_site(
        folder, key_storage=InMemoryKeyStorage(), require_old_password=require, site_url="http://localhost"
    ) as api:
        for client in (good, lax):
            users = api.site.users
            login = users.get_oauth_router(client, api.site.jwt, SECRET, **options)
            api.site.app.include_router(login, prefix=f"/{client.name}")
            linking = users.get_oauth_associate_router(client, UserRead, SECRET, require_old_password=True)
            api.site.app.include_router(linking, prefix=f"/{client.name}/link")
        good.proves(ARTHUR)
        lax.account, lax.profile = ("evil", ARTHUR), {"email": ARTHUR, "email_verified": False}
        api.good, api.lax = good, lax  # type: ignore[attr-defined]
        yield api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with open_providers(tmp_path) as api:
        yield api


def enter(api: Api, provider: str) -> Any:
    """Log in by a provider."""
    return go_on(api, api.get(f"/{provider}/authorize"), f"/{provider}", {})


def who(api: Api, provider: str) -> str | None:
    """Whom the account at a provider logs in as; `None` where it is refused."""
    answer = enter(api, provider)
    if answer.status_code != 200:
        return None
    header = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return str(api.get("/users/me", headers=header).json()["email"])


def plant(api: Api, how: str) -> None:
    """Mordred gets Arthur's address, which is not verified, and an account of his own linked to it."""
    lax = api.lax  # type: ignore[attr-defined]
    if how == "signed up by the provider":
        assert enter(api, "lax").status_code == 200
        return
    if how == "by an account of another address":
        lax.account = ("evil", EVIL)
    api.register(password=STRANGER)
    link(api, lax, STRANGER, api.bearer(password=STRANGER))


HOW = ["by an account of that address", "by an account of another address", "signed up by the provider"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("order", ["verify reset", "reset verify", "reset", "verify provider", "verify reset provider"])
def test_an_account_that_was_linked_before_the_owner_came_is_unlinked(api: Api, how: str, order: str) -> None:
    """Registered, linked with the password, and waiting: in whatever order the owner verifies, resets, or comes by a provider."""
    plant(api, how)
    for step in order.split():
        if step == "verify":
            verify(api)
        elif step == "reset":
            reset(api)
        else:
            assert who(api, "good") == ARTHUR
    assert who(api, "lax") != ARTHUR
    if "reset" in order:
        header = api.bearer(password="lancelot")
        accounts = api.get("/users/me", headers=header).json()["oauth_accounts"]
        assert [a["oauth_name"] for a in accounts] == (["good"] if "provider" in order else [])


def test_an_account_that_was_linked_after_the_owner_verified_is_unlinked_too(api: Api) -> None:
    """The address is verified, and the password is still the stranger's."""
    api.register(password=STRANGER)
    verify(api)
    api.lax.account = ("evil", EVIL)  # type: ignore[attr-defined]
    link(api, api.lax, STRANGER, api.bearer(password=STRANGER))  # type: ignore[attr-defined]
    assert who(api, "lax") == ARTHUR
    reset(api)
    assert who(api, "lax") != ARTHUR


def test_what_a_provider_says_is_proof_for_the_address_it_is_about(api: Api) -> None:
    """Mordred's own account is verified, and then his user moves to Arthur's address."""
    lax = api.lax  # type: ignore[attr-defined]
    lax.proves(EVIL, "evil")
    api.register(EVIL, STRANGER)
    header = api.bearer(EVIL, STRANGER)
    link(api, lax, STRANGER, header)
    moved = api.patch("/users/me", headers=header, json={"email": ARTHUR, "old_password": STRANGER})
    assert moved.status_code == 200, moved.text
    verify(api)
    assert who(api, "lax") == ARTHUR
    reset(api)
    assert who(api, "lax") != ARTHUR


def test_an_account_that_the_provider_verified_stays(api: Api) -> None:
    """It is the owner's whoever registered, and whether or not the user is verified here."""
    assert who(api, "good") == ARTHUR
    for password in ("lancelot", "galahad"):
        reset(api, password)
        accounts = api.get("/users/me", headers=api.bearer(password=password)).json()["oauth_accounts"]
        assert [a["oauth_name"] for a in accounts] == ["good"]
        assert who(api, "good") == ARTHUR
        if password == "lancelot":
            verify(api)


def test_a_thief_who_may_change_the_password_proves_nothing_by_giving_it(tmp_path: Path) -> None:
    """Where the old password is asked for a link and not for a new password, a stolen login can give one all the same."""
    with open_providers(tmp_path, require=None) as api:
        api.register()
        reset(api, "lancelot")
        stolen = api.bearer(password="lancelot")
        assert api.patch("/users/me", headers=stolen, json={"password": STRANGER}).status_code == 200
        api.lax.account = ("evil", EVIL)  # type: ignore[attr-defined]
        link(api, api.lax, STRANGER, api.bearer(password=STRANGER))  # type: ignore[attr-defined]
        assert who(api, "lax") == ARTHUR
        reset(api)
        assert who(api, "lax") != ARTHUR


def test_a_proof_is_forgotten_with_its_link(tmp_path: Path) -> None:
    """What was linked with the owner's own password, and is gone, is not proven when a thief links it again."""
    with open_providers(tmp_path, require=None) as api:
        api.register()
        reset(api, "lancelot")
        stolen = api.bearer(password="lancelot")
        api.lax.account = ("evil", EVIL)  # type: ignore[attr-defined]
        link(api, api.lax, "lancelot", stolen)  # type: ignore[attr-defined]
        api.sql("DELETE FROM oauth_account")
        assert api.patch("/users/me", headers=stolen, json={"password": STRANGER}).status_code == 200
        link(api, api.lax, STRANGER, api.bearer(password=STRANGER))  # type: ignore[attr-defined]
        reset(api)
        assert who(api, "lax") != ARTHUR


class Plain(SQLAlchemyUserDatabase[Any, Any]):
    """A database of an application's own that has the documented methods and no others."""

    remove_oauth_account = None  # type: ignore[assignment]


@pytest.mark.parametrize("order", ["reset", "verify provider"])
@pytest.mark.parametrize("obstacle", ["no method", "a row that refers to it"])
def test_a_database_that_cannot_unlink_unlinks_all_the_same(api: Api, order: str, obstacle: str) -> None:
    """The row stays, under an id that no account has."""
    plant(api, "by an account of that address")
    if obstacle == "no method":
        _without_unlinking(api)
    else:
        api.sql("CREATE TRIGGER kept BEFORE DELETE ON oauth_account BEGIN SELECT RAISE(ABORT, 'kept'); END")
    if order == "reset":
        reset(api)
    else:
        verify(api)
        assert who(api, "good") == ARTHUR
    assert who(api, "lax") != ARTHUR
    rows = api.sql(
        "SELECT account_id, access_token FROM oauth_account WHERE oauth_name = 'lax' AND account_id != 'evil'"
    )
    assert [token for _, token in rows] == [""]


def _without_unlinking(api: Api) -> None:
    make = api.site._manager

    def plain(user_db: Any) -> Any:
        user_db.__class__ = Plain
        return make(user_db)

    api.site._manager = plain  # type: ignore[method-assign]


@pytest.mark.parametrize("linked", [None, "unlinks", "cannot unlink"])
@pytest.mark.parametrize("own", [False, True])
def test_an_account_that_comes_back_after_a_reset_is_not_linked(api: Api, own: bool, linked: str | None) -> None:
    """The provider takes its time, and the owner resets meanwhile; whoever knew the password knew the owner's, or had linked the
    account before."""
    api.register(password=STRANGER)
    if own:
        reset(api, STRANGER)
    if linked is not None:
        api.lax.account = ("evil", EVIL)  # type: ignore[attr-defined]
        link(api, api.lax, STRANGER, api.bearer(password=STRANGER))  # type: ignore[attr-defined]
        api.site.calls.clear()
        api.taken.clear()
    if linked == "cannot unlink":
        _without_unlinking(api)
    header, lax = api.bearer(password=STRANGER), api.lax  # type: ignore[attr-defined]
    begun = api.post("/lax/link/authorize", json={"old_password": STRANGER}, headers=header)
    answer = lax.get_id_email

    async def slow(token: str) -> Any:
        await asyncio.to_thread(reset, api)
        return await answer(token)

    lax.get_id_email = slow
    late = go_on(api, begun, "/lax/link", header)
    lax.get_id_email = answer
    assert (late.status_code, detail(late)) == (400, "OAUTH_INVALID_STATE")
    assert api.sql("SELECT * FROM oauth_account WHERE account_id = 'evil'") == []


def test_a_login_by_the_account_while_the_password_is_replaced_is_over_with_it(api: Api) -> None:
    """A JWT that rested on the new password could not be ended: the account is unlinked before there is one."""
    plant(api, "by an account of that address")
    tokens: list[Any] = []
    replace = api.site.manager._replace

    async def and_log_in(self: Any, *arguments: Any) -> Any:
        changed = await replace(self, *arguments)
        tokens.append(await asyncio.to_thread(enter, api, "lax"))
        return changed

    api.site.manager._replace = and_log_in  # type: ignore[method-assign]
    reset(api)
    assert [detail(answer) for answer in tokens] == ["OAUTH_USER_ALREADY_EXISTS"]
