"""What the routers for providers have in common: codes, and refusals."""

from __future__ import annotations

import logging
from typing import Any, Literal

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.errors import ErrorCode as Reason
from crossauth_fastapi.fastapi_users._errors import ErrorCode, FurtherErrorCode, describe, refused
from crossauth_fastapi.fastapi_users._oauth import Flow
from crossauth_fastapi.fastapi_users.manager import BaseUserManager
from crossauth_fastapi.fastapi_users.openapi import OpenAPIResponseType

logger = logging.getLogger("crossauth.fastapi_users")
SameSite = Literal["lax", "strict", "none"]
CALLBACK_CODES: tuple[ErrorCode | FurtherErrorCode, ...] = (
    ErrorCode.OAUTH_INVALID_STATE, ErrorCode.ACCESS_TOKEN_DECODE_ERROR, ErrorCode.ACCESS_TOKEN_ALREADY_EXPIRED,
    ErrorCode.OAUTH_NOT_AVAILABLE_EMAIL, ErrorCode.OAUTH_USER_ALREADY_EXISTS, FurtherErrorCode.OAUTH_PROVIDER_ERROR,
)  # fmt: skip
AUTHORIZE: OpenAPIResponseType = {
    400: describe(FurtherErrorCode.OAUTH_REDIRECT_URL_NEEDED, FurtherErrorCode.OAUTH_PROVIDER_ERROR)
}


def check_accounts(user_manager: BaseUserManager[Any, Any]) -> None:
    """Send nobody to a provider whose account could not be kept afterwards.

    Raises:
        CrossauthError: `Configuration`.
    """
    if not user_manager.keeps_accounts():
        message = f"{type(user_manager.user_db).__name__} keeps no accounts at providers"
        logger.error("OAuth: %s", message)
        raise CrossauthError(Reason.Configuration, message)


def unkept(flow: Flow, e: CrossauthError) -> Exception:
    """The refusal of an account that the database does not take: most often a token is longer than its column."""
    if e.http_status >= 500:
        return e
    logger.error("what the provider %s answered does not fit the tables: widen their columns", flow.client.name)
    return refused(FurtherErrorCode.OAUTH_PROVIDER_ERROR)
