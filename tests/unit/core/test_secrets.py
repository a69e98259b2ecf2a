"""Randomness, signatures, ciphertexts, and how secrets are compared."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.secretoption import check_secret, ring_for
from crossauth_backend.core.secrets import (
    KeyRing,
    decrypt,
    derive_key,
    encrypt,
    equal,
    from_base64url,
    hash_token,
    random_value,
    sign,
    signature_matches,
    to_base64url,
    unsign,
    xor,
)
from crossauth_backend.core.typedcodes import random_base32, random_digits

SECRET, OTHER = "a secret that is long enough for a test", "another secret, long enough for a test"
KEY = derive_key(SECRET, "test")


def test_what_is_random_is_of_its_length_and_alphabet() -> None:
    assert len({random_value(16) for _ in range(100)}) == 100
    assert len(from_base64url(random_value(32))) == 32
    assert len(random_digits(6)) == 6
    assert random_digits(6).isdigit()
    code = random_base32(10, 5)
    assert (len(code), code[5]) == (11, "-")
    assert not set("".join(random_base32(100) for _ in range(20))) & set("IO01")
    assert {c for _ in range(200) for c in random_digits(6)} == set("0123456789")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("a", "a", True),
        ("a", b"a", True),
        ("a", "b", False),
        ("", "", True),
        ("é", "é", True),
        ("\ud800", "\ud801", False),
    ],
)
def test_secrets_are_compared_whatever_they_are(a: str | bytes, b: str | bytes, same: bool) -> None:
    assert equal(a, b) is same


def test_a_signature_is_of_its_key_purpose_and_place() -> None:
    signed = sign("a.b", KEY, "here")
    assert unsign(signed, KEY, "here") == "a.b"
    assert unsign(sign("", KEY), KEY) == ""
    for key, place in (
        (derive_key(SECRET, "other"), "here"),
        (derive_key(OTHER, "test"), "here"),
        (KEY, "there"),
        (KEY, ""),
    ):
        assert unsign(signed, key, place) is None
    for text in ("", ".", "a.b", signed[:-1], signed + "=", "x" + signed, "\ud800.\ud800", "a.b\x00." + signed[-43:]):
        assert unsign(text, KEY, "here") is None


def test_no_two_pairs_of_place_and_value_have_one_signature() -> None:
    signed = {
        sign(value, KEY, place).rpartition(".")[2]
        for value, place in (("b!c", "a"), ("c", "a!b"), ("b!c", ""), ("b", "a"))
    }
    assert len(signed) == 4
    # Nor does what is bound to nothing read like what is bound.
    values = ["b", "1!a!b", "0!!b", "0!!1!a!b", "0!!0!!b", "00!a!b", "!a!b", "1!a", "\u0661!a!b", "-1!a!b"]
    signed = {sign(value, KEY, place).rpartition(".")[2] for value in values for place in ("", "a", "0!", "1!a")}
    assert len(signed) == 4 * len(values)
    for value in values:
        assert unsign(sign(value, KEY), KEY) == value
        assert unsign(sign(value, KEY), KEY, "a") is None


def test_a_value_that_is_bound_to_nothing_is_signed_as_it_always_was() -> None:
    import hashlib
    import hmac

    for value in ("b", "alice", "a!b", "x1!a!b", ""):
        mac = hmac.new(KEY, value.encode(), hashlib.sha256).digest()
        assert sign(value, KEY) == f"{value}.{to_base64url(mac)}"


def test_the_documented_signature_is_hex_or_base64url() -> None:
    mac = "0b7c9bbc2fea6cc62b1ef73a3a1bbdf0ed5a0ca2ed58a4be2f8f8ccad9ef5e33"
    assert not signature_matches("text", mac, SECRET)
    import hashlib
    import hmac

    raw = hmac.new(SECRET.encode(), b"text", hashlib.sha256).digest()
    for form in (raw.hex(), to_base64url(raw), to_base64url(raw) + "="):
        assert signature_matches("text", form, SECRET)
        assert not signature_matches("Text", form, SECRET)
        assert not signature_matches("text", form, OTHER)
    assert not signature_matches("text", "", SECRET)


def test_a_ciphertext_is_of_its_key_and_whole() -> None:
    cipher = encrypt("é", KEY)
    assert decrypt(cipher, KEY) == "é"
    assert cipher != encrypt("é", KEY)
    raw = bytearray(from_base64url(cipher))
    raw[-1] ^= 1
    for bad, key in (
        (cipher, derive_key(OTHER, "test")),
        (to_base64url(bytes(raw)), KEY),
        ("", KEY),
        ("x", KEY),
        ("é", KEY),
        ("\ud800", KEY),
    ):
        with pytest.raises(CrossauthError) as refused:
            decrypt(bad, key)
        assert refused.value.code is ErrorCode.InvalidKey


def test_a_ring_reads_what_older_keys_wrote() -> None:
    old, new = KeyRing([OTHER], "p"), KeyRing([SECRET, OTHER], "p")
    cipher = old.encrypt("text")
    assert new.decrypt(cipher) == "text"
    assert not new.is_current(cipher)
    assert new.is_current(new.encrypt("text"))
    assert KeyRing.is_encrypted(cipher)
    assert not KeyRing.is_encrypted("text")
    for bad in (new.encrypt("text"), "text", "", "enc.", "enc.x.y", KeyRing([OTHER], "q").encrypt("text")):
        with pytest.raises(CrossauthError) as refused:
            old.decrypt(bad)
        assert refused.value.code is ErrorCode.InvalidKey


@pytest.mark.parametrize("text", ["a", "a=b", "a b", "+/+/", "é", "\ud800", "a\n", "AAAAA"])
def test_what_is_no_base64url(text: str) -> None:
    with pytest.raises(ValueError):
        from_base64url(text)


def test_base64url() -> None:
    assert to_base64url(b"\xfb\xff") == "-_8"
    assert from_base64url("-_8") == from_base64url("-_8=") == b"\xfb\xff"
    assert xor(b"ab", xor(b"ab", b"\x01\x02")) == b"\x01\x02"
    with pytest.raises(ValueError):
        xor(b"ab", b"a")
    assert hash_token("a") == hash_token(b"a") == "ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs"


@pytest.mark.parametrize("secret", [None, "", "x" * 31])
def test_a_secret_that_is_missing_or_short_stops_the_start_and_is_not_said(secret: str | None) -> None:
    with pytest.raises(CrossauthError, match="Shop: option 'secret'") as refused:
        check_secret(secret, "Shop")
    assert refused.value.code is ErrorCode.Configuration
    assert not secret or secret not in str(refused.value)
    assert check_secret(SECRET, "Shop") == SECRET


def test_a_ring_for_another_purpose_has_other_keys_of_the_same_order() -> None:
    first, second = "a first secret, long enough to use", "a second secret, long enough as well"
    ring = KeyRing([first, second], "one")
    other = ring_for(ring, "two")
    text = other.encrypt("x")
    assert other.decrypt(text) == "x"
    for wrong in (ring, ring_for(ring, "three"), KeyRing([first], "two")):
        with pytest.raises(CrossauthError):
            wrong.decrypt(text)
    old = ring_for(KeyRing([second], "one"), "two").encrypt("y")
    assert other.decrypt(old) == "y"
    assert other.is_current(text)
    assert not other.is_current(old)
