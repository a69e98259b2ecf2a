"""What one password hash may cost."""

from typing import Any

import pytest

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_cost import Argon2Parameters, costs_least, least_cost
from crossauth_backend.core.passwords import PasswordHasher, Verdict


def test_the_defaults_are_those_of_owasp() -> None:
    cost = Argon2Parameters()
    assert (cost.memory_cost, cost.time_cost, cost.parallelism) == (19456, 2, 1)


@pytest.mark.parametrize(
    "given",
    [
        {"time_cost": 0}, {"time_cost": True}, {"time_cost": 2.0}, {"time_cost": "2"}, {"time_cost": 2**32},
        {"parallelism": 0}, {"parallelism": 2**24}, {"memory_cost": 7}, {"memory_cost": 31, "parallelism": 4},
        {"memory_cost": None},
    ],
)  # fmt: skip
def test_a_cost_that_no_hash_can_have_is_refused_by_name(given: dict[str, Any]) -> None:
    """RFC 9106 §3.1: at least 8 KiB for each lane."""
    with pytest.raises(CrossauthError, match=next(iter(given))) as refused:
        Argon2Parameters(**given)
    assert refused.value.code is ErrorCode.Configuration


def test_the_least_that_can_be_is_accepted() -> None:
    assert Argon2Parameters(memory_cost=32, time_cost=1, parallelism=4).memory_cost == 32


def test_hashes_cost_least_in_the_block_only_whatever_happens_in_it() -> None:
    assert not costs_least()
    with least_cost():
        with least_cost():
            assert costs_least()
        assert costs_least()
    with pytest.raises(ZeroDivisionError), least_cost():
        raise ZeroDivisionError
    assert not costs_least()


def test_a_cheap_hash_is_replaced_outside_of_the_block_and_a_good_one_is_kept_inside() -> None:
    hasher = PasswordHasher()
    good = hasher.hash_now("correct horse")
    with least_cost():
        cheap = hasher.hash_now("correct horse")
        assert "m=8,t=1,p=1" in cheap
        assert hasher.check_now("correct horse", good) == Verdict(True, False)
        assert hasher.check_now("correct horse", cheap) == Verdict(True, False)
        assert not hasher.verify_now("correct horse", None)
    assert "m=19456,t=2,p=1" in good
    assert hasher.check_now("correct horse", cheap) == Verdict(True, True)
    assert not hasher.verify_now("correct horse", None)
