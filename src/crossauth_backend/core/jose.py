"""The one place that signs and verifies JSON Web Tokens (RFC 7519), through joserfc.

The caller names the algorithm; what a token's header says can only agree with it (RFC 8725 §3.1). A key fits one kind of
algorithm: PEM or JWK text is no HMAC secret, so that a public key can never be taken for one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from crossauth_backend.core.claims_cache import ClaimsCache
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token

MAX_TOKEN: Final = 16 * 1024
_KINDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), OctKey),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSAKey),
    **dict.fromkeys(("ES256", "ES384", "ES512"), ECKey),
}
_cache: Final = ClaimsCache()
_NO_SECRETS: Final = ("-----BEGIN", "ssh-", "ecdsa-", "{")


class JwtInvalidError(ValueError):
    """A token that is not ours, not for us, or no token at all."""


class JwtExpiredError(JwtInvalidError):
    """A token that was good once."""


def is_symmetric(algorithm: str) -> bool:
    """Whether one secret both signs and verifies."""
    return _KINDS.get(algorithm) is OctKey


def sign_jwt(claims: Mapping[str, Any], key: str, algorithm: str = "HS256") -> str:
    """A signed token with these claims; times are seconds since the epoch.

    Raises:
        CrossauthError: `Configuration` for a key that does not fit the algorithm.
    """
    return jwt.encode({"alg": algorithm, "typ": "JWT"}, dict(claims), load_key(key, algorithm), algorithms=[algorithm])


def verify_jwt(
    token: str,
    key: str,
    algorithm: str = "HS256",
    *,
    audience: Sequence[str],
    now: datetime,
    needs_exp: bool = True,
) -> dict[str, Any]:
    """The claims of a token (RFC 7519 §7.2).

    Parameters:
        token: as it came.
        key: secret, or public key as PEM.
        algorithm: the only one accepted.
        audience: at least one of these must be the token's (§4.1.3).
        now: the time.
        needs_exp: whether a token without an end is refused.

    Raises:
        JwtExpiredError: its `exp` has come (§4.1.4); an `exp` of 0 is one.
        JwtInvalidError: anything else is wrong with it.
        CrossauthError: `Configuration` for a key that does not fit the algorithm.
    """
    load_key(key, algorithm)
    claims = _verified(token, key, algorithm)
    given = claims.get("aud")
    if not set(audience) & {a for a in (given if isinstance(given, list) else [given]) if isinstance(a, str)}:
        raise JwtInvalidError("audience")
    expires, begins = _time(claims, "exp"), _time(claims, "nbf")
    if expires is None and needs_exp:
        raise JwtInvalidError("no exp")
    if begins is not None and begins > now.timestamp():
        raise JwtInvalidError("nbf")
    if expires is not None and expires <= now.timestamp():
        raise JwtExpiredError("exp")
    return claims


def load_key(key: str, algorithm: str) -> Any:
    """The key as joserfc takes it.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the key is in it.
    """
    kind = _KINDS.get(algorithm)
    if kind is None:
        raise CrossauthError(
            ErrorCode.Configuration, f"JWT: algorithm {algorithm!r} is not offered; there are {', '.join(_KINDS)}"
        )
    return _load(key, kind)


@lru_cache(maxsize=64)
def check_keys(sign_key: str, verify_key: str, algorithm: str) -> None:
    """Sign something and verify it, so that keys which cannot work are found when an application starts.

    Parameters:
        sign_key: secret, or private key as PEM.
        verify_key: the same secret, or the public key as PEM; a private key holds its public one.
        algorithm: how tokens are signed.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the keys is in it.
    """
    signs, verifies = load_key(sign_key, algorithm), load_key(verify_key, algorithm)
    header = {"alg": algorithm, "typ": "JWT"}
    # A public key makes no signature, and each ES algorithm has one curve (RFC 7518 §3.4).
    with _key_problem(f"JWT: the key cannot sign with {algorithm}: it must be a private key that fits the algorithm"):
        probe = jwt.encode(header, {}, signs, algorithms=[algorithm])
    with _key_problem(f"JWT: the key that verifies {algorithm} does not fit the key that signs"):
        jwt.decode(probe, verifies, algorithms=[algorithm])


@contextmanager
def _key_problem(text: str) -> Iterator[None]:
    try:
        yield
    except (JoseError, ValueError, TypeError, AttributeError) as e:
        raise CrossauthError(ErrorCode.Configuration, text, detail=type(e).__name__) from None


@lru_cache(maxsize=64)
def _load(key: str, kind: Any) -> Any:
    if not key or (kind is OctKey and key.lstrip().startswith(_NO_SECRETS)):
        raise CrossauthError(ErrorCode.Configuration, "JWT: a secret for HMAC must be text of its own, not a key file")
    try:
        with warnings.catch_warnings():
            # Whoever chose the secret is told once, in the log, by whoever uses it.
            warnings.simplefilter("ignore")
            return kind.import_key(key)
    except (JoseError, ValueError, TypeError) as e:
        raise CrossauthError(ErrorCode.Configuration, "JWT: the key does not fit the algorithm", detail=repr(e)) from e


def _verified(token: str, key: str, algorithm: str) -> dict[str, Any]:
    """What a token says, a copy of its own for every caller. Times and audience are looked at each time anew."""
    if len(token) > MAX_TOKEN or not token.isascii():
        raise JwtInvalidError("no token")
    name = _cache.name(token, _key_id(key, algorithm))
    known = _cache.get(name)
    if known is not None:
        return known
    claims = _decoded(token, key, algorithm)
    try:
        _cache.put(name, claims)
    except RecursionError:
        raise JwtInvalidError("nested too deep") from None
    return claims


def _decoded(token: str, key: str, algorithm: str) -> dict[str, Any]:
    try:
        decoded = jwt.decode(token, load_key(key, algorithm), algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as e:
        raise JwtInvalidError(type(e).__name__) from None
    if "crit" in decoded.header or decoded.header.get("alg") != algorithm or not isinstance(decoded.claims, dict):
        # RFC 7515 §4.1.11: no extension is understood here, so none may be critical.
        raise JwtInvalidError("header")
    return decoded.claims


@lru_cache(maxsize=64)
def _key_id(key: str, algorithm: str) -> str:
    return hash_token(f"{algorithm} {key}")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise JwtInvalidError(name)
    try:
        # A whole number of any length is valid JSON, and may be too large for a float.
        seconds = float(value)
    except OverflowError:
        raise JwtInvalidError(name) from None
    if not math.isfinite(seconds):
        raise JwtInvalidError(name)
    return seconds
