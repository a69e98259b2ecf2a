"""The claims of verified tokens, kept for a while: a signature is as good the second time as the first."""

from __future__ import annotations

import math
from collections import OrderedDict
from hashlib import sha256
from sys import getsizeof
from threading import Lock
from typing import Any, Final, TypeAlias

# What verified a token, and the token's digest.
CacheName: TypeAlias = tuple[str, bytes]
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 64
_PER_ENTRY: Final = 300
_NESTED: Final = (dict, list)


class ClaimsCache:
    """Claims by the digest of their token and of the keys and policy that verified it; the least recently used go first.

    No token and no key is kept. What is handed out is a deep copy: whatever one caller does with it, the next one gets what
    the token says.

    Parameters:
        max_bytes: how much memory it may take, by the sizes of the objects it keeps.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[CacheName, tuple[dict[str, Any], int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @staticmethod
    def name(token: str, key_id: str) -> CacheName:
        """The name that the claims of a token are kept under; `key_id` is the identity of what verified it."""
        return key_id, sha256(token.encode()).digest()

    def get(self, name: CacheName) -> dict[str, Any] | None:
        """A copy of what is kept under a name."""
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                return None
            self._kept.move_to_end(name)
        claims: dict[str, Any] = copied(found[0])
        return claims

    def put(self, name: CacheName, claims: dict[str, Any], size: int | None = None) -> None:
        """Keep a copy of claims, and forget others as far as that needs their room.

        Parameters:
            name: from `name`.
            claims: of a verified token.
            size: the memory that they take, about; what `size_of` says by default.
        """
        size = (size_of(claims) if size is None else size) + _PER_ENTRY
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
        return {name: copied(inner) if type(inner) in _NESTED else inner for name, inner in value.items()}
    if type(value) is list:
        return [copied(inner) if type(inner) in _NESTED else inner for inner in value]
    return value


def size_of(value: Any, depth: int = MAX_DEPTH) -> int:
    """The bytes that a JSON value takes in memory.

    Raises:
        ValueError: for what no token of ours holds: deeper nesting than `depth`, infinity, a lone surrogate.
    """
    kind, size = type(value), getsizeof(value)
    if kind is dict or kind is list:
        if depth == 0:
            raise ValueError("nested too deep")
        for part in (*value, *value.values()) if kind is dict else value:
            inner = type(part)
            is_plain = inner is int or (inner is str and part.isascii())
            size += getsizeof(part) if is_plain else size_of(part, depth - 1)
    elif kind is str:
        value.encode()
    elif kind is float and not math.isfinite(value):
        raise ValueError("not finite")
    return size
