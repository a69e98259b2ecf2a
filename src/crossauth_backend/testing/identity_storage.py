"""What every storage of accounts at other issuers must do."""

from __future__ import annotations

import asyncio
from typing import Any

from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.testing.expect import outcome, refused
from crossauth_backend.users.identities import MAX_NAME, MAX_SUBJECT, IdentityStorage

HERE, THERE = "https://issuer.example", "https://issuer.example/"
# Each would be somebody else, or nobody, in a storage that is not exact.
OTHERS: tuple[Any, ...] = (
    "Alice",
    "alice ",
    " alice",
    "alicé",
    "аlice",
    "alice\x00",
    "%",
    "_lice",
    "\ud800",
    "",
    "x" * 5000,
)


class IdentityStorageContract:
    """Subclass it and give it a fixture `identities`: an empty storage, whose users have whole numbers as ids."""

    async def test_an_account_is_found_as_it_was_linked(self, identities: IdentityStorage) -> None:
        """By issuer and subject."""
        assert await identities.link(HERE, "alice", 1, "Alice <alice@example.com>") is True
        found = await identities.find(HERE, "alice")
        assert found is not None
        assert (found.iss, found.sub, found.userid, found.name) == (HERE, "alice", 1, "Alice <alice@example.com>")
        assert found.created.tzinfo is not None
        assert await identities.of_user(1) == [found]

    async def test_issuer_and_subject_are_compared_exactly(self, identities: IdentityStorage) -> None:
        """Another spelling is another account, and what cannot be stored is nobody's."""
        await identities.link(HERE, "alice", 1)
        assert await identities.find(THERE, "alice") is None
        for other in OTHERS:
            assert await identities.find(HERE, other) is None
            assert await identities.find(other, "alice") is None
            assert await identities.unlink(HERE, other, 1) is False

    async def test_what_cannot_be_stored_is_refused(self, identities: IdentityStorage) -> None:
        """Not cut, or two would be one."""
        for bad in ("", "x" * (MAX_SUBJECT + 1), "a\x00b", "\ud800", None, 1):
            with refused(ErrorCode.BadRequest):
                await identities.link(HERE, bad, 1)  # type: ignore[arg-type]
        for bad in ("", "x" * 5000, "a\x00b", "\ud800", None, 1):
            with refused(ErrorCode.BadRequest):
                await identities.link(bad, "alice", 1)  # type: ignore[arg-type]
        assert await identities.link(HERE, "x" * MAX_SUBJECT, 1) is True
        assert await identities.find(HERE, "x" * MAX_SUBJECT) is not None

    async def test_names_are_cut_to_what_can_be_stored(self, identities: IdentityStorage) -> None:
        """They are only shown."""
        await identities.link(HERE, "alice", 1, "a\x00\ud800\n" + "b" * 1000)
        found = await identities.find(HERE, "alice")
        assert found is not None
        assert found.name == "a" + "b" * (MAX_NAME - 1)

    async def test_an_account_is_one_users(self, identities: IdentityStorage) -> None:
        """It stays so until that user ends it."""
        assert await identities.link(HERE, "alice", 1) is True
        assert await identities.link(HERE, "alice", 1) is False
        with refused(ErrorCode.ConstraintViolation):
            await identities.link(HERE, "alice", 2)
        assert await identities.unlink(HERE, "alice", 2) is False
        assert await identities.unlink(HERE, "alice", 1) is True
        assert await identities.unlink(HERE, "alice", 1) is False
        assert await identities.link(HERE, "alice", 2) is True

    async def test_one_of_many_links_an_account(self, identities: IdentityStorage) -> None:
        """At the same time, too."""
        tries = [outcome(identities.link(HERE, "alice", userid)) for userid in range(1, 9)]
        done = await asyncio.gather(*tries)
        assert sorted(map(str, done)) == sorted(["None"] + [str(ErrorCode.ConstraintViolation)] * 7)

    async def test_a_user_may_have_several(self, identities: IdentityStorage) -> None:
        """The oldest first."""
        for iss, sub in ((THERE, "alice"), (HERE, "alice"), (HERE, "alice2")):
            await identities.link(iss, sub, 1)
        await identities.link(HERE, "bob", 2)
        found = [(i.iss, i.sub) for i in await identities.of_user(1)]
        assert found == [(THERE, "alice"), (HERE, "alice"), (HERE, "alice2")]
        assert await identities.of_user(3) == []

    async def test_the_last_one_stays_where_it_is_to_stay(self, identities: IdentityStorage) -> None:
        """Also where all are unlinked at the same time."""
        subjects = [f"alice{n}" for n in range(5)]
        for sub in subjects:
            await identities.link(HERE, sub, 1)
        await identities.link(HERE, "bob", 2)
        done = await asyncio.gather(*(identities.unlink(HERE, sub, 1, keep_last=True) for sub in subjects))
        assert sorted(done) == [False, True, True, True, True]
        (left,) = await identities.of_user(1)
        assert await identities.unlink(HERE, left.sub, 1, keep_last=True) is False
        assert await identities.unlink(HERE, left.sub, 1) is True
        assert [i.sub for i in await identities.of_user(2)] == ["bob"]

    async def test_accounts_of_a_user_who_is_gone(self, identities: IdentityStorage) -> None:
        """Are nobody's; those of others stay."""
        for sub, userid in (("a", 1), ("b", 1), ("c", 2)):
            await identities.link(HERE, sub, userid)
        await identities.delete_all_for_user(1)
        await identities.delete_all_for_user(1)
        assert await identities.find(HERE, "a") is None
        assert await identities.of_user(1) == []
        assert [i.sub for i in await identities.of_user(2)] == ["c"]
