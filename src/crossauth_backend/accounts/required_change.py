"""A change that an account demands before its user may log in: what a login leaves in an anonymous session for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import same_stamp

# How long a login waits for the change that the account demands.
CHANGE_WAITS: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RequiredChange:
    """A change that a login was sent to make before it could end in a session.

    Parameters:
        user: who is to make it.
        methods: what was proven in that login, by the names of RFC 8176.
        factor2_passed: whether the second factor was proven in it, too.
    """

    user: User
    methods: tuple[str, ...]
    factor2_passed: bool


async def required_change(accounts: Accounts, key: Key | None, step: Requirement) -> RequiredChange | None:
    """The change that the anonymous session `key` was opened for; `None` where it was opened for something else.

    Raises:
        CrossauthError: `Unauthorized` where the user's credentials are others by now than those that were proven, or that was
            too long ago: it takes another login.
    """
    forced = get_json_data(key).get(step.value) if key is not None and key.userid is None else None
    if not isinstance(forced, dict):
        return None
    until = forced.get("until")
    if not isinstance(until, int) or until <= accounts.now.timestamp() or "userid" not in forced:
        raise CrossauthError(ErrorCode.Unauthorized)
    user = await or_none(accounts.user(forced["userid"]))
    if user is None or not same_stamp(forced.get("stamp"), user.security_stamp):
        raise CrossauthError(ErrorCode.Unauthorized)
    passed = forced.get("factor2_passed") is True
    # An older version did not say the methods, and knew passwords and codes only.
    methods = forced.get("methods", ["pwd", "otp"] if passed else ["pwd"])
    return RequiredChange(user, tuple(methods), passed)


def waiting_change(accounts: Accounts, attempt: Attempt, step: Requirement) -> dict[str, Any]:
    """Session data for an anonymous session in which a user may make the change that the account demands."""
    user = attempt.user
    return {
        step.value: {
            "userid": user.id if isinstance(user.id, int) else str(user.id),
            "username": user.username,
            "methods": list(attempt.methods),
            "factor2_passed": attempt.factor2_passed or attempt.factor2_bypassed or attempt.auth is not None,
            "stamp": user.security_stamp,
            "until": int((accounts.now + CHANGE_WAITS).timestamp()),
        }
    }
