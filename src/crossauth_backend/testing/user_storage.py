"""What every storage of users must do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.testing.expect import outcome, refused
from crossauth_backend.users.capabilities import (
    SupportsSecretReplacement,
    SupportsSignupExpiry,
    SupportsUserReplacement,
)
from crossauth_backend.users.credentials import credential_stamp
from crossauth_backend.users.reads import UserStorageGetOptions
from crossauth_backend.users.stamp import is_digest
from crossauth_backend.users.states import UNFINISHED, UserState
from crossauth_backend.users.storage import UserStorage

ANY: UserStorageGetOptions = {"skip_active_check": True, "skip_email_verified_check": True}
GARBAGE: tuple[Any, ...] = (
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "x" * 5000,
    "%",
    "_",
    "' OR 1=1 --",
    10**30,
    -1,
    None,
    1.5,
    True,
)


def new(username: str, **fields: Any) -> dict[str, Any]:
    """A user to be created."""
    return {"username": username, "state": UserState.active, "factor1": "localpassword", **fields}


class UserStorageContract:
    """Subclass it and give it a fixture `users`: an empty storage with normalisation on."""

    async def test_a_user_comes_back_as_it_was_stored(self, users: UserStorage) -> None:
        """Fields, defaults, secrets."""
        made = await users.create_user(new("Alice", email="Alice@example.com"), {"password": "hash"})
        found = await users.get_user_by_id(made.id)
        assert found.user == made
        assert (made.username, made.email, made.admin, made.factor2) == ("Alice", "Alice@example.com", False, None)
        assert (found.secrets.password, found.secrets.totpsecret) == ("hash", None)
        assert found.secrets.userid == made.id

    async def test_names_are_found_without_case_and_accents(self, users: UserStorage) -> None:
        """By username and by email address."""
        made = await users.create_user(new("Zoë", email="Zoe@Example.com"))
        for name in ("zoe", "ZOË", "Ｚoe"):
            assert (await users.get_user_by_username(name)).user.id == made.id
        assert (await users.get_user_by_email("zoe@example.COM")).user.id == made.id
        assert (await users.get_user_by("username", "Zoë")).user.id == made.id
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by("username", "zoe")

    async def test_names_and_addresses_are_unique(self, users: UserStorage) -> None:
        """Also in another spelling; no address at all is no address twice."""
        await users.create_user(new("alice", email="a@example.com"))
        for taken in (new("ALICE"), new("bob", email="A@EXAMPLE.com")):
            with refused(ErrorCode.UserExists):
                await users.create_user(taken)
        await users.create_user(new("carol"))
        dave = await users.create_user(new("dave"))
        with refused(ErrorCode.UserExists):
            await users.update_user({"id": dave.id, "username": "Alice"})
        with refused(ErrorCode.UserExists):
            await users.update_user({"id": dave.id, "email": "a@example.com"})
        assert (await users.get_user_by_id(dave.id)).user == dave

    async def test_an_unfinished_signup_holds_no_address(self, users: UserStorage) -> None:
        """Several may have one address; it finds nobody, and belongs to whoever finishes first."""
        owner = await users.create_user(new("owner", email="owner@example.com"))
        waiting = [
            await users.create_user(new(f"user{n}", email="A@example.com", state=state))
            for n, state in enumerate(sorted(UNFINISHED))
        ]
        also = await users.create_user(
            new("also", email="owner@example.com", state=UserState.awaiting_email_verification)
        )
        assert [user.email_normalized for user in (*waiting, also)] == [None] * 4
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_email("a@example.com", ANY)
        assert (await users.get_user_by_email("OWNER@example.com", ANY)).user == owner
        await users.update_user({"id": waiting[0].id, "state": UserState.active})
        assert (await users.get_user_by_email("a@example.com")).user.id == waiting[0].id
        for late in (waiting[1], also):
            with refused(ErrorCode.UserExists):
                await users.update_user({"id": late.id, "state": UserState.active})
        await users.update_user({"id": also.id, "email": "also@example.com"})
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_email("also@example.com", ANY)
        await users.update_user({"id": owner.id, "state": UserState.awaiting_email_verification})
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_email("owner@example.com", ANY)

    async def test_of_two_signups_that_finish_at_once_one_gets_the_address(self, users: UserStorage) -> None:
        """The storage decides."""
        state = UserState.awaiting_email_verification
        made = [await users.create_user(new(f"user{n}", email="a@example.com", state=state)) for n in range(8)]
        finish = [users.update_user({"id": user.id, "state": UserState.active}) for user in made]
        results = await asyncio.gather(*(outcome(each) for each in finish))
        assert sorted(results, key=str) == [ErrorCode.UserExists] * 7 + [None]

    async def test_look_alike_addresses_are_different(self, users: UserStorage) -> None:
        """An address differs from another by anything but case."""
        made = [await users.create_user(new(f"user{n}", email=e)) for n, e in enumerate(
            ("a@example.com", "a@exämple.com", "ä@example.com", "a@strasse.example", "a@straße.example")
        )]  # fmt: skip
        for user in made:
            assert (await users.get_user_by_email(str(user.email).replace("example", "EXAMPLE"))).user == user
        with refused(ErrorCode.UserExists):
            await users.create_user(new("again", email="A@EXÄMPLE.com"))

    async def test_an_expired_signup_is_thrown_away_and_nothing_else(self, users: UserStorage) -> None:
        """Neither one whose time is not up, nor one that was finished meanwhile."""
        if not isinstance(users, SupportsSignupExpiry):
            return
        now, state = datetime(2026, 1, 2, tzinfo=UTC), UserState.awaiting_email_verification
        gone, late, done = [
            await users.create_user(new(f"user{n}", state=state, signup_expires=now + timedelta(hours=hours)))
            for n, hours in enumerate((-1, 1, -1))
        ]
        stored = await users.create_user(new("kept", state=state))
        assert gone.signup_expires == now - timedelta(hours=1)
        assert set(await users.expired_signups(now, 10)) == {gone.id, done.id}
        first = await users.expired_signups(now, 1)
        second = await users.expired_signups(now, 1, first[0])
        assert sorted([*first, *second], key=str) == sorted([gone.id, done.id], key=str), "page by page"
        assert await users.expired_signups(now, 1, second[0]) == []
        await users.update_user({"id": done.id, "state": UserState.active})
        assert (await users.get_user_by_id(done.id)).user.signup_expires is None
        for user in (late, done, stored):
            assert await users.delete_expired_signup(user.id, now) is False
        tries = [users.delete_expired_signup(gone.id, now) for _ in range(5)]
        assert sorted(await asyncio.gather(*tries)) == [False] * 4 + [True]
        assert await users.expired_signups(now, 10) == []
        assert {u.id for u in await users.get_users()} == {late.id, done.id, stored.id}

    async def test_of_two_users_of_one_name_made_at_once_one_is(self, users: UserStorage) -> None:
        """The storage decides, not a look beforehand."""
        results = await asyncio.gather(*(outcome(users.create_user(new("alice"))) for _ in range(10)))
        assert results.count(None) == 1
        assert results.count(ErrorCode.UserExists) == 9
        assert len(await users.get_users()) == 1

    async def test_an_update_changes_what_is_given_and_nothing_else(self, users: UserStorage) -> None:
        """`None` empties a field, an absent key leaves it."""
        made = await users.create_user(new("alice", email="a@example.com"), {"password": "one"})
        await users.update_user({"id": made.id, "username": "Ally"}, {"totpsecret": "s"})
        found = await users.get_user_by_username("ALLY")
        assert (found.user.username, found.user.email) == ("Ally", "a@example.com")
        assert (found.secrets.password, found.secrets.totpsecret) == ("one", "s")
        await users.update_user({"id": made.id, "email": None}, {"password": None})
        found = await users.get_user_by_id(made.id)
        assert (found.user.email, found.secrets.password) == (None, None)
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_email("a@example.com")
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_username("alice")

    async def test_nobody_is_nobody(self, users: UserStorage) -> None:
        """Unknown names and ids, and garbage of every kind."""
        made = await users.create_user(new("alice", email="a@example.com"))
        unknown = made.id + 1000 if isinstance(made.id, int) else "nobody"
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_id(unknown)
        with refused(ErrorCode.UserNotExist, ErrorCode.BadRequest):
            await users.update_user({"id": unknown, "state": UserState.disabled})
        for value in GARBAGE:
            for field in ("id", "username", "email"):
                with refused(ErrorCode.UserNotExist):
                    await users.get_user_by(field, value)
            await users.delete_user_by_id(value)
        assert await users.get_users() == [made]

    async def test_what_cannot_be_stored_is_refused_and_changes_nothing(self, users: UserStorage) -> None:
        """NUL, unpaired surrogates, missing ids and names."""
        made = await users.create_user(new("alice"))
        for name in ("a\x00b", "\ud800"):
            with refused(ErrorCode.BadRequest):
                await users.create_user(new(name))
            with refused(ErrorCode.BadRequest):
                await users.update_user({"id": made.id, "username": name})
        with refused(ErrorCode.BadRequest):
            await users.update_user({"username": "bob"})
        assert await users.get_users() == [made]

    async def test_the_state_refuses_in_the_documented_order(self, users: UserStorage) -> None:
        """Each check can be skipped by its own option only."""
        made = await users.create_user(new("alice"))
        cases: list[tuple[str, ErrorCode, UserStorageGetOptions]] = [
            (UserState.disabled, ErrorCode.UserNotActive, {"skip_active_check": True}),
            (UserState.awaiting_email_verification, ErrorCode.EmailNotVerified, {"skip_email_verified_check": True}),
            (UserState.awaiting_two_factor_setup, ErrorCode.TwoFactorIncomplete, {"skip_active_check": True}),
        ]
        for state, code, skip in cases:
            await users.update_user({"id": made.id, "state": state})
            with refused(code):
                await users.get_user_by_username("alice")
            assert (await users.get_user_by_username("alice", skip)).user.state == state
            assert (await users.get_user_by_id(made.id, ANY)).user.state == state

    async def test_a_deleted_user_is_gone_with_the_secrets(self, users: UserStorage) -> None:
        """And deleting twice does nothing."""
        made = await users.create_user(new("alice", email="a@example.com"), {"password": "hash"})
        await users.update_user({"id": made.id, "state": UserState.disabled})
        await users.delete_user_by_username("ALICE")
        await users.delete_user_by_username("alice")
        await users.delete_user_by_id(made.id)
        with refused(ErrorCode.UserNotExist):
            await users.get_user_by_id(made.id)
        again = await users.create_user(new("alice", email="a@example.com"))
        assert (await users.get_user_by_id(again.id)).secrets.password is None

    async def test_the_id_of_a_deleted_user_is_nobodys_again(self, users: UserStorage) -> None:
        """Or whatever is still kept under it elsewhere would be the next user's."""
        stored, gone = [await users.create_user(new(name)) for name in ("alice", "bob")]
        await users.delete_user_by_id(gone.id)
        for name in ("carol", "bob"):
            made = await users.create_user(new(name))
            assert made.id not in (stored.id, gone.id)
            await users.delete_user_by_id(made.id)

    async def test_users_are_listed_in_pages(self, users: UserStorage) -> None:
        """In the order of their ids."""
        made = [await users.create_user(new(f"user{n}")) for n in range(5)]
        ordered = sorted(made, key=lambda user: str(user.id).zfill(40))
        assert await users.get_users() == ordered
        assert await users.get_users(skip=1, take=2) == ordered[1:3]
        assert await users.get_users(skip=9) == []

    async def test_a_secret_is_replaced_only_if_nobody_else_did(self, users: UserStorage) -> None:
        """One of many wins; a storage that cannot is not asked."""
        if not isinstance(users, SupportsSecretReplacement):
            return
        made = await users.create_user(new("alice"), {"password": "old"})
        tries = [users.replace_secret(made.id, "password", "old", f"new{n}") for n in range(10)]
        assert (await asyncio.gather(*tries)).count(True) == 1
        assert (await users.get_user_by_id(made.id)).secrets.password != "old"
        assert await users.replace_secret(made.id, "totpsecret", None, "t") is True

    async def test_a_user_is_replaced_only_if_nobody_else_did(self, users: UserStorage) -> None:
        """One of many wins, and changes what it was given; a storage that cannot is not asked."""
        if not isinstance(users, SupportsUserReplacement):
            return
        made = await users.create_user(new("alice", email="a@example.com"), {"password": "hash"})
        other = await users.create_user(new("bob"))
        expected = {"state": UserState.active, "email": "a@example.com", "factor2": None, "admin": False}
        tries = [users.replace_user(made.id, expected, {"email": f"{n}@Example.com"}) for n in range(20)]
        results = await asyncio.gather(*tries)
        assert sorted(results) == [False] * 19 + [True]
        won = results.index(True)
        assert await users.replace_user(made.id, expected, {"username": "eve"}) is False
        found = await users.get_user_by_email(f"{won}@example.com")
        changed = replace(made, email=f"{won}@Example.com", email_normalized=f"{won}@example.com")
        assert replace(found.user, security_stamp=made.security_stamp) == changed
        assert found.secrets.password == "hash"
        assert await users.get_users() == [found.user, other]

    async def test_a_user_is_not_replaced_by_what_cannot_be(self, users: UserStorage) -> None:
        """Nobody, a name that is taken, a field that is none of the record's, one that may not be empty."""
        if not isinstance(users, SupportsUserReplacement):
            return
        made = await users.create_user(new("alice"))
        await users.create_user(new("bob"))
        unknown = made.id + 1000 if isinstance(made.id, int) else "nobody"
        assert await users.replace_user(unknown, {}, {"state": UserState.disabled}) is False
        assert await users.replace_user(made.id, {"email": "a@example.com"}, {"state": UserState.disabled}) is False
        for name, code in (("BOB", ErrorCode.UserExists), ("\x00", ErrorCode.BadRequest), (None, ErrorCode.BadRequest)):
            with refused(code):
                await users.replace_user(made.id, {"state": UserState.active}, {"username": name})
        with refused(ErrorCode.BadRequest):
            await users.replace_user(made.id, {"username": "\ud800"}, {})
        assert (await users.get_user_by_id(made.id)).user == made
        assert await users.replace_user(made.id, {"id": made.id, "username": "alice"}, {}) is True

    async def test_a_credential_that_becomes_another_gives_a_new_stamp(self, users: UserStorage) -> None:
        """By whichever method it is written; nothing else does. Without stamps a digest takes their place."""
        made = await users.create_user(new("alice", email="a@example.com"), {"password": "one"})

        async def stamp() -> str:
            return credential_stamp(await users.get_user_by_id(made.id, ANY), users.credentials)

        seen = {await stamp()}
        changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"username": "Alice"}, {}), ({"email": "b@example.com"}, {}), ({"state": UserState.disabled}, {}),
            ({"factor2": "totp"}, {}), ({}, {"password": "two"}), ({}, {"totpsecret": "t"}),
        ]  # fmt: skip
        for fields, secrets in changes:
            await users.update_user({"id": made.id, **fields}, secrets)
            assert await stamp() not in seen, (fields, secrets)
            seen.add(await stamp())
        before = await stamp()
        await users.update_user({"id": made.id, "username": "Alice", "state": UserState.disabled, "admin": True})
        await users.update_user({"id": made.id}, {"otp": "123456", "expiry": 1})
        assert await stamp() == before
        await users.update_user({"id": made.id, "security_stamp": "chosen"})
        assert await stamp() == before, "nobody chooses it"
        assert await users.replace_user(made.id, {}, {"email": "c@example.com"})
        assert await stamp() not in seen
        if isinstance(users, SupportsSecretReplacement):
            before = await stamp()
            assert await users.replace_secret(made.id, "password", "two", "three")
            assert await stamp() != before

    async def test_the_same_secret_in_another_form_keeps_the_stamp(self, users: UserStorage) -> None:
        """Where there are stamps: a digest that stands in for one cannot tell."""
        made = await users.create_user(new("alice"), {"password": "weak"})
        assert await users.rewrite_secret(made.id, "password", "other", "strong") is False
        if await users.rewrite_secret(made.id, "password", "weak", "strong"):
            found = await users.get_user_by_id(made.id)
            assert found.secrets.password == "strong"
            if not is_digest(credential_stamp(found, users.credentials)):
                assert found.user.security_stamp == made.security_stamp

    async def test_user_and_secrets_are_replaced_together_or_not_at_all(self, users: UserStorage) -> None:
        """Where stamp and secrets are as expected."""
        made = await users.create_user(new("alice"), {"password": "one"})
        stamp = credential_stamp(await users.get_user_by_id(made.id), users.credentials)
        wrong: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"security_stamp": "another"}, {}), ({"security_stamp": stamp}, {"password": "two"}),
            ({"security_stamp": stamp}, {"totpsecret": "t"}), ({"state": UserState.disabled}, {"password": "one"}),
        ]  # fmt: skip
        for expected, secrets in wrong:
            done = await users.replace_user(
                made.id, expected, {"username": "eve"}, expected_secrets=secrets, secrets={"password": "eve"}
            )
            assert done is False, (expected, secrets)
        found = await users.get_user_by_id(made.id)
        assert (found.user.username, found.secrets.password) == ("alice", "one")
        assert await users.replace_user(
            made.id, {"security_stamp": stamp}, {"username": "Ally"},
            expected_secrets={"password": "one", "totpsecret": None}, secrets={"password": "two", "totpsecret": "t"},
        )  # fmt: skip
        found = await users.get_user_by_id(made.id)
        assert (found.user.username, found.secrets.password, found.secrets.totpsecret) == ("Ally", "two", "t")
        assert await users.replace_user(made.id, {"security_stamp": stamp}, {"username": "eve"}) is False

    async def test_of_many_who_replace_a_password_at_once_one_does(self, users: UserStorage) -> None:
        """In one transaction; a storage that only has what is abstract promises less, and is not asked."""
        if type(users).replace_user is UserStorage.replace_user:
            return
        made = await users.create_user(new("alice"), {"password": "one"})
        expected = {"security_stamp": credential_stamp(await users.get_user_by_id(made.id), users.credentials)}
        tries = [users.replace_user(made.id, expected, {}, secrets={"password": f"new{n}"}) for n in range(10)]
        results = await asyncio.gather(*tries)
        assert sorted(results) == [False] * 9 + [True]
        assert (await users.get_user_by_id(made.id)).secrets.password == f"new{results.index(True)}"

    async def test_a_secret_of_an_applications_factor_is_kept_like_the_others(self, users: UserStorage) -> None:
        """By its name and beside the others, where the storage says that it can be kept."""
        if not (users.can_keep_secret("word") and users.can_keep_secret("hint")):
            return
        made = await users.create_user(new("alice"), {"password": "one", "word": "blue"})
        before = credential_stamp(await users.get_user_by_id(made.id), users.credentials)
        await users.update_user({"id": made.id}, {"hint": 7})
        found = await users.get_user_by_id(made.id)
        assert [found.secrets.get(name) for name in ("password", "word", "hint", "other")] == ["one", "blue", 7, None]
        assert credential_stamp(found, users.credentials) != before, "it is a credential"
        wrong: tuple[dict[str, str | None], ...] = ({"word": "red"}, {"other": "x"}, {"word": None})
        for expected in wrong:
            done = await users.replace_user(made.id, {}, {}, expected_secrets=expected, secrets={"word": "eve"})
            assert done is False, expected
        expected = {"word": "blue", "other": None}
        assert await users.replace_user(made.id, {}, {}, expected_secrets=expected, secrets={"word": None})
        found = await users.get_user_by_id(made.id)
        assert [found.secrets.get(name) for name in ("password", "word", "hint")] == ["one", None, 7]
        if type(users).replace_user is not UserStorage.replace_user:
            tries = [
                users.replace_user(made.id, {}, {}, expected_secrets={"word": None}, secrets={"word": f"new{n}"})
                for n in range(10)
            ]
            assert sorted(await asyncio.gather(*tries)) == [False] * 9 + [True]
            assert (await users.get_user_by_id(made.id)).secrets.get("hint") == 7
