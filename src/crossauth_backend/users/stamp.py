"""The security stamp: what sessions, challenges, links and remembered browsers rest on. Pure.

A storage of users gives a user a new random stamp in the same statement in which a credential changes. What was handed out on
the strength of the credentials records the stamp, and is void when the user has another one. Where there is no stamp to read (a
table of the application's without the column, a row that an older version wrote, a storage that knows nothing of stamps) a
digest of the credentials themselves takes its place, see `credentials`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from crossauth_backend.core.secrets import random_value
from crossauth_backend.users.credentials import DIGEST, credential_stamp
from crossauth_backend.users.record import UserAndSecrets

STAMP: Final = "security_stamp"
STAMP_LENGTH: Final = 64

_STAMP_BYTES: Final = 16


def new_stamp() -> str:
    """A stamp that no user has or had."""
    return random_value(_STAMP_BYTES)


def is_digest(stamp: str | None) -> bool:
    """Whether a stamp is a digest of the credentials, not a stored one."""
    return stamp is not None and stamp.startswith(DIGEST)


def with_stamp(found: UserAndSecrets, names: Sequence[str]) -> UserAndSecrets:
    """`found`, whose user says the stamp also where the storage does not; see `credential_stamp`."""
    if found.user.security_stamp is not None:
        return found
    return UserAndSecrets(replace(found.user, security_stamp=credential_stamp(found, names)), found.secrets)


def same_stamp(recorded: object, current: str | None) -> bool:
    """Whether what rests on the stamp `recorded` is good for a user whose stamp is `current`. Without a stamp nothing is."""
    # Both are read from a storage, so there is nothing to learn from how long it takes.
    return bool(recorded) and isinstance(recorded, str) and recorded == current
