"""Whether an address is verified is stored as a date of its own, and is not guessed from the state of the account."""

from typing import Any

import pytest

from crossauth_backend import InMemoryKeyStorage, SqlAlchemyUserStorage, User, UserState, open_engine
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from tests.accounts import World, storages
from tests.contracts.test_own_tables import create, customer
from tests.fastapi_users.test_core import lifespan_of
from tests.support import make_server

EMAIL = "alice@example.com"
NEW: dict[str, Any] = {"email": EMAIL, "hashed_password": "x"}


async def stored(world: World) -> User:
    """The user as the session server sees it."""
    return (
        await world.users.get_user_by("username", EMAIL, {"skip_active_check": True, "skip_email_verified_check": True})
    ).user


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest) -> World:
    return World(**storages(request, request.param), enable_email_verification=True)


async def test_verifying_an_address_stores_when_and_taking_it_back_forgets_it(world: World) -> None:
    """So that `require(verified=True)` and the session server know of it, too."""
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create(NEW)
        assert (await stored(world)).email_verified_at is None
        user = await database.update(user, {"is_verified": True})
        first = (await stored(world)).email_verified_at
        assert first is not None
        assert user.is_verified
        world.later(hours=1)
        user = await database.update(user, {"is_verified": True, "is_superuser": False})
        assert (await stored(world)).email_verified_at == first, "it was verified then, and not now"
        user = await database.update(user, {"is_verified": False})
        assert not user.is_verified
        assert (await stored(world)).email_verified_at is None


async def test_who_was_verified_still_is_after_having_been_disabled(world: World) -> None:
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create({**NEW, "is_verified": True})
        assert (await stored(world)).email_verified_at is not None
        user = await database.update(user, {"is_active": False})
        assert (user.is_active, user.is_verified) == (False, True)
        user = await database.update(user, {"is_active": True})
        assert (user.is_active, user.is_verified) == (True, True)
        assert (await stored(world)).state == UserState.active


async def test_an_active_account_whose_address_nobody_verified_is_not_verified(world: World) -> None:
    """Such as one that an administrator made, or one from before addresses were verified."""
    async with lifespan_of(world):
        fields = {"username": EMAIL, "email": EMAIL, "state": "active", "factor1": "localpassword"}
        await world.users.create_user(fields, {"password": "x"})
        database = CrossauthUserDatabase(world.manager)
        user = await database.get_by_email(EMAIL)
        assert user is not None
        assert (user.is_active, user.is_verified) == (True, False)
        assert (await database.update(user, {"is_verified": True})).is_verified


async def test_another_address_is_verified_only_if_that_is_said(world: World) -> None:
    async with lifespan_of(world):
        database = CrossauthUserDatabase(world.manager)
        user = await database.create({**NEW, "is_verified": True})
        moved = await database.update(user, {"email": "b@example.com", "is_verified": True})
        assert moved.is_verified
        again = await database.update(moved, {"email": "c@example.com"})
        assert not again.is_verified


async def test_a_table_without_a_place_for_the_date_goes_by_the_state(sqlite_url: str) -> None:
    engine, table = open_engine(sqlite_url), customer()
    await create(engine, table)
    users = SqlAlchemyUserStorage(engine, {"table": table, "user_editable_fields": ["email"]})
    options = {
        "enable_email_verification": True,
        "site_url": "http://localhost",
        "smtp_host": "localhost",
        "email_from": "a@b.example",
    }
    session_server = make_server(users, InMemoryKeyStorage(), **options).session_server
    assert session_server is not None
    database = CrossauthUserDatabase(session_server.session_manager)
    user = await database.create(NEW)
    assert not user.is_verified
    assert (await database.update(user, {"is_verified": True})).is_verified
    await users.close()
