"""Clients of Redis, and what can go wrong with one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError, ResponseError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import hide_values

RedisClient: TypeAlias = Redis | RedisCluster

# A dead server is noticed in seconds and said; a connection that it dropped is made again once.
_TIMEOUT: Final = 2.0
_RETRIES: Final = 2
RETRY_SECONDS: Final = 5
logger = logging.getLogger("crossauth.redis")


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
    except (ValueError, RedisError):
        # Not what is wrong with it: that may hold a part of the password.
        raise CrossauthError(
            ErrorCode.Configuration,
            "The Redis URL cannot be read: it is like redis://user:password@host:6379/0 (or rediss://, unix://), with every "
            "character of the password percent-encoded that is no letter or digit",
        ) from None
    return client


async def check_eviction(client: Any) -> None:
    """Make sure that the server throws nothing away that has not expired.

    Sessions that are ended are found by an index, and what was used once by a mark: where Redis evicts either of them, a login
    that was ended goes on, and a link that was used counts again.

    Parameters:
        client: the client of a server or a cluster. A server that does not say how it is set up is warned about.

    Raises:
        CrossauthError: `Configuration` for a `maxmemory-policy` that evicts, where there is a `maxmemory`; `Connection`.
    """
    everywhere = {"target_nodes": RedisCluster.PRIMARIES} if isinstance(client, RedisCluster) else {}
    try:
        with refusals():
            found = await client.info("memory", **everywhere)
    except CrossauthError as e:
        if not isinstance(e.__cause__, ResponseError):
            raise
        logger.warning("Redis does not answer INFO: its maxmemory-policy must be noeviction, and is not checked")
        return
    for memory in found.values() if found and all(isinstance(part, dict) for part in found.values()) else [found]:
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction" and int(memory.get("maxmemory", 0)) > 0:
            raise CrossauthError(
                ErrorCode.Configuration,
                f"RedisKeyStorage: the server's maxmemory-policy is {policy!r}, so when it is full it throws sessions and marks "
                "away, and logins that were ended can go on. Set maxmemory-policy to noeviction, or use a Redis of its own",
            )


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what can go wrong on the way to Redis into the reason `Connection`; nothing of the exception is public."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as e:
        hide_values(e)
        raise CrossauthError(
            ErrorCode.Connection,
            "The database cannot be reached",
            detail=f"{type(e).__name__}: {e}",
            status=503,
            retry_after=RETRY_SECONDS,
        ) from e
