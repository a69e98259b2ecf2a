"""Browsers in which a user logged in before: their attempts are counted by themselves, so that guesses from elsewhere lock nobody
out of them.

The cookie logs nobody in. It names the browser, when it was made, and as hashes what its user logs in by; it is signed, so that
knowing it again asks no storage.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import Request, Response
from pydantic import SecretStr

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import derive_key, hash_token, random_value, sign, unsign
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users.manager import BaseUserManager

COOKIE: Final = "fastapiusersbrowser"
LIFETIME: Final = timedelta(days=30)
_ID_BYTES: Final = 16
_MAX_COOKIE: Final = 1000
_NAME: Final = 22


def known_browser(core: Core, request: Request, user_manager: BaseUserManager[Any, Any], name: str) -> str | None:
    """The id of the browser, where somebody who logs in by `name` logged in with it before; `None` for any other."""
    key, cookie = _key(user_manager), request.cookies.get(COOKIE, "")
    value = unsign(cookie, key) if key is not None and len(cookie) <= _MAX_COOKIE and cookie.isascii() else None
    if value is None:
        return None
    browser, made, *names = value.split(".")
    fresh = utc_now() < datetime.fromtimestamp(int(made), UTC) + LIFETIME
    return browser if fresh and _named(core, name) in names else None


def remember_browser(
    core: Core, request: Request, response: Response, user_manager: BaseUserManager[Any, Any], user: Any
) -> None:
    """Let the browser be known from now on as one in which `user` logged in."""
    key = _key(user_manager)
    if key is None:
        return
    fields = dict.fromkeys(("email", *user_manager.login_fields))
    names = [str(value) for field in fields if (value := getattr(user, field, None))]
    browser = next((b for n in names if (b := known_browser(core, request, user_manager, n))), random_value(_ID_BYTES))
    value = ".".join([browser, str(int(utc_now().timestamp())), *(_named(core, name) for name in names)])
    response.set_cookie(
        COOKIE, sign(value, key), max_age=int(LIFETIME.total_seconds()), path="/", httponly=True, samesite="lax",
        secure=not (core.site_url or "").startswith("http:"),
    )  # fmt: skip


def _named(core: Core, name: str) -> str:
    return hash_token(core.account_name(name))[:_NAME]


def _key(user_manager: BaseUserManager[Any, Any]) -> bytes | None:
    """What signs the cookie: made of a secret that the application has anyway."""
    for name in ("reset_password_token_secret", "verification_token_secret"):
        secret = getattr(user_manager, name, None)
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if text:
            return derive_key(text, "known browser of the routes")
    return None
