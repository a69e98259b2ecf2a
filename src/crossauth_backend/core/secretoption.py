"""The option `secret`: whether what an application gives is fit to sign with, and rings of keys that rest on it."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, to_base64url

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


def ring_for(ring: KeyRing, purpose: str) -> KeyRing:
    """A ring of other keys, made of those of `ring`, in the same order.

    Parameters:
        ring: what an application's secrets were made into.
        purpose: what is encrypted with the other one.
    """
    return KeyRing([to_base64url(key) for key in ring.keys.values()], purpose)
