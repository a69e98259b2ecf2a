"""The routes."""

from crossauth_fastapi.fastapi_users._errors import ErrorCode, FurtherErrorCode
from crossauth_fastapi.fastapi_users.router.auth import get_auth_router
from crossauth_fastapi.fastapi_users.router.oauth import get_oauth_associate_router, get_oauth_router
from crossauth_fastapi.fastapi_users.router.register import get_register_router
from crossauth_fastapi.fastapi_users.router.reset import get_reset_password_router
from crossauth_fastapi.fastapi_users.router.sessions import get_sessions_router
from crossauth_fastapi.fastapi_users.router.users import get_users_router
from crossauth_fastapi.fastapi_users.router.verify import get_verify_router

__all__ = [
    "ErrorCode", "FurtherErrorCode", "get_auth_router", "get_oauth_associate_router", "get_oauth_router",
    "get_register_router", "get_reset_password_router", "get_sessions_router", "get_users_router", "get_verify_router",
]  # fmt: skip
