"""What a login brings along for the session that comes of it, such as the tokens of a provider. Pure.

While it waits for a second factor, or a change, that is kept in the anonymous session in which it waits, where nothing reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.accounts.authentication import OURS
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

CARRIED: Final = "carried"


def with_carried(data: Mapping[str, Any], user: User, carried: Mapping[str, Any]) -> dict[str, Any]:
    """`data` of a session in which the login of `user` waits, with what the session of this user is to hold."""
    return {**data, OURS: {**data.get(OURS, {}), CARRIED: {"userid": str(user.id), "data": dict(carried)}}}


def carried_by(previous: Key, user: User) -> dict[str, Any]:
    """What an earlier step of this login of `user` has left for the session. A login of somebody else does not get it."""
    ours = get_json_data(previous).get(OURS) if previous.userid is None else None
    stored = ours.get(CARRIED) if isinstance(ours, dict) else None
    if not isinstance(stored, dict) or stored.get("userid") != str(user.id):
        return {}
    found = stored.get("data")
    return found if isinstance(found, dict) else {}
