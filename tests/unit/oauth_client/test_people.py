"""Whom an ID token stands for by the options, and what is wrong with these."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryIdentityStorage,
    InMemoryUserStorage,
    SqlAlchemyIdentityStorage,
    SqlAlchemyUserStorage,
    User,
    open_engine,
)
from crossauth_backend.core.options import read_options
from crossauth_fastapi._middleware.identity import ClaimedUser
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_client.users.people import People, people_of

ISSUER = "https://foreign.example"
USERS, IDENTITIES = InMemoryUserStorage(), InMemoryIdentityStorage()
LOGIN: Any = SimpleNamespace(needs_factor2=lambda user: False)
FIELDS = {"user_match_field": "username", "id_token_match_field": "sub"}


def made(users: Any = USERS, login: Any = LOGIN, issuer: str = ISSUER, **options: Any) -> People:
    provided = {"site_url": "https://site.example", **options}
    return people_of(read_options(ClientServerSettings, provided, component="FastApiOAuthClient"), issuer, users, login)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"user_creation_type": "merge"}, "identity_storage"),
        ({"user_creation_type": "merge", "users": None, "oauth_issuer": ISSUER}, "user_storage"),
        ({"user_creation_type": "embed", "user_match_field": "username"}, "identity_storage"),
        (
            {"user_creation_type": "merge", "identity_storage": IDENTITIES, "user_match_field": "username"},
            "no effect alone",
        ),
        ({"id_token_match_field": "sub"}, "no effect alone"),
        ({"local_login": True}, "identity_storage"),
        ({"local_login": True, "identity_storage": IDENTITIES, "login": None}, "session server"),
        ({"link_accounts": True}, "identity_storage"),
        ({"link_accounts": True, "identity_storage": IDENTITIES, "login": None}, "session server"),
        ({"local_login": True, "create_accounts": True, **FIELDS}, "create_accounts"),
        ({"user_creation_type": "merge", **FIELDS, "user_match_field": "state"}, "'state' does not say"),
        ({"local_login": True, **FIELDS, "user_match_field": "admin"}, "'admin' does not say"),
        ({"user_creation_type": "merge", **FIELDS, "user_match_field": "email"}, "'email'"),
    ],
)
def test_what_cannot_work_stops_the_start(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossauthError, match=said) as refused:
        made(**options)
    assert refused.value.code is ErrorCode.Configuration
    assert "FastApiOAuthClient" in refused.value.message


async def test_identities_of_other_users_stop_the_start() -> None:
    engine = open_engine("sqlite://")
    identities = SqlAlchemyIdentityStorage(engine, {"userid_type": sa.Uuid()})
    with pytest.raises(CrossauthError, match="userid_type"):
        made(SqlAlchemyUserStorage(engine), local_login=True, identity_storage=identities)
    await engine.dispose()


def test_named_fields_are_told_once_with_the_issuer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "crossauth.oauth"):
        made(user_creation_type="merge", **FIELDS)
        (told,) = caplog.records
        assert ISSUER in told.getMessage()
        caplog.clear()
        made(user_creation_type="merge", oauth_issuer=ISSUER, **FIELDS)
        made(user_creation_type="merge", identity_storage=IDENTITIES)
        assert not caplog.records


async def test_by_default_a_user_is_made_of_the_claims() -> None:
    user = await made(None, None).user({"iss": ISSUER, "sub": "alice"})
    assert isinstance(user, ClaimedUser)
    assert user.id == f"{ISSUER}#alice"


async def test_without_an_account_it_is_nobody_unless_that_is_allowed() -> None:
    response = {"iss": ISSUER, "sub": "nobody"}
    assert await made(user_creation_type="merge", identity_storage=IDENTITIES).user(response) is None
    free = made(user_creation_type="merge", identity_storage=IDENTITIES, require_local_account=False)
    assert isinstance(await free.user(response), ClaimedUser)


async def test_an_account_that_refuses_is_not_made_of_claims_instead() -> None:
    users, identities = InMemoryUserStorage(), InMemoryIdentityStorage()
    user = await users.create_user({"username": "alice", "state": "disabled", "factor1": "localpassword"})
    await identities.link(ISSUER, "alice", user.id)
    people = made(users, user_creation_type="merge", identity_storage=identities, require_local_account=False)
    assert await people.user({"iss": ISSUER, "sub": "alice"}) is None


async def test_a_function_of_the_applications() -> None:
    seen: list[Any] = []

    async def later(*args: Any) -> User:
        seen.extend(args)
        return User(id=1, username="alice")

    claims = {"iss": ISSUER, "sub": "alice"}
    people = made(user_creation_type="custom", user_creation_fn=later, user_match_field="staff_number")
    assert (await people.user(claims)) == User(id=1, username="alice")
    assert seen == [claims, USERS, "staff_number", "sub"]
    assert seen[0] is not claims

    def inactive(*args: Any) -> User:
        return User(id=1, username="alice", state="disabled")

    assert await made(user_creation_type="custom", user_creation_fn=inactive).user(claims) is None
    with pytest.raises(CrossauthError) as refused:
        await made(user_creation_type="custom", user_creation_fn=lambda *a: True).user(claims)
    assert refused.value.code is ErrorCode.Configuration
