"""Browsers in which a user logged in before: their attempts are counted by themselves, so that guesses from elsewhere lock nobody
out of them.

The cookie logs nobody in. It names the browser, when it was made, and as a hash the user with the credentials of that time; it is
signed. It is worth nothing once the user's password or second factor is another: then its guesses count as a stranger's do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Request, Response
from pydantic import SecretStr

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import derive_key, equal, hash_token, random_value, sign, unsign
from crossauth_fastapi.fastapi_users._cookies import cookie_values
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._records import credential_fingerprint
from crossauth_fastapi.fastapi_users.manager import BaseUserManager

COOKIE: Final = "fastapiusersbrowser"
LIFETIME: Final = timedelta(days=30)
_ID_BYTES: Final = 16
_MAX_COOKIE: Final = 1000
_MARK: Final = 22
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that a cookie of ours names. Whose it is shows once the user has been read."""

    id: str
    mark: str = field(repr=False)

    def knows(self, user: Any) -> bool:
        """Whether `user` logged in there, with the credentials that the user has now."""
        return user is not None and equal(self.mark, _mark(user))


def read_browser(request: Request, user_manager: BaseUserManager[Any, Any]) -> Browser | None:
    """What a cookie says that we made and that is not too old; `None` where there is none. No storage is asked."""
    key = _key(user_manager)
    if key is None:
        return None
    return next((found for sent in cookie_values(request, COOKIE) if (found := _read(sent, key)) is not None), None)


def remember_browser(
    core: Core, request: Request, response: Response, user_manager: BaseUserManager[Any, Any], user: Any
) -> None:
    """Let the browser be known from now on as one in which `user` logged in."""
    key, known = _key(user_manager), read_browser(request, user_manager)
    if key is None:
        return
    browser = known.id if known is not None and known.knows(user) else random_value(_ID_BYTES)
    value = f"{browser}.{int(utc_now().timestamp())}.{_mark(user)}"
    response.set_cookie(
        COOKIE, sign(value, key), max_age=int(LIFETIME.total_seconds()), path="/", httponly=True, samesite="lax",
        secure=not (core.site_url or "").startswith("http:"),
    )  # fmt: skip


def _read(cookie: str, key: bytes) -> Browser | None:
    value = unsign(cookie, key) if len(cookie) <= _MAX_COOKIE and cookie.isascii() else None
    parts = (value or "").split(".")
    # Older versions signed any number of other things.
    if len(parts) != _PARTS or utc_now() >= datetime.fromtimestamp(int(parts[1]), UTC) + LIFETIME:
        return None
    return Browser(parts[0], parts[2])


def _mark(user: Any) -> str:
    return hash_token(credential_fingerprint(user))[:_MARK]


def _key(user_manager: BaseUserManager[Any, Any]) -> bytes | None:
    """What signs the cookie: made of a secret that the application has anyway."""
    for name in ("reset_password_token_secret", "verification_token_secret"):
        secret = getattr(user_manager, name, None)
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if text:
            return derive_key(text, "known browser of the routes")
    return None
