"""What one password hash costs."""

from __future__ import annotations

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
