"""Password hashes that others made. They are verified once and then replaced; none is made here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import equal, from_base64url

# A stored hash says how much work its check is. One that asks for far more than anybody uses would stop the server.
_MAX_ITERATIONS: Final = 10_000_000
_MAX_SCRYPT_MEMORY: Final = 256 * 1024 * 1024


def verify_legacy(password: str, encoded: str, pepper: str | None = None) -> bool:
    """Whether `password` is behind a PBKDF2 (`pbkdf2:…`, `$pbkdf2-…`), bcrypt (`$2…`) or scrypt (`$scrypt$…`) hash.

    Raises:
        CrossauthError: `InvalidHash` where the format is not one of these, or the text is damaged.
    """
    try:
        if encoded.startswith("pbkdf2:"):
            return _pbkdf2_colons(password, encoded, pepper)
        if encoded.startswith("$pbkdf2-"):
            return _pbkdf2_phc(password, encoded)
        if encoded.startswith(("$2a$", "$2b$", "$2y$")):
            return _bcrypt(password, encoded)
        if encoded.startswith("$scrypt$"):
            return _scrypt_phc(password, encoded)
    except (ValueError, KeyError, binascii.Error) as e:
        raise CrossauthError(ErrorCode.InvalidHash, detail="damaged password hash") from e
    raise CrossauthError(ErrorCode.InvalidHash, detail="unknown password hash format")


def _pbkdf2(digest: str, password: str, salt: bytes, iterations: int, expected: bytes) -> bool:
    if not 1 <= iterations <= _MAX_ITERATIONS:
        raise ValueError("iterations")
    return equal(hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations, len(expected)), expected)


def _pbkdf2_colons(password: str, encoded: str, pepper: str | None) -> bool:
    """`pbkdf2:<digest>:<key length>:<iterations>:<use secret>:<salt>:<hash>`; the salt is used as text."""
    _, digest, key_length, iterations, use_secret, salt, hashed = encoded.split(":")
    expected = from_base64url(hashed.rstrip("="))
    if len(expected) != int(key_length):
        raise ValueError("key length")
    if use_secret == "1":
        if pepper is None:
            raise CrossauthError(ErrorCode.Configuration, "Option 'secret' of the password factor is missing")
        salt = f"{salt}!{pepper}"
    return _pbkdf2(digest, password, salt.encode(), int(iterations), expected)


def _adapted(text: str) -> bytes:
    """passlib's base64: dots instead of plus signs, no padding."""
    text = text.replace(".", "+")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _pbkdf2_phc(password: str, encoded: str) -> bool:
    """`$pbkdf2-sha256$<rounds>$<salt>$<hash>`, passlib's form."""
    _, scheme, rounds, salt, hashed = encoded.split("$")
    return _pbkdf2(scheme.removeprefix("pbkdf2-"), password, _adapted(salt), int(rounds), _adapted(hashed))


def _scrypt_phc(password: str, encoded: str) -> bool:
    """`$scrypt$ln=16,r=8,p=1$<salt>$<hash>`."""
    _, _, parameters, salt, hashed = encoded.split("$")
    cost = {name: int(value) for name, value in (p.split("=") for p in parameters.split(","))}
    n, r, p = 1 << min(cost["ln"], 40), cost["r"], cost["p"]
    if not (1 <= r * n * 128 <= _MAX_SCRYPT_MEMORY and 1 <= p <= 16):
        raise ValueError("cost")
    expected = _adapted(hashed)
    made = hashlib.scrypt(
        password.encode(),
        salt=_adapted(salt),
        n=n,
        r=r,
        p=p,
        maxmem=2 * _MAX_SCRYPT_MEMORY,
        dklen=len(expected),
    )
    return equal(made, expected)


def _bcrypt(password: str, encoded: str) -> bool:
    try:
        bcrypt = importlib.import_module("bcrypt")
    except ImportError as e:
        raise CrossauthError(
            ErrorCode.Configuration, "Stored passwords are bcrypt hashes: install crossauth[bcrypt]"
        ) from e
    # bcrypt reads 72 bytes and no more; everything that ever made these hashes cut there too.
    checked: bool = bcrypt.checkpw(password.encode()[:72], encoded.encode())
    return checked
