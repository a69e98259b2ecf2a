"""When and how a user logged in, as a session remembers it, and what follows from that. Pure.

The session data keep `crossauth.auth`: `auth_time` (seconds since the epoch), `amr` (names of RFC 8176), `acr` and `sid`, see
`Authentication`. What an older version has kept there says `at` for `auth_time`, and no `sid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final

from crossauth_backend.accounts.context import Accounts, has_factor2
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import random_value
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

OURS: Final = "crossauth"
AUTH: Final = "auth"
BYPASSED: Final = "factor2_bypassed"
# Methods of RFC 8176 §2 by what they show: what one knows, has, or is.
_KINDS: Final = (
    frozenset(("pwd", "pin", "kba")),
    frozenset(("otp", "sms", "tel", "hwk", "swk", "pop", "sc")),
    frozenset(("face", "fpt", "iris", "retina", "vbm")),
)
# Context classes that can be asked for (OpenID Connect Core §2, `acr`; what they mean is left to the parties), and whether one
# takes two factors. The numbers are those that conformance tests and other servers use.
ACR_VALUES: Final[Mapping[str, bool]] = {
    "1": False,
    "2": True,
    "http://schemas.openid.net/pape/policies/2007/06/multi-factor": True,
}
# By how much the clock that wrote the time of a login may be ahead of ours.
_AHEAD: Final = timedelta(seconds=60)
_SID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a user logged in: the facts that a session keeps, and that ID tokens and access tokens are to say.

    Parameters:
        auth_time: when, in seconds since the epoch; `None` where that is not known.
        amr: by which methods (RFC 8176 §2), in the order in which they were proven.
        acr: the context class that was asked for and met; `None` where none was.
        sid: what OpenID Connect calls the session (Back-Channel Logout §2.1): the same for as long as one user is logged in in
            one browser, whatever the session id. It cannot be guessed, says nothing about the session id, and does not belong
            in URLs or logs. `None` for a session of an older version.
    """

    auth_time: int | None
    amr: tuple[str, ...] = ()
    acr: str | None = None
    sid: str | None = field(default=None, repr=False)

    def to_data(self) -> dict[str, Any]:
        """As session data keep it; what is not known is left out."""
        said = {"auth_time": self.auth_time, "acr": self.acr, "sid": self.sid}
        return {"amr": list(self.amr), **{name: value for name, value in said.items() if value is not None}}


# Of a session of an older version, or a login that nothing is known of.
UNKNOWN: Final = Authentication(None)


def new_sid() -> str:
    """A `sid` that no other login has."""
    return random_value(_SID_BYTES)


def auth_facts(at: datetime, methods: Iterable[str], acr: str | None = None, sid: str | None = None) -> Authentication:
    """The facts of a login that is made now.

    Parameters:
        at: when.
        methods: what was proven; each is named once.
        acr: the context class that is met, where one was asked for.
        sid: that of the same user's earlier login in the same browser; by default a new one.
    """
    return Authentication(int(at.timestamp()), tuple(dict.fromkeys(methods)), acr, sid or new_sid())


def auth_in(facts: Mapping[str, Any]) -> Authentication:
    """What session data or the claims of a token say, of whatever types; what makes no sense is not known."""
    at, amr, acr, sid = (facts.get(name) for name in ("auth_time", "amr", "acr", "sid"))
    known = isinstance(at, (int, float)) and not isinstance(at, bool) and abs(at) < 1e15 and isfinite(at)
    return Authentication(
        int(at) if known and at is not None else None,
        tuple(method for method in amr if isinstance(method, str)) if isinstance(amr, list) else (),
        acr if isinstance(acr, str) else None,
        sid if isinstance(sid, str) and sid else None,
    )


def auth_of(key: Key | None) -> Authentication | None:
    """When and how the user of a session logged in.

    Parameters:
        key: the session's key, as `SessionCookie.get_user_for_session_id` gives it.

    Returns:
        The facts; `None` where nothing is known: an anonymous session, or one that an older version made.
    """
    ours = get_json_data(key).get(OURS) if key is not None else None
    found = ours.get(AUTH) if isinstance(ours, dict) else None
    if not isinstance(found, dict):
        return None
    auth = auth_in({"auth_time": found.get("at"), **found})
    return auth if auth.auth_time is not None or auth.sid is not None else None


def bypasses_factor2(data: Mapping[str, Any]) -> bool:
    """Whether the application decided, at the login of the session with these data, that it goes without a second factor."""
    ours = data.get(OURS)
    return isinstance(ours, dict) and ours.get(BYPASSED) is True


def lacks_factor2(key: Key, user: User) -> ErrorCode | None:
    """Why a session is refused where every user has to have a second factor: it was opened before that was so, and its user has
    none. `None` for any other."""
    fits = has_factor2(user) or bypasses_factor2(get_json_data(key))
    return None if fits else ErrorCode.Factor2ResetNeeded


def is_fresh(auth_time: int | None, now: datetime, within: timedelta) -> bool:
    """Whether a login is not older than that: the one rule for sessions, tokens, routes and `max_age`.

    Parameters:
        auth_time: when it was made, in seconds since the epoch; one that nothing is known of is not fresh.
        now: the time.
        within: for how long a login counts; with nothing, none does that was made before.
    """
    if auth_time is None:
        return False
    age = now.timestamp() - auth_time
    return -_AHEAD.total_seconds() <= age < within.total_seconds()


def is_two_factor(methods: Iterable[str]) -> bool:
    """Whether these methods are a login with a second factor: `mfa`, or methods of two kinds (RFC 8176 §2)."""
    known = set(methods)
    return "mfa" in known or sum(bool(kind & known) for kind in _KINDS) > 1


def met_acr(acr_values: Iterable[str], methods: Iterable[str]) -> str | None:
    """The first of the context classes, which are in order of preference, that a login by these methods meets."""
    two = is_two_factor(methods)
    return next((acr for acr in acr_values if acr in ACR_VALUES and (two or not ACR_VALUES[acr])), None)


def can_be_asked(accounts: Accounts, user: User) -> bool:
    """Whether the first factor of `user` is a secret that a form can ask for."""
    factor = accounts.factors.get(user.factor1)
    if factor is None:
        raise CrossauthError(ErrorCode.Configuration, detail=f"no authenticator is registered for {user.factor1!r}")
    return bool(factor.secret_names())
