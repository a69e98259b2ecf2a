"""Issuing signed tokens: one header `typ` per kind of token, so that none passes for another (RFC 8725 §3.11)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.jose.keys import SigningKey, load_key, registry_for


class TokenType(StrEnum):
    """What a token is, as its header says."""

    JWT = "JWT"
    """ID tokens, and whatever has no type of its own (RFC 7519 §5.1)."""
    ACCESS = "at+jwt"
    """Access tokens (RFC 9068 §2.1)."""
    LOGOUT = "logout+jwt"
    """Logout tokens (OpenID Connect Back-Channel Logout §2.4)."""
    CLIENT_AUTHENTICATION = "client-authentication+jwt"
    """Assertions by which a client authenticates (draft-ietf-oauth-rfc7523bis)."""


class _Encoder(json.JSONEncoder):
    """JSON has no NaN and no infinity, and what verifies our tokens refuses them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_nan": False})


def sign(claims: Mapping[str, Any], key: SigningKey, kind: TokenType) -> str:
    """A signed token of one kind, with the `kid` of its key.

    Parameters:
        claims: times are seconds since the epoch.
        key: what signs it.
        kind: the `typ` of its header.

    Raises:
        ValueError: for claims that JSON cannot say: NaN, infinity, a lone surrogate.
    """
    header = {"alg": key.algorithm, "typ": kind.value, **({"kid": key.kid} if key.kid else {})}
    return _signed(header, claims, key.key, key.algorithm)


def sign_jwt(claims: Mapping[str, Any], key: str, algorithm: str = "HS256") -> str:
    """A signed token with these claims; times are seconds since the epoch.

    Parameters:
        claims: what it says.
        key: a secret, or a private key as PEM.
        algorithm: how it is signed.

    Raises:
        CrossauthError: `Configuration` for a key that does not fit the algorithm.
    """
    return _signed({"alg": algorithm, "typ": TokenType.JWT.value}, claims, load_key(key, algorithm), algorithm)


@lru_cache(maxsize=64)
def check_keys(sign_key: str, verify_key: str, algorithm: str) -> None:
    """Sign something and verify it, so that keys which cannot work are found when an application starts.

    Parameters:
        sign_key: a secret, or a private key as PEM.
        verify_key: the same secret, or the public key as PEM; a private key holds its public one.
        algorithm: how tokens are signed.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the keys is in it.
    """
    signs, verifies = load_key(sign_key, algorithm), load_key(verify_key, algorithm)
    # A public key makes no signature, and each ES algorithm has one curve (RFC 7518 §3.4).
    with _key_problem(f"JWT: the key cannot sign with {algorithm}: it must be a private key that fits the algorithm"):
        probe = _signed({"alg": algorithm}, {}, signs, algorithm)
    with _key_problem(f"JWT: the key that verifies {algorithm} does not fit the key that signs"):
        jwt.decode(probe, verifies, registry=registry_for(algorithm))


def _signed(header: dict[str, str], claims: Mapping[str, Any], key: Any, algorithm: str) -> str:
    return jwt.encode(dict(header), dict(claims), key, registry=registry_for(algorithm), encoder_cls=_Encoder)


@contextmanager
def _key_problem(text: str) -> Iterator[None]:
    try:
        yield
    except (JoseError, ValueError, TypeError, AttributeError, AssertionError) as e:
        raise CrossauthError(ErrorCode.Configuration, text, detail=type(e).__name__) from None
