"""How users are known after they logged in."""

from typing import TYPE_CHECKING, Any

from crossauth_fastapi.fastapi_users.authentication import strategy as _strategy
from crossauth_fastapi.fastapi_users.authentication.authenticator import Authenticator
from crossauth_fastapi.fastapi_users.authentication.backend import AuthenticationBackend
from crossauth_fastapi.fastapi_users.authentication.strategy import JWTStrategy, KeyStorageStrategy, Strategy
from crossauth_fastapi.fastapi_users.authentication.transport import BearerTransport, CookieTransport, Transport

if TYPE_CHECKING:
    from crossauth_fastapi.fastapi_users.authentication.strategy import RedisStrategy

__all__ = [
    "AuthenticationBackend", "Authenticator", "BearerTransport", "CookieTransport", "JWTStrategy", "KeyStorageStrategy",
    "RedisStrategy", "Strategy", "Transport",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "RedisStrategy":
        return _strategy.RedisStrategy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
