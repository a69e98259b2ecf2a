"""When and how a user logged in, as a session remembers it.

The session data keep `crossauth.auth = {"at": seconds since the epoch, "amr": […]}`; the methods are named as in RFC 8176.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from crossauth_backend.accounts.context import Accounts, has_factor2
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

OURS: Final = "crossauth"
# Methods of RFC 8176 §2 by what they show: what one knows, has, or is.
_KINDS: Final = (
    frozenset(("pwd", "pin", "kba")),
    frozenset(("otp", "sms", "tel", "hwk", "swk", "pop", "sc")),
    frozenset(("face", "fpt", "iris", "retina", "vbm")),
)
AUTH: Final = "auth"
BYPASSED: Final = "factor2_bypassed"


def auth_facts(at: datetime, methods: Iterable[str]) -> dict[str, Any]:
    """What a session remembers of a login."""
    return {"at": int(at.timestamp()), "amr": list(methods)}


def auth_of(key: Key | None) -> dict[str, Any] | None:
    """What a session remembers of its login; `None` where an older version made it."""
    ours = get_json_data(key).get(OURS) if key is not None else None
    found = ours.get(AUTH) if isinstance(ours, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get("at"), int) else None


def bypasses_factor2(data: Mapping[str, Any]) -> bool:
    """Whether the application decided, at the login of the session with these data, that it goes without a second factor."""
    ours = data.get(OURS)
    return isinstance(ours, dict) and ours.get(BYPASSED) is True


def lacks_factor2(key: Key, user: User) -> ErrorCode | None:
    """Why a session is refused where every user has to have a second factor: it was opened before that was so, and its user has
    none. `None` for any other."""
    fits = has_factor2(user) or bypasses_factor2(get_json_data(key))
    return None if fits else ErrorCode.Factor2ResetNeeded


def is_recent(auth: dict[str, Any] | None, now: datetime, within: timedelta) -> bool:
    """Whether a login was made within this time. One that nothing is known of was not."""
    return auth is not None and now - datetime.fromtimestamp(auth["at"], UTC) < within


def is_two_factor(methods: Iterable[Any]) -> bool:
    """Whether these methods are a login with a second factor: `mfa`, or methods of two kinds (RFC 8176 §2)."""
    known = {method for method in methods if isinstance(method, str)}
    return "mfa" in known or sum(bool(kind & known) for kind in _KINDS) > 1


def can_be_asked(accounts: Accounts, user: User) -> bool:
    """Whether the first factor of `user` is a secret that a form can ask for."""
    factor = accounts.factors.get(user.factor1)
    if factor is None:
        raise CrossauthError(ErrorCode.Configuration, detail=f"no authenticator is registered for {user.factor1!r}")
    return bool(factor.secret_names())
