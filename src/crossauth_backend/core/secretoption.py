"""The option `secret`: whether what an application gives is fit to sign with."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode

MIN_SECRET_LENGTH: Final = 32


def check_secret(secret: str | None, component: str) -> str:
    """`secret`, if it is fit to sign with.

    Raises:
        CrossauthError: `Configuration` where it is missing or too short.
    """
    if not secret:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{component}: option 'secret' (or environment variable CROSSAUTH_SECRET) is required; make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe(48))"',
        )
    if len(secret) < MIN_SECRET_LENGTH:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{component}: option 'secret' must have at least {MIN_SECRET_LENGTH} characters, it has {len(secret)}",
        )
    return secret
