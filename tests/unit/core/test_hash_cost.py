"""What one password hash may cost."""

from typing import Any

import pytest

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_cost import Argon2Parameters


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
