"""When and how a user logged in, as a session remembers it. Pure.

The session data keep `crossauth.auth`: `auth_time` (seconds since the epoch), `amr` (names of RFC 8176), `acr` and `sid`, see
`Authentication`. What an older version has kept there says `at` for `auth_time`, and no `sid`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Final

from crossauth_backend.core.secrets import random_value
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key

OURS: Final = "crossauth"
AUTH: Final = "auth"
BYPASSED: Final = "factor2_bypassed"
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
        declared = {"auth_time": self.auth_time, "acr": self.acr, "sid": self.sid}
        return {"amr": list(self.amr), **{name: value for name, value in declared.items() if value is not None}}


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
