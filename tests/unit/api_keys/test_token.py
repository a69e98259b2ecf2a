"""The text of keys: recognizable, checked without a read, whatever is sent instead of one."""

import base64
import hmac
import json
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend import ApiKeyManager, ErrorCode
from tests.support import SECRET
from tests.unit.api_keys.support import Interrupted, Keeper

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
GARBAGE = [
    "", " ", ".", "..", "a.b", "xa_", "xa_.", "\x00", "xa_\x00", "\ud800", "xa_" + "é" * 49, "x" * 100_000, "." * 100_000,
    "[" * 100_000 + ".x", "xa_" + "A" * 49, "xa_" + " " * 49, "xa_" + "\n" * 49, "ApiKey ApiKey", "Infinity", "xa_" * 500,
]  # fmt: skip


def signed(payload: object, secret: str = SECRET, in_hex: bool = True) -> str:
    """A key as other systems of this kind make it."""
    text = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    mac = hmac.digest(secret.encode(), text.encode(), "sha256")
    return f"{text}.{mac.hex() if in_hex else base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_a_key_has_a_prefix_and_a_checksum_that_scanners_can_check() -> None:
    keeper = Keeper()
    token = (await keeper.manager.create_key("ci")).token
    assert re.fullmatch(r"xa_[A-Za-z0-9]{49}", token)
    check, number = 0, zlib.crc32(token[:-6].encode())
    for digit in token[-6:]:
        check = check * 62 + DIGITS.index(digit)
    assert check == number
    other = (await Keeper(token_prefix="acme2_", key_length=16).manager.create_key("ci")).token
    assert re.fullmatch(r"acme2_[A-Za-z0-9]{28}", other)


async def test_only_a_hash_is_stored() -> None:
    keeper = Keeper()
    made = await keeper.manager.create_key("ci")
    stored = await keeper.keys.get_all_for_user(None)
    assert made.token not in repr(made) + repr(stored) + stored[0].data + stored[0].value
    assert stored[0].value == ApiKeyManager.hashSignedApiKeyValue(made.token) == made["key"]["value"]
    assert made.token.startswith(made.key.hint)
    assert len(made.key.hint) == 7


async def test_what_is_no_key_is_refused_without_a_read() -> None:
    keys = Interrupted()
    keeper = Keeper(keys)
    token = (await keeper.manager.create_key("ci")).token
    wrong = [token[:-1], token + "0", token[::-1], token.swapcase(), token.replace("xa_", "xb_")]
    for n in range(len(token)):
        other = "a" if token[n] != "a" else "b"
        wrong.append(token[:n] + other + token[n + 1 :])
    for text in [*wrong, *GARBAGE, signed({"v": "x"}, "another secret")]:
        assert await keeper.code(text) is ErrorCode.InvalidKey
    assert keys.reads == 0
    assert await keeper.code(token) is None
    assert keys.reads == 1
    assert keeper.names == ["api_key_created", "api_key_used"]


@given(st.text(max_size=600))
async def test_any_text_is_refused(text: str) -> None:
    manager = ApiKeyManager(Interrupted(), {"secret": SECRET})
    for call in (manager.get_key, manager.validate_token):
        with pytest.raises(Exception, match="is invalid") as refused:
            await call(text)
        assert refused.value.code is ErrorCode.InvalidKey
    assert ApiKeyManager.hashSignedApiKeyValue(text).startswith("api:")


@pytest.mark.parametrize("in_hex", [True, False])
async def test_a_key_of_the_documented_format_works(in_hex: bool) -> None:
    """Stored by another system: under the hash of its value, its name in a column."""
    keeper = Keeper()
    alice = await keeper.alice()
    token = signed({"v": "a value", "t": 1, "s": "salt"}, in_hex=in_hex)
    value = ApiKeyManager.hashSignedApiKeyValue(token)
    assert value == "api:" + base64.urlsafe_b64encode(__import__("hashlib").sha256(b"a value").digest()).decode()[:-1]
    await keeper.keys.save_key(alice.id, value, keeper.now, None, '{"scope":["read"]}', {"name": "old"})
    key = await keeper.manager.validate_token(f"ApiKey {token}")
    assert (key.name, key["name"], key.scope, key.userid, key.expires) == ("old", "old", ("read",), alice.id, None)
    assert await keeper.code(token[:-1]) is ErrorCode.InvalidKey
    [listed] = await keeper.manager.list_keys(alice.id)
    new = await keeper.manager.rotate_key(alice.id, listed.id)
    assert new.token.startswith("xa_")
    assert (new.key.name, new.key.scope, new.key.expires) == ("old", ("read",), None)
    assert await keeper.code(new.token) is None
    await keeper.manager.revoke_key(alice.id, listed.id)
    assert await keeper.code(token) is await keeper.code(new.token) is ErrorCode.InvalidKey


@pytest.mark.parametrize(
    "payload", [{}, [], "v", None, 1, {"v": 1}, {"v": ""}, {"v": None}, {"v": {"v": "x"}}, {"V": "x"}, {"v": ["x"]}]
)
async def test_a_signed_text_that_says_no_value_is_refused(payload: object) -> None:
    assert await Keeper().code(signed(payload)) is ErrorCode.InvalidKey


async def test_the_scheme_of_the_header_counts() -> None:
    keeper = Keeper()
    token = (await keeper.manager.create_key("ci")).token
    for header in (f"ApiKey {token}", f"apikey  {token} ", f"APIKEY {token}"):
        assert (await keeper.manager.validate_token(header)).name == "ci"
    for header in (
        token,
        f"Bearer {token}",
        f"ApiKey{token}",
        "ApiKey",
        "ApiKey ",
        f" ApiKey {token}",
        f"ApiKey\t{token}",
    ):
        with pytest.raises(Exception, match="is invalid"):
            await keeper.manager.validate_token(header)
    own = Keeper(keeper.keys, keeper.users, auth_scheme="Token")
    assert (await own.manager.validate_token(f"Token {token}")).name == "ci"
