"""What tokens are."""

from typing import TYPE_CHECKING, Any

from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    StrategyDestroyNotSupportedError,
    SupportsTokenLists,
    TokenInfo,
)
from crossauth_fastapi.fastapi_users.authentication.strategy.db import (
    AP,
    AccessTokenDatabase,
    AccessTokenProtocol,
    DatabaseStrategy,
)
from crossauth_fastapi.fastapi_users.authentication.strategy.jwt import (
    JWTStrategy,
    JWTStrategyDestroyNotSupportedError,
)
from crossauth_fastapi.fastapi_users.authentication.strategy.stored import KeyStorageStrategy

if TYPE_CHECKING:
    from crossauth_fastapi.fastapi_users.authentication.strategy.redis import RedisStrategy

__all__ = [
    "AP", "AccessTokenDatabase", "AccessTokenProtocol", "DatabaseStrategy", "JWTStrategy",
    "JWTStrategyDestroyNotSupportedError", "KeyStorageStrategy", "RedisStrategy", "Strategy",
    "StrategyDestroyNotSupportedError", "SupportsTokenLists", "TokenInfo",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "RedisStrategy":
        try:
            from crossauth_fastapi.fastapi_users.authentication.strategy.redis import RedisStrategy
        except ModuleNotFoundError as e:
            raise ImportError("RedisStrategy needs redis: install crossauth[redis]") from e
        return RedisStrategy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
