"""The shipped contract suite of accounts at other issuers, on every storage we have, and what is particular to those in SQL."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    IdentityStorage,
    InMemoryIdentityStorage,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SessionManager,
    SqlAlchemyIdentityStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.accounts.profile import delete_account
from crossauth_backend.testing import IdentityStorageContract
from crossauth_backend.users.identities import handle_of
from tests.support import CHEAP, SECRET

HERE = "https://issuer.example"


class TestMemoryIdentities(IdentityStorageContract):
    @pytest.fixture
    def identities(self) -> IdentityStorage:
        return InMemoryIdentityStorage()


class SqlIdentities(IdentityStorageContract):
    @pytest.fixture
    async def identities(self, url: str) -> AsyncIterator[IdentityStorage]:
        storage = SqlAlchemyIdentityStorage(open_engine(url))
        yield storage
        await storage.close()


class TestSqliteIdentities(SqlIdentities):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestSqliteInMemoryIdentities(SqlIdentities):
    @pytest.fixture
    def url(self) -> str:
        return "sqlite://"


class TestPostgresIdentities(SqlIdentities):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url


async def test_ids_of_another_type_need_a_column_of_that_type() -> None:
    engine = open_engine("sqlite://")
    table = sa.Table(
        "people",
        sa.MetaData(),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("username", sa.String, unique=True),
        sa.Column("username_normalized", sa.String, unique=True),
        sa.Column("state", sa.String),
        sa.Column("factor1", sa.String),
    )
    users = SqlAlchemyUserStorage(engine, {"table": table})
    (problem,) = SqlAlchemyIdentityStorage(engine).unfit_users(users)
    assert "userid_type" in problem
    assert SqlAlchemyIdentityStorage(engine, {"userid_type": sa.Uuid()}).unfit_users(users) == []
    assert SqlAlchemyIdentityStorage(engine).unfit_users(InMemoryUserStorage()) == []
    with pytest.raises(CrossauthError) as refused:
        await SqlAlchemyIdentityStorage(engine).link(HERE, "alice", "no number")
    assert refused.value.code is ErrorCode.BadRequest
    await engine.dispose()


async def test_accounts_go_with_the_user() -> None:
    users, identities = InMemoryUserStorage(), InMemoryIdentityStorage()
    factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}
    manager = SessionManager(InMemoryKeyStorage(), factors, {"user_storage": users, "secret": SECRET})
    manager.identities.append(identities)
    made = [
        await users.create_user({"username": name, "state": "active", "factor1": "localpassword"})
        for name in ("alice", "bob")
    ]
    for user in made:
        await identities.link(HERE, user.username, user.id)
    await delete_account(manager.accounts(), await manager.accounts().user(made[0].id))
    assert await identities.find(HERE, "alice") is None
    assert await identities.find(HERE, "bob") is not None


async def test_what_names_an_account_in_a_form_is_its_own() -> None:
    identities = InMemoryIdentityStorage()
    for iss, sub in (("https://a.example", "b"), ("https://a.example", "b2"), ("https://a", ".exampleb")):
        await identities.link(iss, sub, 1)
    assert len({handle_of(found) for found in await identities.of_user(1)}) == 3
