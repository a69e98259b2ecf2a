"""What every storage of keys must do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import ErrorCode
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import (
    Counter,
    KeyStorage,
    SupportsBoundedCounting,
    SupportsCounting,
    SupportsPurge,
    SupportsTake,
    SupportsTouch,
    SupportsTouches,
)
from crossauth_backend.testing.expect import outcome, refused

NOW = utc_now().replace(microsecond=678901)
GARBAGE: tuple[str, ...] = ("", "\x00", "\ud800", "x" * 5000, "s:%", "s:_", "' OR 1=1 --")


async def save(keys: KeyStorage, value: str, userid: Any = None, data: str = "", days: int = 1) -> None:
    """A key that expires after `days`."""
    await keys.save_key(userid, value, NOW, NOW + timedelta(days=days), data)


class KeyStorageContract:
    """Subclass it and give it a fixture `keys`: an empty storage; `user_ids` are two ids that it takes."""

    user_ids: tuple[Any, Any] = (1, 2)

    async def test_a_key_comes_back_as_it_was_stored(self, keys: KeyStorage) -> None:
        """With aware times, to the microsecond."""
        fields = {"lastactive": NOW + timedelta(minutes=1)}
        await keys.save_key(self.user_ids[0], "s:one", NOW, NOW + timedelta(days=1), '{"a":1}', fields)
        found = await keys.get_key("s:one")
        assert found == Key(
            value="s:one", created=NOW, expires=NOW + timedelta(days=1), userid=self.user_ids[0],
            lastactive=NOW + timedelta(minutes=1), data='{"a":1}',
        )  # fmt: skip
        await keys.save_key(None, "s:two", NOW)
        anonymous = await keys.get_key("s:two")
        assert (anonymous.userid, anonymous.expires, anonymous.lastactive, anonymous.data) == (None, None, None, "")

    async def test_an_expired_key_is_returned_as_it_is_or_gone(self, keys: KeyStorage) -> None:
        """Expiry is judged elsewhere; a storage may forget what has expired, and nothing else."""
        await save(keys, "s:old", days=-10)
        await asyncio.sleep(0.01)
        if await outcome(keys.get_key("s:old")) is None:
            assert (await keys.get_key("s:old")).expires == NOW - timedelta(days=10)
        else:
            assert not isinstance(keys, SupportsPurge)

    async def test_a_value_is_unique(self, keys: KeyStorage) -> None:
        """Also among requests at once."""
        results = await asyncio.gather(*(outcome(save(keys, "s:one")) for _ in range(10)))
        assert results.count(None) == 1
        assert results.count(ErrorCode.KeyExists) == 9

    async def test_an_unknown_key_is_refused_whatever_it_is(self, keys: KeyStorage) -> None:
        """In reads; deletions do nothing."""
        await save(keys, "s:one")
        for value in GARBAGE:
            with refused(ErrorCode.InvalidKey):
                await keys.get_key(value)
            assert await outcome(keys.delete_key(value)) in (None, ErrorCode.InvalidKey)
            with refused(ErrorCode.InvalidKey):
                await keys.update_data(value, "a", 1)
        assert (await keys.get_key("s:one")).value == "s:one"

    async def test_an_update_changes_what_is_given_and_nothing_else(self, keys: KeyStorage) -> None:
        """And brings no deleted key back."""
        await save(keys, "s:one", self.user_ids[0], '{"a":1}')
        await keys.update_key({"value": "s:one", "lastactive": NOW})
        changed = await keys.get_key("s:one")
        assert (changed.lastactive, changed.data, changed.userid) == (NOW, '{"a":1}', self.user_ids[0])
        await keys.update_key({"value": "s:one", "lastactive": None, "data": None})
        changed = await keys.get_key("s:one")
        assert (changed.lastactive, changed.data) == (None, "")
        await keys.delete_key("s:one")
        await keys.update_key({"value": "s:one", "lastactive": NOW})
        with refused(ErrorCode.InvalidKey):
            await keys.get_key("s:one")

    async def test_the_keys_of_a_user_end_together(self, keys: KeyStorage) -> None:
        """By prefix, but one; nobody else's."""
        own, other = self.user_ids
        for value, userid in (("s:1", own), ("s:2", own), ("p:3", own), ("s:4", other), ("s:5", None)):
            await save(keys, value, userid)
        await keys.delete_all_for_user(own, "s:", "s:2")
        assert {k.value for k in await keys.get_all_for_user(own)} == {"s:2", "p:3"}
        await keys.delete_all_for_user(own, "")
        assert await keys.get_all_for_user(own) == []
        assert [k.value for k in await keys.get_all_for_user(other)] == ["s:4"]
        assert [k.value for k in await keys.get_all_for_user(None)] == ["s:5"]
        await keys.delete_all_for_user(None, "s:")
        assert await keys.get_all_for_user(None) == []

    async def test_matching_keys_are_deleted_and_never_all_of_them(self, keys: KeyStorage) -> None:
        """Every given field must be equal; none given is a mistake."""
        own, other = self.user_ids
        await save(keys, "e:1", own, "a@example.com")
        await save(keys, "e:2", own, "b@example.com")
        await save(keys, "e:3", other, "a@example.com")
        with refused(ErrorCode.BadRequest):
            await keys.delete_matching({})
        await keys.delete_matching({"userid": own, "data": "a@example.com"})
        left = {k.value for u in (own, other) for k in await keys.get_all_for_user(u)}
        assert left == {"e:2", "e:3"}

    async def test_data_is_changed_in_place(self, keys: KeyStorage) -> None:
        """Nested by dots, several at once, removed where no value is given."""
        await save(keys, "s:one", data='{"a":{"b":1},"c":2}')
        await keys.update_data("s:one", "a.x", "é\U0001f511")
        await keys.update_many_data("s:one", [{"data_name": "d.e.f", "value": None}, {"data_name": "c"}])
        await keys.delete_data("s:one", "a.b")
        await keys.delete_data("s:one", "not.there")
        assert get_json_data(await keys.get_key("s:one")) == {"a": {"x": "é\U0001f511"}, "d": {"e": {"f": None}}}
        with refused(ErrorCode.BadRequest):
            await keys.update_data("s:one", "a", object())
        await save(keys, "e:text", data="not JSON")
        with refused(ErrorCode.DataFormat):
            await keys.update_data("e:text", "a", 1)

    async def test_no_change_of_data_is_lost(self, keys: KeyStorage) -> None:
        """Sixty writers at once."""
        await save(keys, "s:one")
        await asyncio.gather(*(keys.update_data("s:one", f"n{n}", n) for n in range(60)))
        assert get_json_data(await keys.get_key("s:one")) == {f"n{n}": n for n in range(60)}

    async def test_of_many_takers_one_gets_the_key(self, keys: KeyStorage) -> None:
        """Where the storage can take."""
        if not isinstance(keys, SupportsTake):
            return
        await save(keys, "p:one", self.user_ids[0])
        results = await asyncio.gather(*(outcome(keys.take_key("p:one")) for _ in range(20)))
        assert results.count(None) == 1
        assert results.count(ErrorCode.InvalidKey) == 19
        with refused(ErrorCode.InvalidKey):
            await keys.get_key("p:one")

    async def test_of_many_who_consume_a_key_one_is_the_first(self, keys: KeyStorage) -> None:
        """The others get the key too, and are told that they were not; nobody finds what never was."""
        await save(keys, "p:one", self.user_ids[0], "data")
        results = await asyncio.gather(*(keys.consume_key("p:one", NOW) for _ in range(20)))
        assert [consumed is not None and consumed.first for consumed in results].count(True) == 1
        for consumed in results:
            assert consumed is not None
            assert (consumed.key.userid, consumed.key.data, consumed.key.consumed) == (self.user_ids[0], "data", NOW)
        later = await keys.consume_key("p:one", NOW + timedelta(hours=1))
        assert later is not None
        assert (later.first, later.key.consumed) == (False, NOW)
        for value in ("p:none", *GARBAGE):
            assert await keys.consume_key(value, NOW) is None
            assert await keys.find_key(value) is None

    async def test_a_consumed_key_leaves_a_tombstone(self, keys: KeyStorage) -> None:
        """Which only those see who ask for it, and which keeps the value taken until it expires."""
        await save(keys, "p:one", self.user_ids[0])
        await save(keys, "p:two", self.user_ids[0])
        assert (await keys.find_key("p:one")) == await keys.get_key("p:one")
        await keys.consume_key("p:one", NOW)
        left = await keys.find_key("p:one")
        assert left is not None
        assert (left.consumed, left.expires) == (NOW, NOW + timedelta(days=1))
        assert await outcome(save(keys, "p:one")) is ErrorCode.KeyExists
        if type(keys).consume_key is not KeyStorage.consume_key:
            with refused(ErrorCode.InvalidKey):
                await keys.get_key("p:one")
            assert [key.value for key in await keys.get_all_for_user(self.user_ids[0])] == ["p:two"]
            if isinstance(keys, SupportsTake):
                with refused(ErrorCode.InvalidKey):
                    await keys.take_key("p:one")
        await keys.delete_all_for_user(self.user_ids[0], "p:")
        assert await keys.find_key("p:one") is None

    async def test_of_many_who_swap_data_one_succeeds(self, keys: KeyStorage) -> None:
        """Where it is what they expected; in a tombstone as well."""
        if type(keys).swap_data is KeyStorage.swap_data:
            return
        await save(keys, "g:one", data="0")
        swapped = await asyncio.gather(*(keys.swap_data("g:one", "0", str(n)) for n in range(1, 21)))
        assert swapped.count(True) == 1
        assert (await keys.get_key("g:one")).data == str(swapped.index(True) + 1)
        assert not await keys.swap_data("g:one", "0", "x")
        assert not await keys.swap_data("g:none", "", "x")
        await save(keys, "g:empty")
        assert await keys.swap_data("g:empty", "", "é")
        await keys.consume_key("g:empty", NOW)
        assert await keys.swap_data("g:empty", "é", "")
        assert (await keys.find_key("g:empty") or Key(value="", created=NOW)).data == ""

    async def test_a_swap_changes_the_data_and_nothing_else(self, keys: KeyStorage) -> None:
        """Neither when it expires nor whose it is; beside a consumption at the same time neither is lost."""
        if type(keys).swap_data is KeyStorage.swap_data:
            return
        fields = {"lastactive": NOW, "stamp": "a stamp"}
        await keys.save_key(self.user_ids[0], "g:one", NOW, NOW + timedelta(days=1), "0", fields)
        before = await keys.get_key("g:one")
        swapped, consumed = await asyncio.gather(keys.swap_data("g:one", "0", "1"), keys.consume_key("g:one", NOW))
        assert swapped
        assert consumed is not None
        assert consumed.first
        assert await keys.find_key("g:one") == replace(before, data="1", consumed=NOW)
        for value in GARBAGE:
            assert not await keys.swap_data(value, "", "x")
            assert not await keys.swap_data("g:one", f"{value}0", "x")
        with refused(ErrorCode.BadRequest):
            await keys.swap_data("g:one", "1", "\ud800")

    async def test_one_write_ends_a_family(self, keys: KeyStorage) -> None:
        """Tokens name their grant, and rotate by counting it up: once it is revoked, none of them can, whoever was at it."""
        if type(keys).swap_data is KeyStorage.swap_data:
            return
        await save(keys, "grant:1", self.user_ids[0], "0")

        async def write(new: str = "") -> bool:
            found = await keys.find_key("grant:1")
            assert found is not None
            if found.data == "revoked":
                return False
            return await keys.swap_data("grant:1", found.data, new or str(int(found.data) + 1))

        async def revoke() -> None:
            while not await write("revoked"):
                pass

        await asyncio.gather(*(write() for _ in range(5)), revoke(), *(write() for _ in range(5)))
        assert (await keys.get_key("grant:1")).data == "revoked"
        assert not await write()

    async def test_a_tombstone_goes_when_it_has_expired(self, keys: KeyStorage) -> None:
        """Where what has expired is thrown away; its value can be used again then."""
        if not isinstance(keys, SupportsPurge):
            return
        await save(keys, "p:one")
        await keys.consume_key("p:one", NOW)
        await keys.purge_expired(NOW)
        assert await outcome(save(keys, "p:one")) is ErrorCode.KeyExists
        await keys.purge_expired(NOW + timedelta(days=2))
        assert await keys.find_key("p:one") is None
        await save(keys, "p:one")

    async def test_keys_are_listed_by_the_beginning_of_their_value(self, keys: KeyStorage) -> None:
        """To the letter."""
        own = self.user_ids[0]
        for value in ("s:1", "s:2", "S:3", "s_4", "p:5"):
            await save(keys, value, own)
        await save(keys, "s:6")
        assert {key.value for key in await keys.get_all_for_user(own, "s:")} == {"s:1", "s:2"}
        assert {key.value for key in await keys.get_all_for_user(None, "s:")} == {"s:6"}
        await keys.delete_all_for_user(own, "s_")
        await keys.delete_all_for_user(own, "s:", "s:2")
        assert {key.value for key in await keys.get_all_for_user(own)} == {"s:2", "S:3", "p:5"}

    async def test_a_key_keeps_the_stamp_that_it_rests_on(self, keys: KeyStorage) -> None:
        """And none where none was given."""
        await keys.save_key(self.user_ids[0], "s:one", NOW, extra_fields={"lastactive": NOW, "stamp": "a stamp"})
        await save(keys, "s:two")
        assert (await keys.get_key("s:one")).stamp == "a stamp"
        assert (await keys.get_key("s:two")).stamp is None
        await keys.update_key({"value": "s:one", "stamp": None})
        assert (await keys.get_key("s:one")).stamp is None

    async def test_counters_lose_no_count(self, keys: KeyStorage) -> None:
        """Where the storage can count; several at once, up and down."""
        if not isinstance(keys, SupportsCounting):
            return
        soon = utc_now() + timedelta(hours=1)
        both = await asyncio.gather(*(keys.count_up({"n:a": soon, "n:b": soon}) for _ in range(20)))
        assert sorted(counts["n:a"] for counts in both) == list(range(1, 21))
        assert await keys.count_up({"n:b": soon, "n:c": soon}) == {"n:b": 21, "n:c": 1}
        assert await keys.count_up({"n:b": soon}, -1) == {"n:b": 20}
        assert await keys.count_up({}) == {}
        assert (await keys.get_key("n:a")).expires == soon

    async def test_counting_stops_one_beyond_the_most(self, keys: KeyStorage) -> None:
        """Also among requests at once; what comes after a counter that is beyond is not counted, and leaves no key."""
        if not isinstance(keys, SupportsBoundedCounting):
            return
        soon = utc_now() + timedelta(hours=1)

        def counter(name: str, most: int) -> Counter:
            return Counter(f"n:{name}", soon, most)

        async def count(first: str, then: str, most: int = 9) -> dict[str, int]:
            return await keys.count_within([counter(first, 3)], [counter(then, most)])

        assert await count("a", "b") == {"n:a": 1, "n:b": 1}
        assert await count("a", "b") == {"n:a": 2, "n:b": 2}
        assert await count("a", "c") == {"n:a": 3, "n:c": 1}
        assert await count("a", "d") == {"n:a": 4}
        assert await count("a", "e") == {}
        assert sorted(key.value for key in await keys.get_all_for_user(None)) == ["n:a", "n:b", "n:c"]
        assert (await keys.get_key("n:a")).data == "4"
        assert (await keys.get_key("n:c")).expires == soon
        assert await count("x", "b", 1) == {"n:x": 1}
        assert await keys.count_within([], [counter("b", 2), counter("f", 2)]) == {"n:b": 3, "n:f": 1}
        assert await keys.count_within([counter("g", 1)], []) == {"n:g": 1}
        many = [counter("h", 5)], [counter("i", 3)]
        results = await asyncio.gather(*(keys.count_within(*many) for _ in range(20)))
        assert sorted(found["n:h"] for found in results if "n:h" in found) == [1, 2, 3, 4, 5, 6]
        assert max(found.get("n:i", 0) for found in results) == 4

    async def test_a_thing_is_spent_once(self, keys: KeyStorage) -> None:
        """Among any number of calls at once."""
        now = utc_now()
        soon = now + timedelta(hours=1)
        first = await asyncio.gather(*(consume_once(keys, "thing", now, soon) for _ in range(20)))
        assert first.count(True) == 1
        assert await consume_once(keys, "other thing", now, soon)

    async def test_touches_are_written_together(self, keys: KeyStorage) -> None:
        """And never back in time; they bring no deleted key back."""
        if not isinstance(keys, SupportsTouches):
            return
        for value in ("s:1", "s:2"):
            await save(keys, value)
        later = NOW + timedelta(hours=1)
        await keys.touch_keys({"s:1": later, "s:2": NOW, "s:none": NOW})
        await keys.touch_keys({"s:1": NOW, "s:2": later})
        assert [(await keys.get_key(value)).lastactive for value in ("s:1", "s:2")] == [later, later]
        with refused(ErrorCode.InvalidKey):
            await keys.get_key("s:none")

    async def test_a_touch_writes_the_time_of_use(self, keys: KeyStorage) -> None:
        """And brings no deleted key back."""
        if not isinstance(keys, SupportsTouch):
            return
        await save(keys, "s:one")
        await keys.touch_key("s:one", NOW + timedelta(hours=1))
        assert (await keys.get_key("s:one")).lastactive == NOW + timedelta(hours=1)
        await keys.touch_key("s:none", NOW)
        with refused(ErrorCode.InvalidKey):
            await keys.get_key("s:none")

    async def test_what_has_expired_can_be_thrown_away(self, keys: KeyStorage) -> None:
        """And nothing else."""
        if not isinstance(keys, SupportsPurge):
            return
        await save(keys, "s:old", days=-1)
        await save(keys, "s:new")
        await keys.save_key(None, "s:ever", NOW)
        assert await keys.purge_expired(NOW, "n:") == 0
        assert await keys.purge_expired(NOW, "s:") == 1
        assert await keys.purge_expired(NOW) == 0
        assert sorted(k.value for k in await keys.get_all_for_user(None)) == ["s:ever", "s:new"]

    async def test_an_unknown_column_is_refused(self, keys: KeyStorage) -> None:
        """Column names never come from outside unchecked. A storage that takes any field has nothing to refuse."""
        name = 'x"; DROP TABLE "Key'
        results = {
            await outcome(keys.save_key(None, "s:one", NOW, extra_fields={name: 1})),
            await outcome(keys.delete_matching({name: 1})),
        }
        assert results <= {None, ErrorCode.BadRequest}
        await save(keys, "s:two")
        assert (await keys.get_key("s:two")).value == "s:two"

    async def test_the_oldest_keys_of_a_user_are_deleted(self, keys: KeyStorage) -> None:
        """By when they were made, whoever asks; of many at once none leaves fewer than are to be kept."""
        own, other = self.user_ids
        for number in range(8):
            made = NOW + timedelta(seconds=number)
            await keys.save_key(own, f"s:{number}", made, NOW + timedelta(days=1))
        await keys.save_key(own, "p:0", NOW, NOW + timedelta(days=1))
        await keys.save_key(other, "s:other", NOW, NOW + timedelta(days=1))
        await asyncio.gather(*(keys.delete_oldest_for_user(own, "s:", 3) for _ in range(5)))
        assert {key.value for key in await keys.get_all_for_user(own)} == {"s:5", "s:6", "s:7", "p:0"}
        assert [key.value for key in await keys.get_all_for_user(other)] == ["s:other"]
        assert await keys.delete_oldest_for_user(own, "s:", 3) == 0
