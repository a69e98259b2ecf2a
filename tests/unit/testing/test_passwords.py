"""Hashes that cost next to nothing, in tests only."""

import pytest

from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.core.passwords import PasswordHasher, Verdict
from crossauth_backend.testing.passwords import cheap_hashes

PASSWORD = "correct horse"


def test_hashes_are_cheap_in_the_block_only_whatever_happens_in_it() -> None:
    hasher = PasswordHasher()
    with cheap_hashes(), cheap_hashes():
        assert "m=8,t=1,p=1" in hasher.hash_now(PASSWORD)
    with pytest.raises(ZeroDivisionError), cheap_hashes():
        raise ZeroDivisionError
    assert "m=19456,t=2,p=1" in hasher.hash_now(PASSWORD)


def test_a_cheap_hash_is_replaced_outside_of_the_block_and_a_good_one_is_kept_inside() -> None:
    hasher = PasswordHasher(Argon2Parameters(memory_cost=16))
    good = hasher.hash_now(PASSWORD)
    with cheap_hashes():
        cheap = hasher.hash_now(PASSWORD)
        assert hasher.check_now(PASSWORD, good) == Verdict(True, False)
        assert hasher.check_now(PASSWORD, cheap) == Verdict(True, False)
        assert not hasher.verify_now("wrong", cheap)
        assert not hasher.verify_now(PASSWORD, None)
    assert hasher.check_now(PASSWORD, cheap) == Verdict(True, True)


def test_a_pepper_counts_in_cheap_hashes_too() -> None:
    with cheap_hashes():
        cheap = PasswordHasher(pepper="pepper").hash_now(PASSWORD)
    assert PasswordHasher(pepper="pepper").verify_now(PASSWORD, cheap)
    assert not PasswordHasher().verify_now(PASSWORD, cheap)
