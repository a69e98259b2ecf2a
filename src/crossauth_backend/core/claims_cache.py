"""What signed tokens say, remembered for a while: a signature is as good the second time as the first."""

from __future__ import annotations

import sys
from collections import OrderedDict
from threading import Lock
from typing import Any, Final

from crossauth_backend.core.secrets import hash_token

MAX_BYTES: Final = 4 * 1024 * 1024
_PER_ENTRY: Final = 300


class ClaimsCache:
    """Claims by the digest of their token and of the key that verified it, those used longest ago forgotten first.

    No token is kept, and what is handed out is a copy through and through: whatever its receiver does with it, the next one
    gets what the token says.

    Parameters:
        max_bytes: how much memory it may take, by the sizes of the objects it keeps.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[dict[str, Any], int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @staticmethod
    def name(token: str, key_id: str) -> str:
        """Under what the claims of a token are kept; `key_id` names key and algorithm."""
        return hash_token(f"{key_id} {token}")

    def get(self, name: str) -> dict[str, Any] | None:
        """A copy of what is kept under a name."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                return None
            self._kept.move_to_end(name)
        claims: dict[str, Any] = copied(found[0])
        return claims

    def put(self, name: str, claims: dict[str, Any]) -> None:
        """Keep a copy of claims, and forget others as far as that needs their room."""
        size = size_of(claims) + _PER_ENTRY
        if size > self._max_bytes:
            return
        own = copied(claims)
        with self._lock:
            _, before = self._kept.pop(name, (None, 0))
            self._bytes += size - before
            self._kept[name] = (own, size)
            while self._bytes > self._max_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= gone


def copied(value: Any) -> Any:
    """A copy of a JSON value in which nothing that can be changed is shared with it."""
    if type(value) is dict:
        return {name: copied(inner) for name, inner in value.items()}
    if type(value) is list:
        return [copied(inner) for inner in value]
    return value


def size_of(value: Any) -> int:
    """The bytes that a JSON value takes in memory."""
    size = sys.getsizeof(value)
    if type(value) is dict:
        return size + sum(size_of(name) + size_of(inner) for name, inner in value.items())
    return size + (sum(map(size_of, value)) if type(value) is list else 0)
