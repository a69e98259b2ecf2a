"""Password hashing: what is made, what is accepted from elsewhere, and how an old hash is replaced."""

import asyncio
import base64
import hashlib
import threading
from typing import Any

import argon2
import bcrypt
import pytest

from crossauth_backend import (
    Argon2Parameters,
    CrossauthError,
    ErrorCode,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    default_password_validator,
)
from crossauth_backend.core.passwords import PasswordHasher
from tests.support import CHEAP, PASSWORD

CHEAPEST = Argon2Parameters(memory_cost=8, time_cost=1, parallelism=1)
SALT = b"sixteen byte sal"


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def adapted(raw: bytes) -> str:
    return b64(raw).replace("+", ".")


def pbkdf2(digest: str, password: str, salt: bytes, rounds: int, length: int = 32) -> bytes:
    return hashlib.pbkdf2_hmac(digest, password.encode(), salt, rounds, length)


def colons(password: str, use_secret: str = "0", pepper: str = "") -> str:
    salt = "c2FsdHNhbHRzYWx0c2FsdA"
    fed = f"{salt}!{pepper}" if use_secret == "1" else salt
    hashed = base64.urlsafe_b64encode(pbkdf2("sha256", password, fed.encode(), 1000)).decode()
    return f"pbkdf2:sha256:32:1000:{use_secret}:{salt}:{hashed}"


HASHES = {
    "argon2id of another cost": argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=2).hash(PASSWORD),
    "pbkdf2 with colons": colons(PASSWORD),
    "pbkdf2 with colons, no padding": colons(PASSWORD).rstrip("="),
    "pbkdf2 of passlib": f"$pbkdf2-sha512$1000${adapted(SALT)}${adapted(pbkdf2('sha512', PASSWORD, SALT, 1000, 64))}",
    "bcrypt": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "scrypt": "$scrypt$ln=10,r=8,p=1$"
    + f"{b64(SALT)}${b64(hashlib.scrypt(PASSWORD.encode(), salt=SALT, n=1024, r=8, p=1, dklen=32))}",
}


@pytest.mark.parametrize("encoded", HASHES.values(), ids=HASHES.keys())
async def test_older_hashes_are_accepted_and_to_be_replaced(encoded: str) -> None:
    hasher = PasswordHasher(CHEAPEST)
    assert await hasher.verify(PASSWORD, encoded) is True
    assert await hasher.verify(PASSWORD + "x", encoded) is False
    assert await hasher.verify("", encoded) is False
    assert hasher.needs_rehash(encoded)


async def test_a_hash_of_ours_is_argon2id_at_the_recommended_cost() -> None:
    encoded = await PasswordHasher().hash(PASSWORD)
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not PasswordHasher().needs_rehash(encoded)
    assert encoded != await PasswordHasher().hash(PASSWORD), "salted"


BROKEN = [
    "", "!", "plain", "md5$abc", "$argon2id$garbage", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA", "pbkdf2:sha256", "$2b$xx",
    "pbkdf2:sha256:32:99999999999:0:c2FsdA:aGFzaA", "pbkdf2:nodigest:4:1:0:c2FsdA:aGFzaA", "$scrypt$ln=60,r=8,p=1$AAAA$AAAA",
    "$scrypt$r=8$AAAA$AAAA", "$pbkdf2-sha256$x$y$z", "pbkdf2:sha256:32:1000:1:c2FsdA:aGFzaA", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("encoded", BROKEN)
async def test_a_hash_that_cannot_be_read_is_no_match_and_no_500(encoded: str) -> None:
    users = InMemoryUserStorage()
    user = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
    factor = LocalPasswordAuthenticator(users, CHEAP)
    with pytest.raises(CrossauthError) as refused:
        await factor.authenticate_user(user, {"password": encoded}, {"password": PASSWORD})
    assert refused.value.code is ErrorCode.UsernameOrPasswordInvalid


@pytest.mark.parametrize("password", ["x" * 100, "é" * 40, "x" * 5000, "\ud800", "a\x00b", ""])
async def test_bcrypt_hashes_and_long_passwords(password: str) -> None:
    # bcrypt itself raises for more than 72 bytes, and stops at a NUL.
    encoded = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert await PasswordHasher(CHEAPEST).verify(password, encoded) is (password == "x" * 100)


@pytest.mark.parametrize("password", ["x" * 5000, "\ud800"])
async def test_what_cannot_be_hashed_is_refused(password: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        await PasswordHasher(CHEAPEST).hash(password)
    assert refused.value.code is ErrorCode.PasswordFormat


async def test_a_pepper_is_part_of_every_hash() -> None:
    plain, peppered = PasswordHasher(CHEAPEST), PasswordHasher(CHEAPEST, pepper="p" * 32)
    encoded = await peppered.hash(PASSWORD)
    assert await peppered.verify(PASSWORD, encoded) is True
    assert await plain.verify(PASSWORD, encoded) is False
    assert await peppered.verify(PASSWORD, colons(PASSWORD, "1", "p" * 32)) is True
    with pytest.raises(CrossauthError, match="secret"):
        LocalPasswordAuthenticator(InMemoryUserStorage(), {"enable_secret_for_password_hash": True})


async def test_nobody_costs_as_much_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counted(self: Any, encoded: Any, secret: Any) -> Any:
        done.append(str(encoded).rsplit("$", 2)[0])
        assert threading.current_thread() is not threading.main_thread(), "never on the event loop"
        return verify(self, encoded, secret)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    hasher = PasswordHasher(CHEAPEST)
    encoded = await hasher.hash(PASSWORD)
    for stored, password in ((encoded, "wrong"), (None, PASSWORD), (None, "x" * 9000), ("unreadable", PASSWORD)):
        done.clear()
        try:
            assert await hasher.verify(password, stored) is False
        except CrossauthError:
            assert stored == "unreadable"
        assert done == ["$argon2id$v=19$m=8,t=1,p=1"]


async def test_an_old_hash_is_replaced_at_the_next_login_and_never_brings_an_old_password_back() -> None:
    users = InMemoryUserStorage()
    factor = LocalPasswordAuthenticator(users, CHEAP)
    user = await users.create_user(
        {"username": "a b", "state": "active", "factor1": "f"}, {"password": colons(PASSWORD)}
    )

    async def stored() -> str:
        return str((await users.get_user_by_id(user.id)).secrets.password)

    await factor.authenticate_user(user, {"password": await stored()}, {"password": PASSWORD})
    assert (await stored()).startswith("$argon2id$")
    await users.update_user({"id": user.id}, {"password": colons(PASSWORD)})
    old = await stored()
    await users.update_user({"id": user.id}, {"password": "changed meanwhile"})
    await factor.authenticate_user(user, {"password": old}, {"password": PASSWORD})
    assert await stored() == "changed meanwhile"


async def test_many_hashes_at_once_do_not_block_the_loop() -> None:
    hasher = PasswordHasher(Argon2Parameters(memory_cost=4096, time_cost=2), threads=2)
    threads_before = set(threading.enumerate())
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    await asyncio.gather(*(hasher.hash(PASSWORD) for _ in range(8)))
    counter.cancel()
    assert turns > 100
    assert len(set(threading.enumerate()) - threads_before) == 2


def test_the_default_rules() -> None:
    assert default_password_validator({"password": PASSWORD}) == []
    assert default_password_validator({}) == ["Enter a password"]
    assert default_password_validator({"password": 7}) == ["Enter a password"]
    assert default_password_validator({"password": "."}) == ["Password must be at least 8 characters"]
    assert default_password_validator({"password": "X1" + "y" * 2000}) == ["Password must be at most 1024 characters"]
