"""A user of the application's as the core knows users."""

from __future__ import annotations

import uuid
from typing import Any

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.authentication import UNKNOWN
from crossauth_backend.accounts.stages import next_step
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState


def record_of(user: Any) -> User:
    """A user as the stages and events know users.

    One of a session server's (see `CrossauthUserDatabase`) brings its record along. Of others it is only known whether they
    are active.
    """
    record = getattr(user, "crossauth_record", None)
    if isinstance(record, User):
        return record
    state = UserState.active if user.is_active else UserState.disabled
    return User(id=user.id, username=user.email, email=user.email, state=state, admin=user.is_superuser is True)


def attempt_for(user: Any, *, factor2_passed: bool = False, logged_in: bool = False) -> Attempt:
    """A user who has proven the first factor, for the stages of every login.

    Parameters:
        user: the user.
        factor2_passed: whether the second factor was proven, too.
        logged_in: whether all that was at a login made before, which goes on.
    """
    needed = getattr(user, "crossauth_factor2_needed", False)
    auth = UNKNOWN if logged_in else None
    return Attempt(record_of(user), factor2_passed=factor2_passed, auth=auth, factor2_needed=needed)


def may_stay(user: Any) -> bool:
    """Whether somebody who is logged in may go on: a session server's users only in a state in which they could log in."""
    return getattr(user, "crossauth_record", None) is None or next_step(attempt_for(user, logged_in=True)) is None


def credential_fingerprint(user: Any) -> str:
    """What a login rests on: it is another when the password or the second factor is, or the id is somebody else's by now.

    Of a session server's users it is another whenever their security stamp is: with each of these, and not where only the hash
    of the same password is another.
    """
    stamp = getattr(getattr(user, "crossauth_record", None), "security_stamp", None)
    if stamp:
        return hash_token(f"{user.id}\n{stamp}")
    factor2 = getattr(getattr(user, "crossauth_record", None), "factor2", None) or ""
    return hash_token(f"{user.id}\n{user.hashed_password}\n{factor2}")


def reset_fingerprint(user: Any) -> str:
    """What a link to choose a new password rests on: the password; of a session server's users all that their logins do."""
    return user.hashed_password if getattr(user, "crossauth_record", None) is None else credential_fingerprint(user)


def key_owner(user: Any) -> Any:
    """A user's id as key storages take it: a whole number or a UUID as it is, anything else as text."""
    return user.id if isinstance(user.id, (int, str, uuid.UUID)) else str(user.id)


async def rebind(keys: KeyStorage, value: str, user: Any) -> None:
    """Let the stored login `value` rest on what its user has now; nothing happens where it has ended meanwhile."""
    try:
        await keys.update_data(value, "mark", credential_fingerprint(user))
    except CrossauthError as e:
        if e.code is not ErrorCode.InvalidKey:
            raise
