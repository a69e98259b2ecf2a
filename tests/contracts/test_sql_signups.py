"""Unfinished sign-ups in an SQL database: the table of an earlier version, and a table of the application's own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    SqlAlchemyUserStorage,
    UserState,
    open_engine,
)
from crossauth_backend.accounts.purge import purge_signups
from crossauth_backend.accounts.signup_names import throw_away
from crossauth_backend.core.clock import utc_now
from tests.accounts import NEW, Browser, World, name_of
from tests.contracts.old_tables import make_tables
from tests.support import PASSWORD

ANY: Any = {"skip_active_check": True, "skip_email_verified_check": True}
USER = {"state": "active", "factor1": "localpassword"}
WAITS = UserState.awaiting_email_verification
# The schema of the version before, by its own migrations.
ROWS = (
    (1, "alice", "alice", "Rene@Example.com", "rene@example.com", "active"),
    (2, "rené", "rene", "René@example.com", "rene@exampl2.com", "active"),
    (3, "thief", "thief", "owner@example.com", "owner@example.com", WAITS),
    (4, "half", "half", "half@example.com", "half@example.com", UserState.awaiting_two_factor_setup),
    (5, "asis", "asis", "AsIs@example.com", None, "active"),
    (6, "nobody", "nobody", None, None, "disabled"),
)


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(request.getfixturevalue(f"{request.param}_url"))
    yield engine
    await engine.dispose()


async def make_old(engine: AsyncEngine) -> None:
    """The tables as the version before this one left them, with some users."""
    async with engine.begin() as connection:
        await make_tables(connection, "0003")
        insert = (
            'INSERT INTO "User" (id, username, username_normalized, email, email_normalized, state, factor1, admin) '
        )
        for row in ROWS:
            await connection.execute(
                sa.text(insert + "VALUES (:a, :b, :c, :d, :e, :f, 'localpassword', false)"),
                dict(zip("abcdef", row, strict=True)),
            )
        if engine.dialect.name == "postgresql":
            await connection.execute(sa.text("""SELECT setval(pg_get_serial_sequence('"User"', 'id'), 10)"""))


async def test_the_table_of_an_earlier_version_gives_back_what_nobody_has_verified(engine: AsyncEngine) -> None:
    await make_old(engine)
    users = SqlAlchemyUserStorage(engine)
    for _ in range(2):
        await users.start()
    found = {user.id: (user.email, user.email_normalized) for user in await users.get_users()}
    assert found == {
        1: ("Rene@Example.com", "rene@example.com"), 2: ("René@example.com", "rené@example.com"),
        3: ("owner@example.com", None), 4: ("half@example.com", None), 5: ("AsIs@example.com", "AsIs@example.com"),
        6: (None, None),
    }  # fmt: skip
    for email, state in (("owner@example.com", "active"), ("owner@example.com", WAITS), ("half@example.com", WAITS)):
        await users.create_user({**USER, "username": f"new {email} {state}", "email": email, "state": state})
    with pytest.raises(CrossauthError) as refused:
        await users.update_user({"id": 3, "state": "active"})
    assert refused.value.code is ErrorCode.UserExists
    await users.update_user({"id": 4, "state": "active"})
    assert (await users.get_user_by_email("HALF@example.com")).user.id == 4
    assert not (await users.get_user_by_id(3, ANY)).user.signup_expires, "what is from before is not thrown away"
    with pytest.raises(CrossauthError):
        await users.create_user({**USER, "username": "ALICE"})


async def test_a_version_before_this_one_goes_on_beside_it(engine: AsyncEngine) -> None:
    """It knows nothing of the new column, writes `email_normalized` itself, and is understood."""
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    insert = 'INSERT INTO "User" (username, username_normalized, email, email_normalized, state, factor1, admin) '
    async with engine.begin() as connection:
        await connection.execute(sa.text(
            insert + f"VALUES ('old', 'old', 'a@example.com', 'a@example.com', '{WAITS}', 'localpassword', false)"
        ))  # fmt: skip
    (old,) = await users.get_users()
    await users.update_user({"id": old.id, "state": WAITS})
    assert (await users.get_user_by_id(old.id, ANY)).user.email_normalized is None
    await users.create_user({**USER, "username": "owner", "email": "a@example.com"})


@pytest.mark.parametrize("normalize", [True, False])
async def test_addresses_that_are_compared_as_they_are(engine: AsyncEngine, normalize: bool) -> None:
    users = SqlAlchemyUserStorage(engine, {"normalize_email": normalize})
    waiting = [
        await users.create_user({**USER, "username": f"u{n}", "email": "A@example.com", "state": WAITS})
        for n in range(2)
    ]
    await users.update_user({"id": waiting[0].id, "state": "active"})
    with pytest.raises(CrossauthError):
        await users.update_user({"id": waiting[1].id, "state": "active"})
    assert (await users.get_user_by_email("A@example.com")).user.id == waiting[0].id
    other = {**USER, "username": "other", "email": "a@example.com"}
    if normalize:
        with pytest.raises(CrossauthError):
            await users.create_user(other)
    else:
        assert (await users.create_user(other)).email_normalized == "a@example.com"


@pytest.mark.parametrize("normalize", [True, False])
async def test_in_an_own_table_with_unique_addresses_the_unfinished_gives_way(
    engine: AsyncEngine, normalize: bool
) -> None:
    """It loses the address, and a sign-up with an owner's address makes an account without one; the answers are the same."""
    table = sa.Table(
        "person", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("username", sa.String(100), unique=True), sa.Column("username_normalized", sa.String(200), unique=True),
        sa.Column("email", sa.String(200), unique=True), sa.Column("state", sa.String(60)),
        sa.Column("factor1", sa.String(60)), sa.Column("factor2", sa.String(60)), sa.Column("admin", sa.Boolean),
        *([sa.Column("email_normalized", sa.String(200), unique=True)] if normalize else []),
    )  # fmt: skip
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
    await engine.dispose()
    options: Any = {"table": table, "user_editable_fields": ["email"], "normalize_email": normalize}
    asked = {"enable_email_verification": True, "allowed_factor2": ["none", "totp", "email"]}
    world = World(SqlAlchemyUserStorage(engine, options), InMemoryKeyStorage(), **asked)
    email = "owner@example.com"

    def walk() -> None:
        with world.open() as url, Browser(url) as thief, Browser(url) as owner:
            thief.sign_up("thief", user_email=email, factor2="none")
            half = thief.link(email)
            owner.sign_up("owner", user_email=email, factor2="none")
            assert owner.call(f"/api{owner.link(email)}").json()["verified"] is True
            assert owner.who() == "owner"
            assert name_of(thief.call(f"/api{half}")) in ("InvalidKey", "UserExists")
            fresh = thief.sign_up("fresh", NEW, user_email="fresh@example.com", factor2="none")
            known = thief.sign_up("known", NEW, user_email=email, factor2="none")
            assert (known.status_code, known.json() | {"csrfToken": ""}) == (200, fresh.json() | {"csrfToken": ""})
            assert owner.mail(email)[0]["subject"] == "You already have an account at localhost"
            for name in ("fresh", "known", "thief"):
                assert name_of(thief.log_in(name, PASSWORD if name == "thief" else NEW)) == "EmailNotVerified"
            # Whose address was given away can sign up again with it, and with another.
            assert thief.sign_up("thief", user_email="thief@example.com", factor2="none").status_code == 200

    await asyncio.to_thread(walk)


async def test_sign_ups_that_rows_refer_to_do_not_hold_the_purge_up(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """However many there are; one line in the log says how many stay."""
    users = SqlAlchemyUserStorage(engine)
    world = World(users, InMemoryKeyStorage(), enable_email_verification=True)
    await users.start()
    expires = utc_now() - timedelta(days=2)
    ids = [
        (await users.create_user({**USER, "username": f"u{n}", "state": WAITS, "signup_expires": expires})).id
        for n in range(12)
    ]
    await refer(engine, ids[:8])
    accounts = world.manager.accounts()
    caplog.clear()
    assert await purge_signups(accounts, batch=3) == 4
    assert [u.id for u in await users.get_users()] == ids[:8]
    assert [r.getMessage()[:19] for r in caplog.records if r.name.startswith("crossauth")] == ["8 sign-ups whose ti"]
    with pytest.raises(CrossauthError) as refused:
        await users.delete_expired_signup(ids[0], utc_now())
    assert refused.value.code is ErrorCode.ConstraintViolation
    async with engine.begin() as connection:
        await connection.exec_driver_sql('DELETE FROM "orders" WHERE owner < 5')
    assert await purge_signups(accounts, batch=100) == 4


async def refer(engine: AsyncEngine, ids: Any) -> None:
    """Rows of the application's that refer to users."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql('CREATE TABLE IF NOT EXISTS "orders" (owner INTEGER REFERENCES "User" (id))')
        for id in ids:
            await connection.exec_driver_sql(f'INSERT INTO "orders" VALUES ({id})')


async def test_the_hook_clears_away_what_belongs_to_a_sign_up_before_it_is_deleted(engine: AsyncEngine) -> None:
    """In the purge, and when its name is taken again; never for an account, nor for a sign-up whose time is not up."""
    users = SqlAlchemyUserStorage(engine)
    asked: list[str] = []

    async def clear(user: Any) -> None:
        asked.append(user.username)
        if user.username == "kept":
            raise RuntimeError("there is an order on its way")
        async with engine.begin() as connection:
            await connection.execute(sa.text('DELETE FROM "orders" WHERE owner = :id'), {"id": user.id})

    world = World(users, InMemoryKeyStorage(), enable_email_verification=True, before_delete_user=clear)
    await users.start()
    late, now = utc_now() - timedelta(days=2), utc_now() + timedelta(days=2)
    ids = {}
    for name, state, expires in (
        ("kept", WAITS, late), ("gone", WAITS, late), ("again", WAITS, late), ("fresh", WAITS, now), ("alice", "active", None),
    ):  # fmt: skip
        user = await users.create_user({**USER, "username": name, "state": state, "signup_expires": expires})
        ids[name] = user.id
    await refer(engine, ids.values())
    accounts = world.manager.accounts()
    assert [await throw_away(accounts, ids[name]) for name in ("again", "alice", "fresh", "kept")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert asked == ["again", "kept"]
    assert await purge_signups(accounts, batch=1) == 1
    assert {u.username for u in await users.get_users()} == {"kept", "fresh", "alice"}


async def test_what_has_expired_is_found_by_an_index(engine: AsyncEngine) -> None:
    """Not by a walk over all users."""
    users = SqlAlchemyUserStorage(engine)
    await users.start()
    query = users._signups.query(utc_now(), 100, 7).compile(
        dialect=engine.dialect, compile_kwargs={"literal_binds": True}
    )
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = str((await connection.exec_driver_sql(explain + str(query))).all())
    assert "ix_User_signup_expires" in plan, plan
