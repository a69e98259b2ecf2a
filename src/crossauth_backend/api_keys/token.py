"""The text of an API key. Pure.

`xa_` + 43 letters and digits (256 random bits) + 6 of a CRC-32: a prefix and a checksum by which scanners find leaked keys, and
by which a key that was cut off or mistyped is refused before anything is read. The checksum has no secret in it, so that anybody
who finds a key can check it; it protects from nothing but mistakes.

Keys of the documented format, base64url of JSON `{"v": value, "t": …, "s": …}`, a dot and HMAC-SHA256, are read as well.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Final

from crossauth_backend.core.secrets import digest, from_base64url, hash_token, random_bytes, signature_matches

MAX_TOKEN: Final = 512
MAX_PREFIX: Final = 20
HINT_LENGTH: Final = 4
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK_LENGTH: Final = 6  # 62^6 > 2^32
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_PREFIX: Final = re.compile(r"[A-Za-z0-9]+_")
_BODY: Final = re.compile(r"[A-Za-z0-9]+", re.ASCII)
_SCHEME: Final = re.compile(r"[!#$%&'*+.^_`|~A-Za-z0-9-]+", re.ASCII)


def new_token(prefix: str, n_bytes: int) -> str:
    """A key that nobody has or had.

    Parameters:
        prefix: what it begins with.
        n_bytes: bytes of randomness.
    """
    body = prefix + _base62(int.from_bytes(random_bytes(n_bytes)), _length_of(n_bytes))
    return body + _checksum(body)


def hint_of(token: str, prefix: str) -> str:
    """How a key begins, for people to tell keys from each other: 24 bits of its randomness at most."""
    return token[: len(prefix) + HINT_LENGTH] if token.startswith(prefix) else ""


def secret_of(token: str, prefix: str, secret: str) -> str | None:
    """What is hashed to find the key of this text; `None` for a text that is no key of ours, whatever it holds.

    Parameters:
        token: what a client sent.
        prefix: what our keys begin with.
        secret: what keys of the documented format are signed with.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    if "." in token:
        return _signed_value(token, secret)
    body, check = token[:-_CHECK_LENGTH], token[-_CHECK_LENGTH:]
    rest = body.removeprefix(prefix)
    if rest == body or not _BODY.fullmatch(rest) or _checksum(body) != check:
        return None
    return token


def unchecked_value(token: str) -> str:
    """What is hashed to find the key of this text, for logs: nothing is checked."""
    value = _payload_value(token.partition(".")[0]) if "." in token and len(token) <= MAX_TOKEN else None
    return token if value is None else value


def from_header(header: str, scheme: str) -> str | None:
    """The key in an `Authorization` header; `None` where the scheme is another (RFC 9110 §11.4, §11.6.2)."""
    provided, space, token = header.partition(" ")
    if not space or provided.lower() != scheme.lower():
        return None
    return token.strip(" ") or None


def is_prefix(text: str) -> bool:
    """Whether keys may begin with `text`: letters and digits, and an underscore at the end."""
    return len(text) <= MAX_PREFIX and bool(_PREFIX.fullmatch(text))


def is_scheme(text: str) -> bool:
    """Whether `text` may be the scheme of an `Authorization` header (RFC 9110 §11.1)."""
    return bool(_SCHEME.fullmatch(text))


def stored(prefix: str, secret: str) -> str:
    """Under what a key is stored."""
    return prefix + hash_token(secret)


def token_digest(token: str) -> bytes:
    """What a process remembers of a text that a client sent, whatever it holds."""
    return digest(token.encode("utf-8", "surrogatepass"))


def _signed_value(token: str, secret: str) -> str | None:
    payload, _, signature = token.rpartition(".")
    # The signature first: nothing that others wrote is parsed.
    return _payload_value(payload) if signature_matches(payload, signature, secret) else None


def _payload_value(payload: str) -> str | None:
    try:
        decoded = json.loads(from_base64url(payload))
    except (ValueError, RecursionError):
        return None
    value = decoded.get("v") if isinstance(decoded, dict) else None
    return value if isinstance(value, str) and value else None


def _checksum(body: str) -> str:
    # As `_base62`, two digits at a time: every request with a key does this.
    rest, last = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def _length_of(n_bytes: int) -> int:
    length, most = 0, 256**n_bytes
    while 62**length < most:
        length += 1
    return length


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
