"""Every name of FastAPI Users' documented Python API is where it was, with the documented parameters and values."""

import ast
import importlib
import inspect
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from inspect import Parameter
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, get_type_hints

import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from crossauth_fastapi.fastapi_users import (
    BaseUserManager,
    FastAPIUsers,
    IntegerIDMixin,
    exceptions,
    jwt,
    models,
    schemas,
)
from crossauth_fastapi.fastapi_users.authentication import (
    AuthenticationBackend,
    Authenticator,
    BearerTransport,
    JWTStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.strategy import (
    DatabaseStrategy,
    JWTStrategyDestroyNotSupportedError,
    StrategyDestroyNotSupportedError,
)
from crossauth_fastapi.fastapi_users.authentication.transport.base import Transport
from crossauth_fastapi.fastapi_users.db import SQLAlchemyBaseUserTable, SQLAlchemyUserDatabase
from crossauth_fastapi.fastapi_users.db.sqlalchemy import generics
from crossauth_fastapi.fastapi_users.db.sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTable,
)
from crossauth_fastapi.fastapi_users.router import ErrorCode
from tests.fastapi_users.app import CHEAP, SECRET, AccessToken, Base, OAuthAccount, User

SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "fastapi_users.json").read_text())


def entries(what: str) -> list[Any]:
    """(module, name, documented) of every module."""
    found = [(module, says.get(what, {})) for module, says in SPEC.items()]
    return [(m, n, named[n] if isinstance(named, dict) else None) for m, named in found for n in named]


def ids(value: Any) -> str:
    return value if isinstance(value, str) else ""


def load(module: str, name: str = "") -> Any:
    found: Any = importlib.import_module(f"crossauth_fastapi.{module}")
    for part in filter(None, name.split(".")):
        found = getattr(found, part)
    return found


# What is None here on purpose: linked only where both sides have proven the address; and a list that nobody can change.
DIFFERENT: dict[str, Any] = {"associate_by_email": None, "token_audience": None, "algorithms": None}


def documented_parameters(text: str) -> list[tuple[str, Any, bool]]:
    """The parameters of a signature that is written as in `def`: name, default, whether by keyword only."""
    args = ast.parse(f"lambda {text}: 0", mode="eval").body.args  # type: ignore[attr-defined]
    lacking = [Parameter.empty] * (len(args.args) - len(args.defaults))
    defaults = [*lacking, *map(ast.literal_eval, args.defaults)]
    found = [(a.arg, d, False) for a, d in zip(args.args, defaults, strict=True)]
    provided = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return found + [(a.arg, ast.literal_eval(d) if d else Parameter.empty, True) for a, d in provided]


def parameters(function: Any) -> list[Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


def test_the_list_is_whole() -> None:
    counted = {what: len(entries(what)) for what in ("all", "names", "signatures", "values", "attributes", "fields")}
    assert counted == {"all": 59, "names": 39, "signatures": 119, "values": 11, "attributes": 5, "fields": 5}


@pytest.mark.parametrize(("module", "name", "_"), [*entries("all"), *entries("names")], ids=ids)
def test_name(module: str, name: str, _: None) -> None:
    assert load(module, name) is not None


@pytest.mark.parametrize("module", [module for module, says in SPEC.items() if "all" in says])
def test_everything_at_once(module: str) -> None:
    space: dict[str, Any] = {}
    exec(f"from crossauth_fastapi.{module} import *", space)
    assert set(SPEC[module]["all"]) <= set(space)
    assert set(load(module).__all__) <= set(space)


def test_the_door_shows_nothing_else() -> None:
    assert set(load("fastapi_users").__all__) == set(SPEC["fastapi_users"]["all"])


@pytest.mark.parametrize(("module", "name", "text"), entries("signatures"), ids=ids)
def test_signature(module: str, name: str, text: str) -> None:
    function = load(module, name)
    assert inspect.iscoroutinefunction(function) == text.startswith("async ")
    documented, ours = documented_parameters(text.removeprefix("async ")), parameters(function)
    ordered = [p.name for p in ours if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
    assert ordered == [expected for expected, _, by_keyword in documented if not by_keyword]
    by_name = {p.name: p for p in ours}
    for expected, default, by_keyword in documented:
        found = by_name.pop(expected)
        assert (found.kind is Parameter.KEYWORD_ONLY) == by_keyword, expected
        assert found.default == (DIFFERENT.get(expected, default) if not by_keyword else default), expected
    for more in by_name.values():
        assert more.kind is Parameter.KEYWORD_ONLY, f"{more.name} stands among the documented"
        assert more.default is not Parameter.empty, f"{more.name} must be given"


def test_defaults_that_are_lists() -> None:
    strategy: Any = JWTStrategy(SECRET, 60)
    assert strategy.token_audience == ["fastapi-users:auth"]
    for algorithm, good in (("HS256", True), ("HS512", False)):
        token = jwt.generate_jwt({"aud": "x"}, SECRET, 60, algorithm)
        if good:
            assert jwt.decode_jwt(token, SECRET, ["x"])["aud"] == "x"
        else:
            with pytest.raises(jwt.JwtInvalidError):
                jwt.decode_jwt(token, SECRET, ["x"])


@pytest.mark.parametrize(("module", "name", "value"), entries("values"), ids=ids)
def test_value(module: str, name: str, value: Any) -> None:
    assert load(module, name) == value


@pytest.mark.parametrize(("module", "name", "attributes"), entries("attributes"), ids=ids)
def test_attributes(module: str, name: str, attributes: list[str]) -> None:
    cls = load(module, name)
    hints = get_type_hints(cls, localns={"SecretType": jwt.SecretType})
    assert [a for a in attributes if a not in hints] == []


@pytest.mark.parametrize(("module", "name", "fields"), entries("fields"), ids=ids)
def test_schema(module: str, name: str, fields: dict[str, Any]) -> None:
    found = load(module, name).model_fields
    assert list(found) == list(fields), "answers have this order"
    assert {n: "required" if f.is_required() else f.default for n, f in found.items()} == fields


def test_schemas_take_and_refuse_what_is_documented() -> None:
    assert schemas.BaseUser[int].model_config["from_attributes"] is True
    for schema in (schemas.BaseUserCreate, schemas.BaseUserUpdate):
        flags = schema(email="a@b.co", password="x", is_active=None, is_superuser=None, is_verified=None)
        assert (flags.is_active, flags.is_superuser, flags.is_verified) == (None, None, None)
        with pytest.raises(ValueError, match="email"):
            schema(email="a@localhost", password="x")


def test_what_a_schema_takes_from_whom() -> None:
    class Change(schemas.BaseUserUpdate):
        id: int | None = None
        oauth_accounts: list[Any] | None = None
        motto: str | None = None

    sent: Any = {"id": 1, "is_active": False, "is_superuser": True, "is_verified": True, "oauth_accounts": []}
    sent |= {"motto": None, "password": "x"}
    assert Change(**sent).create_update_dict() == {"motto": None, "password": "x"}
    assert Change(**sent).create_update_dict_superuser() == {n: v for n, v in sent.items() if n != "id"}
    assert Change().create_update_dict() == Change().create_update_dict_superuser() == {}


def test_type_variables() -> None:
    for variable in (models.ID, models.UP, models.OAP, models.UOAP, schemas.U, schemas.UC, schemas.UU, schemas.SCHEMA):
        assert isinstance(variable, TypeVar)
    assert schemas.UC.__bound__ is schemas.BaseUserCreate
    assert schemas.UU.__bound__ is schemas.BaseUserUpdate


def test_descriptions_belong_to_the_class() -> None:
    for name in ("get_openapi_login_responses_success", "get_openapi_logout_responses_success"):
        assert isinstance(inspect.getattr_static(Transport, name), staticmethod)
    assert "scheme" in get_type_hints(Transport)


def test_exceptions() -> None:
    base = exceptions.FastAPIUsersException
    named = {*SPEC["fastapi_users.exceptions"]["names"], "InvalidPasswordException"} - {"FastAPIUsersException"}
    for name in named:
        cls = getattr(exceptions, name)
        assert cls.__bases__ == (base,)
        assert cls.__module__ == exceptions.__name__
    assert base.__bases__ == (Exception,)
    assert exceptions.InvalidPasswordException(reason={"any": ["JSON"]}).reason == {"any": ["JSON"]}
    assert issubclass(JWTStrategyDestroyNotSupportedError, StrategyDestroyNotSupportedError)


def test_error_codes() -> None:
    names = SPEC["fastapi_users.router.common"]["codes"]
    assert len(names) == 15
    assert {code.name: code.value for code in ErrorCode} == {name: name for name in names}
    assert issubclass(ErrorCode, str)


def test_attributes_of_the_class_that_puts_it_together() -> None:
    async def get_user_manager() -> Any: ...

    users = FastAPIUsers[Any, Any](get_user_manager, [])
    assert users.get_user_manager is get_user_manager
    assert isinstance(users.authenticator, Authenticator)
    assert users.current_user == users.authenticator.current_user


@pytest.mark.parametrize("table", [User, OAuthAccount, AccessToken], ids=lambda table: table.__tablename__)
def test_columns(table: Any) -> None:
    """Type in PostgreSQL, whether null, whether indexed."""
    columns = sa.inspect(table).columns
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    found = {c.name: [c.type.compile(dialect=dialect), c.nullable, bool(c.index)] for c in columns}
    assert found == SPEC["fastapi_users.db.sqlalchemy"]["tables"][table.__tablename__]
    keys = {c.name: next(iter(c.foreign_keys)) for c in columns if c.foreign_keys}
    assert {n: (k.target_fullname, (k.ondelete or "").lower()) for n, k in keys.items()} == (
        {} if table is User else {"user_id": ("user.id", "cascade")}
    )


def test_what_else_is_documented_of_tables() -> None:
    columns = sa.inspect(User).columns
    assert columns["email"].unique
    assert [columns[n].default.arg for n in ("is_active", "is_superuser", "is_verified")] == [True, False, False]
    assert generics.GUID().compile(dialect=sqlite.dialect()) == "CHAR(36)"  # type: ignore[no-untyped-call]
    assert generics.now_utc().tzinfo is not None


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Any]:
    """A session of an application."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/users.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        yield session
    await engine.dispose()


def stored(folder: Path, statement: str) -> list[Any]:
    """What another connection sees, or does."""
    with sqlite3.connect(folder / "users.db") as connection:
        found = connection.execute(statement).fetchall()
    connection.close()
    return found


async def test_the_adapter_commits_every_change(session: Any, tmp_path: Path) -> None:
    users: Any = SQLAlchemyUserDatabase(session, User, OAuthAccount)
    tokens: Any = SQLAlchemyAccessTokenDatabase(session, AccessToken)
    user = await users.create({"email": "a@b.co", "hashed_password": "x"})
    row = await tokens.create({"token": "t", "user_id": user.id})
    user = await users.add_oauth_account(user, {"oauth_name": "o", "access_token": "1", "account_id": "7",
                                                "account_email": "a@b.co"})  # fmt: skip
    flags, of_account = 'SELECT email, is_active, is_superuser FROM "user"', "SELECT access_token FROM oauth_account"
    assert stored(tmp_path, flags) == [("a@b.co", 1, 0)]
    assert stored(tmp_path, of_account) == [("1",)]
    assert stored(tmp_path, "SELECT token FROM accesstoken") == [("t",)]
    user = await users.update(user, {"is_superuser": True, "is_active": None})
    user = await users.update_oauth_account(user, user.oauth_accounts[0], {"access_token": "2"})
    row = await tokens.update(row, {"token": "u"})
    assert (await users.get_by_oauth_account("o", "7")).id == (await users.get_by_email("A@B.CO")).id == user.id
    assert await tokens.get_by_token("u", row.created_at) is row
    assert await tokens.get_by_token("u", row.created_at + timedelta(seconds=1)) is None
    assert (stored(tmp_path, flags), stored(tmp_path, of_account)) == ([("a@b.co", 1, 1)], [("2",)])
    assert stored(tmp_path, "SELECT token FROM accesstoken") == [("u",)]
    await tokens.delete(row)
    await users.delete(user)
    assert [stored(tmp_path, f'SELECT * FROM "{t}"') for t in ("user", "oauth_account", "accesstoken")] == [[], [], []]


async def test_what_the_adapter_refuses(session: Any) -> None:
    users: Any = SQLAlchemyUserDatabase(session, User)
    tokens: Any = SQLAlchemyAccessTokenDatabase(session, AccessToken)
    user = await users.create({"email": "a@b.co", "hashed_password": "x"})
    await tokens.create({"token": "t", "user_id": user.id})
    for refused in (users.create({"email": "a@b.co", "hashed_password": "y"}),
                    tokens.create({"token": "t", "user_id": user.id})):  # fmt: skip
        session.expunge_all()
        with pytest.raises(IntegrityError):
            await refused
    assert (await users.get_by_email("a@b.co")).hashed_password == "x", "the session goes on"
    nobody = SimpleNamespace(oauth_accounts=[])
    for lacking in (users.get_by_oauth_account("o", "7"), users.add_oauth_account(nobody, {}),
                    users.update_oauth_account(user, None, {})):  # fmt: skip
        with pytest.raises(NotImplementedError):
            await lacking


class Numbers(DeclarativeBase):
    pass


class Squire(SQLAlchemyBaseUserTable[int], Numbers):
    id: Mapped[int] = mapped_column(primary_key=True)
    motto: Mapped[str | None]
    horses: Mapped[int] = mapped_column(default=1)


class SquireToken(SQLAlchemyBaseAccessTokenTable[int], Numbers):
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("user.id", ondelete="cascade"))


class SquireRead(schemas.BaseUser[int]):
    motto: str | None
    horses: int


class SquireCreate(schemas.BaseUserCreate):
    motto: str | None = None
    horses: int | None = None


class SquireUpdate(schemas.BaseUserUpdate):
    motto: str | None = None
    horses: int | None = None


class Squires(IntegerIDMixin, BaseUserManager[Any, int]):
    reset_password_token_secret = verification_token_secret = SECRET


def stable(folder: Path) -> FastAPI:
    """An application whose users have numbers, and whose dependencies are plain functions."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/users.db")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Numbers.metadata.create_all)
        yield
        await engine.dispose()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with async_sessionmaker(engine, expire_on_commit=False)() as session:
            yield session

    def get_user_manager(session: Annotated[AsyncSession, Depends(get_session)]) -> Squires:
        return Squires(SQLAlchemyUserDatabase(session, Squire), CHEAP)

    def get_strategy(session: Annotated[AsyncSession, Depends(get_session)]) -> Any:
        return DatabaseStrategy(SQLAlchemyAccessTokenDatabase(session, SquireToken), 3600)

    backend: Any = AuthenticationBackend("db", BearerTransport("login"), get_strategy)
    users = FastAPIUsers[Any, int](get_user_manager, [backend])
    app = FastAPI(lifespan=lifespan)
    for router in (users.get_auth_router(backend), users.get_register_router(SquireRead, SquireCreate),
                   users.get_users_router(SquireRead, SquireUpdate)):  # fmt: skip
        app.include_router(router)
    return app


def test_numbers_for_ids_and_columns_of_the_application(tmp_path: Path) -> None:
    form = {"username": "a@b.co", "password": "x"}
    with TestClient(stable(tmp_path)) as client:
        body = {"email": "a@b.co", "password": "x", "motto": "to arms", "horses": None}
        me = client.post("/register", json=body).json()
        assert (me["id"], me["motto"], me["horses"]) == (1, "to arms", 1), "null for what takes none is left out"
        token = client.post("/login", data=form).json()["access_token"]
        header = {"Authorization": f"Bearer {token}"}
        assert client.get("/me", headers=header).json() == me
        more = client.patch("/me", headers=header, json={"motto": "", "horses": 7}).json()
        assert (more["motto"], more["horses"]) == ("", 7)
        nulls = client.patch("/me", headers=header, json={"motto": None, "horses": None, "password": "y"}).json()
        assert (nulls["motto"], nulls["horses"]) == (None, 7)
        stored(tmp_path, 'UPDATE "user" SET is_superuser = 1')
        assert client.get("/1", headers=header).json()["is_superuser"] is True
        assert [client.get(f"/{id}", headers=header).status_code for id in (2, "x", "1.0", -1, 2**70)] == [404] * 5
        assert client.delete("/1", headers=header).status_code == 204
        assert client.get("/me", headers=header).status_code == 401
    assert stored(tmp_path, 'SELECT token FROM accesstoken UNION SELECT email FROM "user"') == []
