"""Logout tokens: what a provider sends when a user has logged out there (OpenID Connect Back-Channel Logout §2.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crossauth_backend.core.texts import mark
from crossauth_backend.core.values import is_sound
from crossauth_backend.oauth.wire.errors import InvalidRequest

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """A verified logout token.

    Parameters:
        iss: the provider.
        sub: the user there; `None` where only a session is named.
        sid: the session there; `None` where all of the user's are meant.
        jti: its name, so that it counts once.
        iat: when it was made, in seconds since the epoch.
        exp: until when it is good.
    """

    iss: str
    sub: str | None
    sid: str | None
    jti: str
    iat: int
    exp: int


def read_logout_claims(claims: Mapping[str, Any]) -> LogoutToken:
    """What the claims of a logout token say, whose signature, issuer, audience and times are good (§2.6).

    Raises:
        InvalidRequest: it is none, or says nothing of whom it is about.
    """
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise _invalid("events")
    # An ID token has a nonce, and must not pass for a logout token.
    if "nonce" in claims:
        raise _invalid("nonce")
    sub, sid = _name(claims, "sub"), _name(claims, "sid")
    if sub is None and sid is None:
        raise _invalid("sub")
    jti = _name(claims, "jti")
    if jti is None:
        raise _invalid("jti")
    return LogoutToken(
        iss=claims["iss"], sub=sub, sid=sid, jti=jti, iat=int(claims["iat"]), exp=int(claims["exp"])
    )  # fmt: skip


def _name(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not is_sound(value, 0):
        raise _invalid(name)
    return value


def _invalid(claim: str) -> InvalidRequest:
    return InvalidRequest(mark("The logout token is invalid"), detail=f"logout token: {claim}")
