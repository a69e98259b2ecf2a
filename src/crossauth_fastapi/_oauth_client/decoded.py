"""Tokens as people and scripts may look at them: their claims, unverified."""

from __future__ import annotations

from typing import Any, Final

from crossauth_backend.core.secrets import from_base64url
from crossauth_backend.core.values import is_sound
from crossauth_fastapi._http.jsonbody import MAX_DEPTH, BadFields, parse_fields

_LONGEST: Final = 64 * 1024
_TRUE: Final = ("true", "t", "on", "1", "yes", "y")


def decode_payload(token: str | None) -> dict[str, Any] | None:
    """The claims of a JWT, unverified: only for what is shown. `None` where it is none.

    Parameters:
        token: the token.
    """
    if not isinstance(token, str) or len(token) > _LONGEST or token.count(".") != 2:
        return None
    try:
        claims = parse_fields(from_base64url(token.split(".")[1]))
    except (BadFields, ValueError):
        return None
    # Text that is not valid Unicode cannot be encoded in an answer.
    return claims if claims and is_sound(claims, MAX_DEPTH) else None


def string_is_true(val: str) -> bool:
    """Whether a text says yes: `true t on 1 yes y`, in any case."""
    return isinstance(val, str) and val.strip().lower() in _TRUE
