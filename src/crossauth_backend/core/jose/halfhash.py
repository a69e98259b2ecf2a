"""Half of a hash, by which an ID token names what came with it (OpenID Connect Core §3.1.3.6)."""

from __future__ import annotations

import hashlib
from typing import Final

from crossauth_backend.core.secrets import to_base64url

# Ed25519 hashes with SHA-512 (RFC 8032 §5.1).
_ED25519: Final = ("EdDSA", "Ed25519")


def half_hash(value: str, algorithm: str) -> str:
    """The left half of the hash of `value`, base64url: `at_hash` of an access token, `c_hash` of a code.

    Parameters:
        value: what is named.
        algorithm: that signs the ID token; its hash is used.
    """
    bits = "512" if algorithm in _ED25519 else algorithm[-3:]
    raw = hashlib.new(f"sha{bits}", value.encode("utf-8", "surrogatepass")).digest()
    return to_base64url(raw[: len(raw) // 2])
