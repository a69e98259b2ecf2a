"""Signed tokens, as applications make their own with the same secret."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from pydantic import SecretStr

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import JwtExpiredError, JwtInvalidError, is_symmetric, sign_jwt, verify_jwt
from crossauth_backend.core.secretoption import MIN_SECRET_LENGTH

SecretType: TypeAlias = str | SecretStr
JWT_ALGORITHM = "HS256"
logger = logging.getLogger("crossauth.fastapi_users")

__all__ = [
    "JWT_ALGORITHM", "JwtExpiredError", "JwtInvalidError", "SecretType", "decode_jwt", "generate_jwt", "secret_value",
]  # fmt: skip


def secret_value(secret: SecretType, algorithm: str = JWT_ALGORITHM) -> str:
    """The text of a secret; one that can be guessed is said in the log, once."""
    text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    if is_symmetric(algorithm) and len(text) < MIN_SECRET_LENGTH:
        _warn_of_short_secret()
    return text


@lru_cache(maxsize=1)
def _warn_of_short_secret() -> None:
    logger.warning(
        "a secret for signing tokens has fewer than %d characters: whoever guesses it signs in as anybody. Make one "
        'with: python -c "import secrets; print(secrets.token_urlsafe(32))"', MIN_SECRET_LENGTH,
    )  # fmt: skip


def generate_jwt(
    data: dict[str, Any], secret: SecretType, lifetime_seconds: int | None = None, algorithm: str = JWT_ALGORITHM
) -> str:
    """A signed token with the claims `data`.

    Parameters:
        data: the claims.
        secret: secret, or private key as PEM.
        lifetime_seconds: seconds until it expires; `None` for never. A token of 0 seconds has expired.
        algorithm: how to sign.
    """
    claims = dict(data)
    if lifetime_seconds is not None:
        claims["exp"] = int((utc_now() + timedelta(seconds=lifetime_seconds)).timestamp())
    return sign_jwt(claims, secret_value(secret, algorithm), algorithm)


def decode_jwt(
    encoded_jwt: str,
    secret: SecretType,
    audience: list[str],
    algorithms: list[str] | None = None,
    *,
    needs_exp: bool = False,
) -> dict[str, Any]:
    """The claims of a token of one of these algorithms, for one of these audiences.

    Raises:
        JwtExpiredError: it has expired.
        JwtInvalidError: anything else is wrong with it.
    """
    problem: JwtInvalidError = JwtInvalidError("no algorithm")
    for algorithm in algorithms or [JWT_ALGORITHM]:
        try:
            return verify_jwt(
                encoded_jwt, secret_value(secret, algorithm), algorithm,
                audience=audience, now=utc_now(), needs_exp=needs_exp,
            )  # fmt: skip
        except JwtInvalidError as e:
            problem = e
    raise problem
