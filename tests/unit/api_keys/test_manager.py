"""What a key is worth, and when it ends."""

import math
from datetime import timedelta

import pytest

from crossauth_backend import ApiKeyManager, CrossauthError, ErrorCode, InMemoryKeyStorage, RequestedBy, UserState
from crossauth_backend.api_keys.rules import missing_scopes
from crossauth_backend.keys.storage import KeyStorage
from tests.support import SECRET
from tests.unit.api_keys.support import Interrupted, Keeper, add_user, fail, outcome, refused

DAY = 86400


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


async def test_a_key_ends_by_default(keeper: Keeper) -> None:
    token = (await keeper.manager.create_key("ci")).token
    keeper.later(days=90, seconds=-1)
    assert await keeper.code(token) is None
    keeper.later(seconds=1)
    assert await keeper.code(token) is ErrorCode.Expired
    assert await keeper.manager.list_keys(None) == []


async def test_a_key_lives_as_long_as_is_said(keeper: Keeper) -> None:
    short = await keeper.manager.create_key("short", expiry=60)
    ever = await keeper.manager.create_key("ever", expiry=None)
    by_option = await Keeper(keeper.keys, keeper.users, default_expiry=None).manager.create_key("ever")
    assert short.key.expires == keeper.now + timedelta(seconds=60)
    assert ever.key.expires is by_option.key.expires is None
    keeper.later(days=36500)
    assert await keeper.code(short.token) is ErrorCode.Expired
    assert await keeper.code(ever.token) is None


@pytest.mark.parametrize("expiry", [0, -1, 1.5, "60", True, math.inf, math.nan, 10**12])
async def test_a_lifetime_that_cannot_be_is_refused(keeper: Keeper, expiry: object) -> None:
    with refused(ErrorCode.BadRequest):
        await keeper.manager.create_key("ci", expiry=expiry)  # type: ignore[arg-type]


async def test_a_key_keeps_what_it_was_made_with(keeper: Keeper) -> None:
    alice = await keeper.alice()
    made = await keeper.manager.create_key(
        " ci é ", alice.id, {"team": {"a": [1]}, "scope": ["x"]}, 60, {"column": 1}, scope=["read", "write", "read"]
    )
    found = await keeper.manager.verify(made.token)
    assert found.user == alice
    assert (found.key.name, found.key.scope, found.key.extra["column"]) == ("ci é", ("read", "write"), 1)
    assert KeyStorage.decode_data(found.key.data)["team"] == {"a": [1]}
    assert missing_scopes(found.key, ["read", "admin"]) == ["admin"]
    assert missing_scopes((await keeper.manager.create_key("none")).key, ["read"]) == ["read"]


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\x00", "a\nb", "\ud800", "\u202eevil"])
async def test_a_name_that_cannot_be_is_refused(keeper: Keeper, name: str) -> None:
    made = await keeper.manager.create_key("ci")
    for call in (keeper.manager.create_key(name), keeper.manager.rename_key(None, made.key.id, name)):
        assert await outcome(call) is ErrorCode.FormEntry


@pytest.mark.parametrize("scope", ["read", ["a b"], [""], ["é"], ['"'], [1], ["a" * 129], [str(n) for n in range(101)]])
async def test_a_scope_that_cannot_be_is_refused(keeper: Keeper, scope: object) -> None:
    with refused(ErrorCode.InvalidScope):
        await keeper.manager.create_key("ci", scope=scope)  # type: ignore[arg-type]


def nested() -> dict[str, object]:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    return deep


async def test_data_that_cannot_be_are_refused(keeper: Keeper) -> None:
    for data in ({"crossauth": {"id": "x"}}, {"a": object()}, {"a": math.nan}, {"a": "x" * 20_000}, nested()):
        assert await outcome(keeper.manager.create_key("ci", None, data)) is ErrorCode.BadRequest
    assert await keeper.keys.get_all_for_user(None) == []


async def test_broken_data_end_a_key_and_it_can_still_be_revoked(keeper: Keeper) -> None:
    made = await keeper.manager.create_key("ci")
    for data in ("[]", "not JSON", "[" * 100_000):
        await keeper.keys.update_key({"value": made.key.value, "data": data})
        assert await keeper.code(made.token) is ErrorCode.InvalidKey
    [listed] = await keeper.manager.list_keys(None)
    await keeper.manager.revoke_key(None, listed.id)
    assert await keeper.keys.get_all_for_user(None) == []


async def test_what_is_stored_of_a_key_counts_at_once(keeper: Keeper) -> None:
    """What was read of a key before is good for as long as the stored key is the same."""
    made = await keeper.manager.create_key("ci", scope=["read", "write"])
    for _ in range(2):
        assert (await keeper.manager.verify(made.token)).key.scope == ("read", "write")
    await keeper.keys.update_data(made.key.value, "scope", ["read"])
    for _ in range(2):
        assert (await keeper.manager.verify(made.token)).key.scope == ("read",)
    await keeper.keys.update_key({"value": made.key.value, "expires": keeper.now})
    assert await keeper.code(made.token) is ErrorCode.Expired


async def test_strange_entries_of_ours_harm_nothing(keeper: Keeper) -> None:
    made = await keeper.manager.create_key("ci")
    for ours in ('{"until":Infinity}', '{"until":"x"}', '{"limit":[0,1]}', '{"limit":{}}', "[]", '{"id":{},"name":[]}'):
        await keeper.keys.update_key({"value": made.key.value, "data": f'{{"crossauth":{ours},"scope":"all"}}'})
        assert (await keeper.manager.get_key(made.token)).scope is None


async def test_a_disabled_or_deleted_user_has_no_key(keeper: Keeper) -> None:
    """But who chooses a new password keeps them; the answer says nothing of the account."""
    alice = await keeper.alice()
    token = (await keeper.manager.create_key("ci", alice.id)).token
    await keeper.users.update_user({"id": alice.id}, {"password": "another hash"})
    assert await keeper.code(token) is None
    for state in (UserState.disabled, UserState.password_reset_needed, "nonsense"):
        await keeper.users.update_user({"id": alice.id, "state": state})
        assert await keeper.code(token) is ErrorCode.InvalidKey
    await keeper.users.update_user({"id": alice.id, "state": UserState.active})
    assert await keeper.code(token) is None
    await keeper.users.delete_user_by_id(alice.id)
    assert await keeper.code(token) is ErrorCode.InvalidKey
    reasons = [event.reason for event in keeper.told if event.name.value == "api_key_refused"]
    assert reasons == ["UserNotActive"]


async def test_a_key_is_found_by_its_owner_only(keeper: Keeper) -> None:
    alice, bob = await keeper.alice(), await add_user(keeper.users, "bob")
    made = await keeper.manager.create_key("ci", alice.id)
    assert await keeper.manager.list_keys(bob.id) == []
    for call in (
        keeper.manager.rename_key(bob.id, made.key.id, "x"), keeper.manager.rotate_key(bob.id, made.key.id),
        keeper.manager.revoke_key(bob.id, made.key.id), keeper.manager.revoke_key(None, made.key.id),
    ):  # fmt: skip
        assert await outcome(call) is ErrorCode.InvalidKey
    assert await keeper.code(made.token) is None
    renamed = await keeper.manager.rename_key(alice.id, made.key.id, "deploy")
    assert renamed.name == (await keeper.manager.get_key(made.token)).name == "deploy"
    await keeper.manager.revoke_key(alice.id, made.key.id)
    assert await keeper.code(made.token) is ErrorCode.InvalidKey
    await keeper.manager.create_key("one", alice.id)
    await keeper.manager.create_key("two", alice.id)
    await keeper.manager.revoke_all(alice.id)
    assert await keeper.manager.list_keys(alice.id) == []
    assert keeper.names.count("api_key_revoked") == 3


async def test_a_user_has_at_most_so_many_keys(keeper: Keeper) -> None:
    keeper = Keeper(max_per_user=2)
    alice = await keeper.alice()
    first = await keeper.manager.create_key("one", alice.id, expiry=60)
    second = await keeper.manager.create_key("two", alice.id)
    with refused(ErrorCode.ConstraintViolation):
        await keeper.manager.create_key("three", alice.id)
    await keeper.manager.rotate_key(alice.id, second.key.id)
    with refused(ErrorCode.ConstraintViolation):
        await keeper.manager.create_key("three", alice.id)
    assert await keeper.code(first.token) is None
    keeper.later(seconds=60)
    await keeper.manager.create_key("three", alice.id)
    assert first.key.value not in {key.value for key in await keeper.keys.get_all_for_user(alice.id)}
    for n in range(3):
        await keeper.manager.create_key(f"nobody's {n}")


async def test_at_the_bound_the_last_of_many_is_refused() -> None:
    """Each begins just before another one writes, so that none sees the others when it begins."""
    keys = Interrupted()
    keeper = Keeper(keys, max_per_user=3)
    alice = await keeper.alice()
    codes: list[object] = []

    async def make(depth: int = 6) -> None:
        if depth:
            keys.before["save_key"] = lambda: make(depth - 1)
        codes.append(await outcome(keeper.manager.create_key(str(depth), alice.id)))

    await make()
    assert codes == [None] * 3 + [ErrorCode.ConstraintViolation] * 4
    assert len(await keeper.manager.list_keys(alice.id)) == 3


async def test_keys_that_look_at_each_other_are_never_too_many() -> None:
    """The second is stored before the first looks whether there is room."""
    keys = Interrupted()
    keeper = Keeper(keys, max_per_user=1)
    alice = await keeper.alice()
    keys.before["after save_key"] = lambda: outcome(keeper.manager.create_key("quick", alice.id))
    await outcome(keeper.manager.create_key("slow", alice.id))
    assert len(await keeper.manager.list_keys(alice.id)) <= 1
    await keeper.manager.revoke_all(alice.id)
    await keeper.manager.create_key("later", alice.id)


async def test_a_key_that_was_asked_for_with_old_credentials_is_not_made() -> None:
    """The password is changed while the key is being stored: whoever knew the old one gets no key that outlives it."""
    keys = Interrupted()
    keeper = Keeper(keys)
    alice = await keeper.alice()
    by = RequestedBy(stamp=alice.security_stamp)
    made = await keeper.manager.create_key("before", alice.id, by=by)

    async def new_password() -> None:
        await keeper.users.update_user({"id": alice.id}, {"password": "another hash"})

    keys.before["save_key"] = new_password
    with refused(ErrorCode.InvalidSession):
        await keeper.manager.create_key("late", alice.id, by=by)
    with refused(ErrorCode.InvalidSession):
        await keeper.manager.rotate_key(alice.id, made.key.id, by=by)
    assert [key.name for key in await keeper.manager.list_keys(alice.id)] == ["before"]
    assert await keeper.code(made.token) is None


async def test_an_administrator_who_is_none_any_more_makes_no_key(keeper: Keeper) -> None:
    alice, root = await keeper.alice(), await add_user(keeper.users, "root")
    by = RequestedBy(actor=root, address="192.0.2.1")
    await keeper.manager.create_key("for alice", alice.id, by=by)
    assert (keeper.told[-1].actor, keeper.told[-1].userid, keeper.told[-1].address) == (root.id, alice.id, "192.0.2.1")
    await keeper.users.update_user({"id": root.id, "state": UserState.disabled})
    with refused(ErrorCode.UserNotActive):
        await keeper.manager.create_key("late", alice.id, by=by)
    await keeper.users.delete_user_by_id(root.id)
    with refused(ErrorCode.InvalidSession):
        await keeper.manager.create_key("late", alice.id, by=by)
    with refused(ErrorCode.UserNotExist):
        await keeper.manager.create_key("nobody's", 4711)
    assert len(await keeper.manager.list_keys(alice.id)) == 1


async def test_a_key_that_cannot_be_finished_leaves_nothing() -> None:
    keys = Interrupted()
    keeper = Keeper(keys)
    keys.before["after save_key"] = fail
    with refused(ErrorCode.Connection):
        await keeper.manager.create_key("ci")
    assert await keys.get_all_for_user(None) == []


async def test_use_is_told_once_and_written_behind(keeper: Keeper) -> None:
    token = (await keeper.manager.create_key("ci")).token
    for _ in range(3):
        key = (await keeper.manager.verify(token, "192.0.2.7")).key
    assert key.lastactive is None
    await keeper.manager.close()
    first = keeper.now
    assert (await keeper.manager.get_key(token)).lastactive == first
    keeper.later(seconds=59)
    await keeper.manager.verify(token)
    await keeper.manager.close()
    assert (await keeper.manager.get_key(token)).lastactive == first
    keeper.later(seconds=1)
    await keeper.manager.verify(token)
    await keeper.manager.close()
    assert (await keeper.manager.get_key(token)).lastactive == keeper.now
    assert keeper.names == ["api_key_created", "api_key_used"]
    assert (keeper.told[1].client, keeper.told[1].address) == (key.id, "192.0.2.7")


async def test_a_refusal_is_told_once_an_hour(keeper: Keeper) -> None:
    tokens = [(await keeper.manager.create_key(str(n), expiry=60)).token for n in range(2)]
    keeper.later(seconds=60)
    for _ in range(3):
        for token in tokens:
            assert await keeper.code(token) is ErrorCode.Expired
    assert keeper.names.count("api_key_refused") == 2
    keeper.later(hours=1)
    await keeper.code(tokens[0])
    await keeper.code(tokens[0])
    assert keeper.names.count("api_key_refused") == 3


async def test_without_users_keys_are_checked_alone() -> None:
    """As documented: the constructor needs no more than a storage and a secret."""
    manager = ApiKeyManager(InMemoryKeyStorage(), {"secret": SECRET})
    made = await manager.create_key("ci", 7)
    found = await manager.verify(made.token)
    assert (found.user, found.key.userid, manager.prefix, manager.auth_scheme) == (None, 7, "api:", "ApiKey")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secret": None}, "CROSSAUTH_SECRET"),
        ({"secret": "short"}, "at least 32"),
        ({"token_prefix": "xa"}, "token_prefix.*underscore"),
        ({"token_prefix": "x a_"}, "token_prefix"),
        ({"token_prefix": "x" * 20 + "_"}, "token_prefix"),
        ({"prefix": "s:"}, "prefix"),
        ({"prefix": "s:api"}, "prefix"),
        ({"prefix": ""}, "prefix"),
        ({"prefix": "é"}, "prefix"),
        ({"auth_scheme": "Api Key"}, "auth_scheme"),
        ({"auth_scheme": ""}, "auth_scheme"),
        ({"key_length": 8}, "key_length.*at least 16"),
        ({"default_expiry": 0}, "default_expiry.*at least 1"),
        ({"max_per_user": 0}, "max_per_user.*at least 1"),
        ({"rotation_overlap": -1}, "rotation_overlap.*at least 0"),
        ({"attempt_limits": {"api_keys": (1, 1)}}, "did you mean 'api_key'"),
        ({"expiry": 1}, "did you mean 'default_expiry'"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(CrossauthError, match=said) as refusal:
        ApiKeyManager(InMemoryKeyStorage(), {"secret": SECRET, **options})
    assert refusal.value.code is ErrorCode.Configuration
    assert "short" not in refusal.value.message.split("at least")[0] or options.get("secret") != "short"
