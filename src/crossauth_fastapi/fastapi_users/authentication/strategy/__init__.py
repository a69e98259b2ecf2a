"""What tokens are."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from crossauth_fastapi.fastapi_users.authentication.strategy.base import (
    Strategy,
    StrategyDestroyNotSupportedError,
    SupportsClaims,
    SupportsLoginIds,
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
    "JWTStrategyDestroyNotSupportedError", "KeyStorageStrategy", "Strategy",
    "StrategyDestroyNotSupportedError", "SupportsClaims", "SupportsLoginIds", "SupportsTokenLists", "TokenInfo",
]  # fmt: skip
if TYPE_CHECKING or find_spec("redis") is not None:
    __all__ += ["RedisStrategy"]


def __getattr__(name: str) -> Any:
    if name == "RedisStrategy":
        try:
            from crossauth_fastapi.fastapi_users.authentication.strategy.redis import RedisStrategy
        except ModuleNotFoundError as e:
            raise ImportError("RedisStrategy needs redis: install crossauth[redis]") from e
        return RedisStrategy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
