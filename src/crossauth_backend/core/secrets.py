"""The one place that makes random values, hashes, signatures and ciphertexts, and that compares secrets."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets as _random
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from crossauth_backend.core.errors import CrossauthError, ErrorCode

_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
# The other alphabet becomes something that is none.
_FROM_URLSAFE: Final = bytes.maketrans(b"-_+/", b"+/..")
_PADDING: Final = (b"", b"=", b"==", b"===")
_ENCRYPTED: Final = "enc"
_LIKE_BOUND: Final = re.compile(r"[0-9]+!")


def random_value(n_bytes: int) -> str:
    """`n_bytes` of randomness as base64url without padding."""
    return to_base64url(_random.token_bytes(n_bytes))


def random_bytes(n_bytes: int) -> bytes:
    """`n_bytes` of randomness."""
    return _random.token_bytes(n_bytes)


def equal(a: str | bytes, b: str | bytes) -> bool:
    """Whether two secrets are the same, in time that does not depend on where they differ."""
    return hmac.compare_digest(_as_bytes(a), _as_bytes(b))


def digest(raw: bytes) -> bytes:
    """SHA-256: what is remembered of what must not be kept."""
    return hashlib.sha256(raw).digest()


def hash_token(token: str | bytes) -> str:
    """SHA-256 of a random token, base64url: what is stored instead of it. Never for passwords."""
    return _base64url(hashlib.sha256(_as_bytes(token)).digest()).decode("ascii")


def derive_key(secret: str, purpose: str) -> bytes:
    """A 256-bit key for one purpose, so that a signature made for one is never valid for another (RFC 5869 idea)."""
    return hmac.digest(_as_bytes(secret), f"crossauth {purpose}".encode(), "sha256")


def sign(value: str, key: bytes, bound_to: str = "") -> str:
    """`value.signature`, HMAC-SHA256 base64url.

    Parameters:
        value: what is signed.
        key: what it is signed with.
        bound_to: what the signature covers besides `value` without being part of the text, such as a session.
    """
    return f"{value}.{_mac(_bound(value, bound_to), key).decode('ascii')}"


def unsign(signed: str, key: bytes, bound_to: str = "") -> str | None:
    """The value of a signed text, or `None` where the signature is not ours or was made for another `bound_to`."""
    value, dot, signature = signed.rpartition(".")
    if not dot or not hmac.compare_digest(_as_bytes(signature), _mac(_bound(value, bound_to), key)):
        return None
    return value


def signature_matches(text: str, signature: str, secret: str) -> bool:
    """Whether `signature` is HMAC-SHA256 of `text` with `secret`, in hex or base64url: the documented one.

    It is made with the secret itself, so it says nothing of a purpose; nothing new is signed so.
    """
    mac = hmac.digest(_as_bytes(secret), _as_bytes(text), "sha256")
    return equal(signature, mac.hex()) or equal(signature.rstrip("="), to_base64url(mac))


def encrypt(plain: str, key: bytes) -> str:
    """AES-256-GCM, base64url of nonce and ciphertext."""
    nonce = _random.token_bytes(12)
    return to_base64url(nonce + AESGCM(key).encrypt(nonce, plain.encode(), None))


def decrypt(cipher: str, key: bytes) -> str:
    """The text that `encrypt` was given.

    Raises:
        CrossauthError: `InvalidKey` where it was not encrypted with this key or has been changed.
    """
    try:
        raw = from_base64url(cipher)
        return AESGCM(key).decrypt(raw[:12], raw[12:], None).decode()
    except (InvalidTag, ValueError) as e:
        raise CrossauthError(ErrorCode.InvalidKey, detail="ciphertext does not fit the key") from e


class KeyRing:
    """Encrypts what must be read again, with keys that can be rotated.

    Parameters:
        secrets: newest first. The first encrypts; all of them decrypt.
        purpose: what is encrypted, so that a ciphertext made for one purpose is worth nothing for another.
    """

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        keys = [derive_key(secret, purpose) for secret in secrets]
        self.keys = {hash_token(key)[:8]: key for key in keys}
        self._current = next(iter(self.keys))

    def encrypt(self, plain: str) -> str:
        """`enc.<key>.<ciphertext>`."""
        return f"{_ENCRYPTED}.{self._current}.{encrypt(plain, self.keys[self._current])}"

    def decrypt(self, cipher: str) -> str:
        """The text that `encrypt` was given.

        Raises:
            CrossauthError: `InvalidKey` where no key of the ring fits, or the text has been changed.
        """
        mark, _, rest = cipher.partition(".")
        name, _, body = rest.partition(".")
        if mark != _ENCRYPTED or name not in self.keys:
            raise CrossauthError(ErrorCode.InvalidKey, detail="no key of the ring fits the ciphertext")
        return decrypt(body, self.keys[name])

    def is_current(self, cipher: str) -> bool:
        """Whether `cipher` was made with the newest key; if not, it is to be encrypted anew."""
        return cipher.startswith(f"{_ENCRYPTED}.{self._current}.")

    @staticmethod
    def is_encrypted(text: str) -> bool:
        """Whether `text` looks like something `encrypt` made."""
        return text.startswith(f"{_ENCRYPTED}.")


def xor(value: bytes, mask: bytes) -> bytes:
    """`value` masked byte by byte; both of the same length."""
    return bytes(v ^ m for v, m in zip(value, mask, strict=True))


def to_base64url(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 appendix C)."""
    return _base64url(raw).decode("ascii")


def _base64url(raw: bytes) -> bytes:
    # As `base64.urlsafe_b64encode`, without its layers: every request with a session does this twice.
    return binascii.b2a_base64(raw, newline=False).translate(_URLSAFE).rstrip(b"=")


def from_base64url(text: str | bytes) -> bytes:
    """The bytes of base64url text, padded or not.

    Raises:
        ValueError: for anything that is not base64url.
    """
    # As `base64.b64decode`, without its layers: every token has this done twice.
    raw = _as_bytes(text)
    return binascii.a2b_base64(raw.translate(_FROM_URLSAFE) + _PADDING[-len(raw) % 4], strict_mode=True)


def _bound(value: str, bound_to: str) -> str:
    # With its length in front, no two pairs make the same message (OWASP CSRF prevention cheat sheet, HMAC tokens).
    if bound_to:
        return f"{len(bound_to)}!{bound_to}!{value}"
    # Nor does a value that is bound to nothing and reads like such a message; any other stays as it is in older cookies.
    return f"0!!{value}" if "!" in value and _LIKE_BOUND.match(value) else value


def _mac(value: str, key: bytes) -> bytes:
    mac = _keyed(key).copy()
    mac.update(_as_bytes(value))
    return _base64url(mac.finalize())


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> HMAC:
    # To set up a key costs three times as much as to use it, and every request with a session uses the same one.
    return HMAC(key, SHA256())


def _as_bytes(value: str | bytes) -> bytes:
    # Garbage may hold unpaired surrogates; it must compare unequal, not raise.
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
