"""The account of an ID token: by issuer and subject, or by what the application has named."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryIdentityStorage, InMemoryUserStorage, User
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi._oauth_client.users.find import AccountFinder, account_by, find_by_field

OWN, FOREIGN, OTHER = "https://own.example", "https://foreign.example", "https://other.example"


async def make(users: InMemoryUserStorage, username: str, **fields: Any) -> User:
    return await users.create_user({"username": username, "state": "active", "factor1": "localpassword", **fields})


@pytest.fixture
def users() -> InMemoryUserStorage:
    return InMemoryUserStorage()


@pytest.fixture
def identities() -> InMemoryIdentityStorage:
    return InMemoryIdentityStorage()


async def name_of(finder: AccountFinder, **payload: Any) -> str | None:
    found = await finder.find(payload)
    return None if found is None else found.username


async def test_the_subject_of_our_own_issuer_is_an_id(users: InMemoryUserStorage) -> None:
    alice = await make(users, "alice")
    await make(users, str(alice.id + 1))  # type: ignore[operator]
    finder = AccountFinder(storage=users, own_issuer=OWN, field="username", claim="sub")
    assert await name_of(finder, iss=OWN, sub=str(alice.id)) == "alice"
    for sub in ("alice", "", "01", " 1", None, 1, True, [1], "x" * 300):
        assert await name_of(finder, iss=OWN, sub=sub) is None, sub
    for iss in (f"{OWN}/", OWN.upper(), None, 1, ""):
        assert await name_of(finder, iss=iss, sub=str(alice.id)) is None, iss


async def test_of_another_issuer_only_who_is_linked(
    users: InMemoryUserStorage, identities: InMemoryIdentityStorage
) -> None:
    alice = await make(users, "alice")
    await make(users, "bob")
    await identities.link(FOREIGN, "bob", alice.id)
    finder = AccountFinder(storage=users, identities=identities, own_issuer=OWN)
    assert await name_of(finder, iss=FOREIGN, sub="bob") == "alice"
    for iss, sub in ((FOREIGN, "alice"), (FOREIGN, "Bob"), (OTHER, "bob"), (FOREIGN, "1")):
        assert await name_of(finder, iss=iss, sub=sub) is None


async def test_a_link_of_somebody_who_is_gone_is_nobodys(
    users: InMemoryUserStorage, identities: InMemoryIdentityStorage
) -> None:
    alice = await make(users, "alice")
    await identities.link(FOREIGN, "alice", alice.id)
    await users.delete_user_by_id(alice.id)
    finder = AccountFinder(storage=users, identities=identities)
    assert await name_of(finder, iss=FOREIGN, sub="alice") is None
    assert await identities.find(FOREIGN, "alice") is None


async def test_fields_count_only_where_both_are_named(users: InMemoryUserStorage) -> None:
    await make(users, "alice")
    assert await name_of(AccountFinder(storage=users), iss=FOREIGN, sub="alice") is None
    assert await name_of(AccountFinder(storage=users, field="username"), iss=FOREIGN, sub="alice") is None
    named = AccountFinder(storage=users, field="username", claim="preferred_username")
    assert await name_of(named, iss=FOREIGN, sub="1", preferred_username="alice") == "alice"
    for other in ("ALICE", "alicé", "аlice", "alice ", "", None, 1, ["alice"], {"a": 1}, "a\x00", "\ud800"):
        assert await name_of(named, iss=FOREIGN, sub="1", preferred_username=other) is None, other


async def test_somebody_who_is_linked_is_not_found_by_a_field_under_another_subject(
    users: InMemoryUserStorage, identities: InMemoryIdentityStorage
) -> None:
    """A name, or an address, was given to somebody else there."""
    alice = await make(users, "alice", email="alice@example.com", email_verified_at=utc_now())
    finder = AccountFinder(storage=users, identities=identities, field="email", claim="email")
    response = {"iss": FOREIGN, "email": "alice@example.com", "email_verified": True}
    assert await name_of(finder, sub="first", **response) == "alice"
    await identities.link(FOREIGN, "first", alice.id)
    assert await name_of(finder, sub="first", **response) == "alice"
    assert await name_of(finder, sub="second", **response) is None
    assert await name_of(finder, sub="second", **{**response, "iss": OTHER}) == "alice"


async def test_an_address_counts_only_where_both_have_verified_it(users: InMemoryUserStorage) -> None:
    await make(users, "alice", email="alice@example.com", email_verified_at=utc_now())
    await make(users, "mallory", email="victim@example.com")
    finder = AccountFinder(storage=users, field="email", claim="email")

    async def by(email: Any, verified: Any = True, iss: str = FOREIGN) -> str | None:
        return await name_of(finder, iss=iss, sub="1", email=email, email_verified=verified)

    assert await by("alice@example.com") == "alice"
    assert await by("Alice@EXAMPLE.com") == "alice"
    for verified in (False, None, "true", 1, "yes", [True]):
        assert await by("alice@example.com", verified) is None, verified
    assert await by("victim@example.com") is None, "the account here has not verified it"
    for other in (
        "alicé@example.com",
        "alice@exämple.com",
        "аlice@example.com",
        "alice@example.com ",
        "alice",
        None,
        1,
    ):
        assert await by(other) is None, other
    assert await by("alice@example.com", iss="https://login.microsoftonline.com/t/v2.0") is None


async def test_a_name_that_is_an_address_is_an_address(users: InMemoryUserStorage) -> None:
    """Or whoever takes it as a username has the account of its owner at the provider come to theirs."""
    await make(users, "victim@example.com", email="mallory@example.org", email_verified_at=utc_now())
    response = {"email": "victim@example.com", "email_verified": True, "iss": FOREIGN}
    assert await find_by_field(users, response, "username", "email") is None
    await make(users, "alice@example.com", email="alice@example.com", email_verified_at=utc_now())
    response["email"] = "alice@example.com"
    found = await find_by_field(users, response, "username", "email")
    assert found is not None
    assert found.username == "alice@example.com"
    assert await find_by_field(users, {**response, "upn": "alice@example.com"}, "email", "upn") is None


async def test_a_storage_that_is_away_is_nobody_gone(
    users: InMemoryUserStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any) -> Any:
        raise CrossauthError(ErrorCode.Connection, status=503)

    monkeypatch.setattr(users, "get_user_by", away)
    with pytest.raises(CrossauthError):
        await account_by(users, "id", 1)
