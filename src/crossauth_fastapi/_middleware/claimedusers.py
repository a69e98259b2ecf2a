"""Users who are made of the claims of a token alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.users.states import UserState
from crossauth_fastapi._middleware.identity import ClaimedUser


def claimed_user(
    claims: Mapping[str, Any],
    subject: str,
    issuer: str | None = None,
    *,
    email: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ClaimedUser:
    """A user made of claims alone.

    Parameters:
        claims: of an accepted token.
        subject: who they are about.
        issuer: who says so, where the ids of others must not be mistaken for those of this issuer's users: a `sub` is unique only
            together with it (OpenID Connect Core §5.7).
        email: the address, as far as the issuer vouches for it.
        extra: further fields.
    """
    id = claims.get("userid")
    known = id if isinstance(id, (str, int)) and not isinstance(id, bool) else subject
    if issuer is not None:
        # No issuer has a fragment (RFC 8414 §2), so no two pairs make one id.
        known = f"{issuer}#{subject}"
    return ClaimedUser(
        id=known, username=subject, state=_text(claims, "state") or UserState.active,
        factor1=_text(claims, "factor1") or "", email=email, extra={} if extra is None else extra,
    )  # fmt: skip


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None
