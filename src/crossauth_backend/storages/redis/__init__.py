"""Keys in Redis."""

from crossauth_backend.storages.redis.client import open_redis
from crossauth_backend.storages.redis.keys import RedisKeyStorage

__all__ = ["RedisKeyStorage", "open_redis"]
