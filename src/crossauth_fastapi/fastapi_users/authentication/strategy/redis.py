"""Random tokens in Redis."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Generic

from crossauth_backend.storages.redis.keys import RedisKeyStorage
from crossauth_fastapi.fastapi_users.authentication.strategy.base import MAX_PER_USER
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import KeyStorageStrategy
from crossauth_fastapi.fastapi_users.models import ID, UP


class RedisStrategy(KeyStorageStrategy[UP, ID], Generic[UP, ID]):
    """Random tokens, kept hashed in Redis, which deletes them when they expire.

    Parameters:
        redis: a client of `redis.asyncio`, best from `open_redis`; whether it decodes replies does not matter.
        lifetime_seconds: seconds a token is good; `None` for ever.
        max_per_user: see `KeyStorageStrategy`.
        key_prefix: goes before the name of everything kept there.
    """

    def __init__(
        self,
        redis: Any,
        lifetime_seconds: int | None = None,
        *,
        key_prefix: str = "fastapi_users_token:",
        max_per_user: int = MAX_PER_USER,
    ) -> None:
        super().__init__(_storage(redis, key_prefix), lifetime_seconds, max_per_user=max_per_user)
        self.redis = redis
        self.key_prefix = key_prefix


# Strategies are made for every request, clients are not.
@lru_cache(maxsize=16)
def _storage(redis: Any, prefix: str) -> RedisKeyStorage:
    return RedisKeyStorage(redis, {"prefix": prefix})
