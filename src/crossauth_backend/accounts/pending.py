"""A second factor that has been asked for: what is kept of it in a session until the code comes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import KeyRing, random_value
from crossauth_backend.keys.record import Key, get_json_data
from crossauth_backend.users.record import User, UserId

# Names in the session data (contract 4.5). The second factor rests on nobody but this room writing them.
PENDING: Final = "2fa"
VISIT: Final = "pre2fa"
Purpose = Literal["login", "signup", "setup", "visit"]
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One challenge.

    Parameters:
        id: its name; a challenge counts once.
        purpose: what the code will be good for, and for nothing else.
        userid: whose it is; `None` where the account turned out to be somebody else's, which is not said.
        username: the user's name.
        factor2: which factor.
        secrets: what the code is compared with; encrypted where it is kept.
        persist: whether the login is to outlive the browser.
    """

    id: str
    purpose: Purpose
    userid: UserId | None
    username: str
    factor2: str
    secrets: Mapping[str, Any] = field(repr=False)
    persist: bool | None = None


def new_pending(
    purpose: Purpose, user: User | None, username: str, factor2: str, secrets: Mapping[str, Any], persist: bool | None
) -> Pending:
    """A new challenge."""
    return Pending(
        id=random_value(_ID_BYTES), purpose=purpose, userid=user.id if user else None, username=username,
        factor2=factor2, secrets=secrets, persist=persist,
    )  # fmt: skip


def seal(pending: Pending, ring: KeyRing) -> dict[str, Any]:
    """The challenge as it is kept."""
    userid = pending.userid
    return {
        "id": pending.id,
        "purpose": pending.purpose,
        "userid": userid if userid is None or isinstance(userid, int) else str(userid),
        "username": pending.username,
        "factor2": pending.factor2,
        "persist": pending.persist,
        "sealed": ring.encrypt(json.dumps(dict(pending.secrets))),
    }


def read_pending(key: Key | None, ring: KeyRing, name: str, *purposes: Purpose) -> Pending:
    """The challenge in a session.

    Raises:
        CrossauthError: `Unauthorized` where there is none, or it is for something else.
    """
    kept = get_json_data(key).get(name) if key is not None else None
    if not isinstance(kept, dict) or kept.get("purpose") not in purposes:
        raise CrossauthError(ErrorCode.Unauthorized, "No second factor is being asked for")
    return Pending(
        id=kept["id"], purpose=kept["purpose"], userid=kept["userid"], username=kept["username"],
        factor2=kept["factor2"], persist=kept.get("persist"), secrets=json.loads(ring.decrypt(kept["sealed"])),
    )  # fmt: skip
