"""Whether a password is that of whoever reads the user's mailbox.

Anybody may register somebody else's address with a password, and the owner of the mailbox may press the link that verifies it.
So a verified address says nothing of a password that was set before. One that was set by a link in a mail is the owner's, and a
random one is nobody's. This is noted for the address as it was then; what is not noted is not known.
"""

from __future__ import annotations

from typing import Any

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import folded
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users._records import key_owner


async def note_own_password(keys: KeyStorage, user: Any) -> None:
    """Note that the password is that of whoever reads the mailbox, or nobody's."""
    owner = key_owner(user)
    await keys.delete_all_for_user(owner, KeyPrefix.own_password, _stored(user))
    try:
        await keys.save_key(owner, _stored(user), utc_now())
    except CrossauthError as e:
        if e.code is not ErrorCode.KeyExists:
            raise


async def forget_own_password(keys: KeyStorage, user: Any) -> None:
    """The password was chosen by somebody who did not show to be its owner: a stolen login may have done it."""
    await keys.delete_all_for_user(key_owner(user), KeyPrefix.own_password)


async def has_own_password(keys: KeyStorage, user: Any) -> bool:
    """Whether that is known of the user's password, at the address that the user has now."""
    return await keys.find_key(_stored(user)) is not None


def _stored(user: Any) -> str:
    return KeyPrefix.own_password + hash_token(f"{key_owner(user)}\n{folded(user.email)}".encode(errors="replace"))
