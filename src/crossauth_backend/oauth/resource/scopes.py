"""Which scopes a token has, and whether they are enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from crossauth_backend.oauth.wire.errors import InsufficientScope
from crossauth_backend.oauth.wire.text import is_scope_token, parse_scope

MAX_SCOPES: Final = 256
# `scp` is how some servers call it; the standard name counts where there are both.
_CLAIMS: Final = ("scope", "scp")


def scopes_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes that a token grants (RFC 9068 §2.2.3, RFC 8693 §4.2), as text or as a list; anything else grants none."""
    for name in _CLAIMS:
        value = claims.get(name)
        if isinstance(value, str):
            return parse_scope(value)[:MAX_SCOPES]
        if isinstance(value, list):
            known = (part for part in value[:MAX_SCOPES] if isinstance(part, str) and is_scope_token(part))
            return tuple(dict.fromkeys(known))
        if value is not None:
            return ()
    return ()


def require_scopes(
    granted: Iterable[str], needed: Sequence[str], implied: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Refuse a token that lacks a scope.

    Parameters:
        granted: the scopes of the token.
        needed: all that the operation needs.
        implied: scopes that another includes, such as `{"write": ["read"]}`; they are followed to any depth.

    Raises:
        InsufficientScope: with all that is needed, so that a client can ask for it at once.
    """
    if not set(needed) <= with_implied(granted, implied or {}):
        raise InsufficientScope(scopes=tuple(needed))


def with_implied(granted: Iterable[str], implied: Mapping[str, Sequence[str]]) -> set[str]:
    """The scopes that are granted, those they include, and so on."""
    found: set[str] = set()
    waiting = list(granted)
    while waiting:
        scope = waiting.pop()
        if scope not in found:
            found.add(scope)
            waiting.extend(implied.get(scope, ()))
    return found
