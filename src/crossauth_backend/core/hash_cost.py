"""What one password hash costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode

_MOST_LANES: Final = 2**24 - 1
_MOST_COST: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Parameters:
    """Cost of one hash: `memory_cost` in KiB, `time_cost` in passes, `parallelism` in lanes (RFC 9106 §3.1).

    Raises:
        CrossauthError: `Configuration` for a cost that no hash can have.
    """

    memory_cost: int = 19456
    time_cost: int = 2
    parallelism: int = 1

    def __post_init__(self) -> None:
        lanes = self.parallelism if type(self.parallelism) is int else 1
        least = {"parallelism": 1, "time_cost": 1, "memory_cost": 8 * lanes}
        for name, bound in least.items():
            value, most = getattr(self, name), _MOST_LANES if name == "parallelism" else _MOST_COST
            if type(value) is not int or not bound <= value <= most:
                raise CrossauthError(
                    ErrorCode.Configuration,
                    f"Argon2Parameters: {name!r} must be a whole number, at least {bound} and at most {most}",
                )


LEAST_COST: Final = Argon2Parameters(memory_cost=8, time_cost=1)
"""The least that a hash can cost; it protects nothing."""

# How many blocks of `least_cost` are open.
_open: list[None] = []


def costs_least() -> bool:
    """Return whether new hashes cost as little as they can at present."""
    return bool(_open)


@contextmanager
def least_cost() -> Iterator[None]:
    """Create hashes at the least cost in the block, in the whole process. For tests; nothing that serves uses it."""
    _open.append(None)
    try:
        yield
    finally:
        _open.pop()
