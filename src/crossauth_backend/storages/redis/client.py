"""Clients of Redis, and what can go wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from crossauth_backend.core.errors import CrossauthError, ErrorCode

RedisClient: TypeAlias = Redis | RedisCluster

# A dead server is noticed in seconds and said; a connection that it dropped is made again once.
_TIMEOUT: Final = 2.0
_RETRIES: Final = 2


def open_redis(url: str, *, cluster: bool = False, **options: Any) -> RedisClient:
    """A client for a Redis URL, with timeouts short enough for requests: `redis://localhost:6379/0`.

    Parameters:
        url: the server, or with `cluster` any node of it.
        cluster: whether it is a Redis Cluster.
        options: for the client, such as `max_connections`.

    Raises:
        CrossauthError: `Configuration` for a URL that cannot be read.
    """
    retry = Retry(ExponentialBackoff(cap=0.1, base=0.02), _RETRIES)
    settings = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, "retry": retry, **options}
    kind: Any = RedisCluster if cluster else Redis
    try:
        client: RedisClient = kind.from_url(url, decode_responses=False, **settings)
    except (ValueError, RedisError) as e:
        raise CrossauthError(ErrorCode.Configuration, f"The Redis URL cannot be read: {e}") from e
    return client


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what can go wrong on the way to Redis into the reason `Connection`; nothing of the exception is public."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as e:
        raise CrossauthError(ErrorCode.Connection, "The database cannot be reached", detail=repr(e), status=503) from e
