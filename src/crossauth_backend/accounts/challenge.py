"""A second factor that has been asked for: what is kept of it in a session until the code comes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, equal, random_value
from crossauth_backend.core.texts import mark
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import same_stamp

# Names in the session data. The second factor relies on nothing else writing them.
PENDING: Final = "2fa"
VISIT: Final = "pre2fa"
READ_REQUEST: Final = "pre2falook"
# Where the secrets of a challenge hold the request that waits for it.
HELD_REQUEST: Final = "request"
Purpose = Literal["login", "step_up", "signup", "setup", "visit"]
# How long a challenge waits. A first factor that was proven is worth that much time to find a telephone, and so is a request; a
# code that was sent may expire earlier. A set-up takes time enough to install an application, and to come back to a new account.
WAITS: Final[Mapping[Purpose, timedelta]] = {
    "login": timedelta(minutes=10),
    "step_up": timedelta(minutes=10),
    "signup": timedelta(days=1),
    "setup": timedelta(hours=1),
    "visit": timedelta(minutes=10),
}
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge.

    Parameters:
        id: its name; a challenge counts once.
        purpose: what the code will be good for, and for nothing else.
        userid: whose it is; `None` where the account turned out to be somebody else's, which is not said.
        username: the user's name.
        factor2: which factor.
        secrets: what the code is compared with; encrypted where it is kept.
        persist: whether the login is to outlive the browser.
        proven: the security stamp of the user when it began; `None` where there is no user.
        until: when it ends; `None` where it ends with its session.
        claim: what names the browser that began it, see `sessions.claim`; `None` where no browser did.
        methods: what was proven before, by the names of RFC 8176; empty where that is not known.
    """

    id: str
    purpose: Purpose
    userid: UserId | None
    username: str
    factor2: str
    secrets: Mapping[str, Any] = field(repr=False)
    persist: bool | None = None
    proven: str | None = None
    until: datetime | None = None
    claim: str | None = field(default=None, repr=False)
    methods: tuple[str, ...] = ()

    @property
    def begun(self) -> datetime:
        """When it was asked for; the beginning of time where an older version kept no end of it."""
        return datetime.min.replace(tzinfo=UTC) if self.until is None else self.until - WAITS[self.purpose]

    def is_expired(self, now: datetime) -> bool:
        """Whether it has waited too long."""
        return self.until is not None and now >= self.until

    def is_claimed_by(self, claim: str | None) -> bool:
        """Whether the browser that has `claim` began it."""
        return self.claim is None or (claim is not None and equal(self.claim, claim))

    def matches(self, user: User) -> bool:
        """Whether the user's credentials still are those with which it began."""
        return same_stamp(self.proven, user.security_stamp)


def new_challenge(
    purpose: Purpose, user: User | None, username: str, factor2: str, secrets: Mapping[str, Any], persist: bool | None,
    until: datetime | None = None, claim: str | None = None, methods: tuple[str, ...] = (),
) -> Challenge:  # fmt: skip
    """A new challenge, which rests on the security stamp that `user` says."""
    return Challenge(
        id=random_value(_ID_BYTES), purpose=purpose, userid=user.id if user else None, username=username,
        factor2=factor2, secrets=secrets, persist=persist, proven=user.security_stamp if user else None, until=until, claim=claim,
        methods=methods,
    )  # fmt: skip


def reissued(challenge: Challenge, secrets: Mapping[str, Any]) -> Challenge:
    """The challenge under another name and with other secrets; what it rests on stays."""
    return replace(challenge, id=random_value(_ID_BYTES), secrets=secrets)


def encrypt(challenge: Challenge, ring: KeyRing) -> dict[str, Any]:
    """The challenge as it is kept."""
    userid, until = challenge.userid, challenge.until
    sealed = {
        "secrets": dict(challenge.secrets),
        "proven": challenge.proven,
        "until": None if until is None else until.timestamp(),
        "claim": challenge.claim,
        "methods": list(challenge.methods),
    }
    return {
        "id": challenge.id,
        "purpose": challenge.purpose,
        "userid": userid if userid is None or isinstance(userid, int) else str(userid),
        "username": challenge.username,
        "factor2": challenge.factor2,
        "persist": challenge.persist,
        "sealed": ring.encrypt(json.dumps(sealed)),
    }


def is_setup_pending(key: Key | None, ring: KeyRing, now: datetime) -> bool:
    """Whether a second factor is being set up in a session, and was not abandoned for too long."""
    try:
        challenge = decrypt(key, ring, PENDING, "signup", "setup")
    except CrossauthError:
        return False
    return challenge.until is not None and not challenge.is_expired(now)


def decrypt(key: Key | None, ring: KeyRing, name: str, *purposes: Purpose) -> Challenge:
    """The challenge in a session.

    Raises:
        CrossauthError: `Unauthorized` where there is none, or it is for something else.
    """
    stored = get_json_data(key).get(name) if key is not None else None
    if not isinstance(stored, dict) or stored.get("purpose") not in purposes:
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    sealed = json.loads(ring.decrypt(stored["sealed"]))
    if "proven" not in sealed:
        # Kept by a version that did not say what a challenge rests on.
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    until = sealed["until"]
    return Challenge(
        id=stored["id"], purpose=stored["purpose"], userid=stored["userid"], username=stored["username"],
        factor2=stored["factor2"], persist=stored.get("persist"), secrets=sealed["secrets"], proven=sealed["proven"],
        until=None if until is None else datetime.fromtimestamp(until, UTC), claim=sealed.get("claim"),
        # An older version did not say it, and knew passwords only.
        methods=tuple(sealed.get("methods", ("pwd",))),
    )  # fmt: skip
