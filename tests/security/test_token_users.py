"""Users of access tokens: whom a token must not be taken for, and what is told of one whose account refuses"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI, Request

from crossauth_backend import (
    CrossauthError,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.testing import FakeIssuer
from crossauth_fastapi import AdminUser, FastApiOAuthResourceServer, FastApiServer, FastApiSessionServer
from crossauth_fastapi.testing import issue_token
from tests.accounts import RecordingListener
from tests.resource import AUDIENCE, Answer, ask, close_consumers, consumer_of
from tests.shop import ISSUER
from tests.support import CHEAP, SECRET

ALICE = {"username": "alice", "state": "active", "factor1": "localpassword", "email": "alice@example.com"}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer
        await close_consumers()


def who(app: FastAPI) -> FastAPI:
    @app.get("/who")
    async def shown(request: Request) -> Any:
        return None if request.state.user is None else f"{request.state.user.id}"

    return app


async def seen(app: FastAPI, token: str, path: str = "/who") -> Answer:
    return await ask(app, path, ("authorization", f"Bearer {token}".encode()))


def sessions_on(app: FastAPI, **options: Any) -> FastApiSessionServer:
    users = InMemoryUserStorage()
    factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}
    provided: Any = {"secret": SECRET, "user_storage": users, **options}
    return FastApiSessionServer(app, InMemoryKeyStorage(), factors, provided)


async def test_an_address_that_is_not_verified_here_is_nobodys(issuer: FakeIssuer) -> None:
    """GHSA-g38m-r43w-p2q7: whoever signs up with the address of another gets nothing that is done with the other's tokens."""
    users = InMemoryUserStorage()
    await users.create_user(ALICE)
    app = who(FastAPI())
    for required in (True, False):
        app = who(FastAPI())
        options: Any = {"user_storage": users, "user_match_field": "email", "require_local_account": required}
        FastApiOAuthResourceServer(app, [consumer_of(issuer)], options)
        token = issuer.issue_token(AUDIENCE, sub="x", email=ALICE["email"], email_verified=True)
        await users.update_user({"id": 1, "email_verified_at": None})
        assert (await seen(app, token)).body == b"null"
        await users.update_user({"id": 1, "email_verified_at": datetime.now(UTC)})
        assert (await seen(app, token)).body == b'"1"'


async def test_users_of_two_issuers_have_no_id_in_common(issuer: FakeIssuer) -> None:
    """A `sub`, and a claim `userid`, say who somebody is only together with the issuer (OpenID Connect Core §5.7)."""
    async with FakeIssuer() as other:
        app = who(FastAPI())
        FastApiOAuthResourceServer(app, [consumer_of(issuer), consumer_of(other)])
        claims: list[dict[str, Any]] = [{"sub": "1"}, {"sub": "2", "userid": "1"}, {"sub": "2", "userid": 1}]
        found = [
            (await seen(app, i.issue_token(AUDIENCE, **response))).body for i in (issuer, other) for response in claims
        ]
        assert b'"1"' not in found
        assert len(set(found)) == 4
        assert found[0] == f'"{issuer.url}#1"'.encode()


@pytest.mark.parametrize("first", [True, False])
async def test_a_user_of_a_token_has_no_id_of_an_account(issuer: FakeIssuer, first: bool) -> None:
    """Beside sessions, a token whose user is not looked up carries nobody's id, whichever server comes first."""
    app = who(FastAPI())
    if first:
        sessions_on(app)
    FastApiOAuthResourceServer(app, [consumer_of(issuer)])
    if not first:
        sessions_on(app)
    for claims in ({"sub": "1"}, {"sub": "x", "userid": 1}, {"sub": "x", "userid": "1"}):
        assert (await seen(app, issuer.issue_token(AUDIENCE, **claims))).body.startswith(f'"{issuer.url}#'.encode())


async def test_a_user_without_an_account_has_no_id_of_one(issuer: FakeIssuer) -> None:
    """Where no account is required, a token of another issuer carries the id of none; one of our own issuer its own."""
    users = InMemoryUserStorage()
    await users.create_user(ALICE)
    for own in (None, issuer.url):
        app = who(FastAPI())
        found: Any = {"oauth_issuer": own} if own else {"user_match_field": "username"}
        options: Any = {"user_storage": users, "require_local_account": False, **found}
        FastApiOAuthResourceServer(app, [consumer_of(issuer)], options)
        for claims in ({"sub": "7"}, {"sub": "x", "userid": "7"}):
            response = (await seen(app, issuer.issue_token(AUDIENCE, **claims))).body
            assert response == (b'"7"' if own else f'"{issuer.url}#{claims["sub"]}"'.encode())


async def test_a_subject_is_no_administrator_by_its_name(issuer: FakeIssuer) -> None:
    """`is_admin_fn` judges accounts: a token whose `sub` is an administrator's username makes no administrator."""
    app = FastAPI()
    sessions_on(app, is_admin_fn=lambda user: user.username == "root")
    FastApiOAuthResourceServer(app, [consumer_of(issuer)])

    @app.get("/admin")
    async def admin(user: AdminUser) -> str:
        return user.username

    assert (await seen(app, issuer.issue_token(AUDIENCE, sub="root"), "/admin")).status == 403


@pytest.mark.parametrize("field", ["state", "admin", "factor1", "nonsense", "age", "id2"])
def test_a_field_that_names_nobody_stops_the_start(field: str) -> None:
    """`user_match_field` must be a field by which a user can be found."""
    users = SqlAlchemyUserStorage(open_engine("sqlite+aiosqlite://"))
    options: Any = {"user_storage": users, "user_match_field": field, "auth_server_base_url": ISSUER, "audience": "a"}
    with pytest.raises(CrossauthError, match=f"'user_match_field'.*{field!r}"):
        FastApiServer({"oauth_resserver": {"options": options}}, {})


@pytest.mark.parametrize("field", ["username", "email", "phone"])
def test_a_field_that_names_somebody_does_not(field: str) -> None:
    """The fields that every storage has are found."""
    users = SqlAlchemyUserStorage(open_engine("sqlite+aiosqlite://"))
    options: Any = {"user_storage": users, "user_match_field": field, "auth_server_base_url": ISSUER, "audience": "a"}
    assert FastApiServer({"oauth_resserver": {"options": options}}, {}).oauth_resserver is not None


def test_a_good_token_that_an_account_refuses_is_told_once() -> None:
    """The tokens of a disabled user that are used on are an event, and not one for each request; garbage is none."""
    heard, users = RecordingListener(), InMemoryUserStorage()
    asyncio.run(users.create_user(ALICE))
    server = FastApiServer(
        {
            "session": {"key_storage": InMemoryKeyStorage()},
            "oauth_resserver": {"options": {"oauth_issuer": ISSUER, "user_storage": users}},
        },
        {
            "secret": SECRET, "user_storage": users, "auth_server_base_url": ISSUER, "audience": "a",
            "authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}, "event_listeners": [heard],
        },
    )  # fmt: skip
    app = who(server.app)
    user = asyncio.run(users.get_user_by_id(1)).user
    token = issue_token(app, user)
    assert asyncio.run(seen(app, token)).body == b'"1"'
    asyncio.run(users.update_user({"id": 1, "state": "disabled"}))
    for sent in (token, issue_token(app, user), "garbage", issue_token(app, sub="9", client_id="c"), token[:-4]):
        assert asyncio.run(seen(app, sent)).body == b"null"
    told = [(e.name.value, e.userid, e.reason, e.address) for e in heard.events if "token" in e.name.value]
    assert told == [("token_refused", 1, "UserNotActive", "192.0.2.1")]
