"""Hashes that cost next to nothing, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from argon2 import PasswordHasher as Argon2

from crossauth_backend.core.passwords import PasswordHasher

_CHEAP: Final = Argon2(time_cost=1, memory_cost=8, parallelism=1)
_CHEAP_PREFIX: Final = "$argon2id$v=19$m=8,t=1,p=1$"


class _CheapHasher(PasswordHasher):
    """As a hasher that is there, at the least cost."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self.__dict__.update(hasher.__dict__)
        self._argon2 = _CHEAP


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """Create hashes at the least cost in the block, in the whole process. Outside of it they are replaced at the next login."""
    hash_now, needs_rehash = PasswordHasher.hash_now, PasswordHasher.needs_rehash

    def cheap_hash(hasher: PasswordHasher, password: str) -> str:
        return hash_now(_CheapHasher(hasher), password)

    def keeps_cheap(hasher: PasswordHasher, encoded: str) -> bool:
        return not encoded.startswith(_CHEAP_PREFIX) and needs_rehash(hasher, encoded)

    with patch.multiple(PasswordHasher, hash_now=cheap_hash, needs_rehash=keeps_cheap):
        yield
