"""How users are known after they logged in."""

from importlib.util import find_spec
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
    "Strategy", "Transport",
]  # fmt: skip
if TYPE_CHECKING or find_spec("redis") is not None:
    __all__ += ["RedisStrategy"]


def __getattr__(name: str) -> Any:
    if name == "RedisStrategy":
        return _strategy.RedisStrategy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
