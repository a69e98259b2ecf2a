"""Reading a key together with its user, by whatever the two storages can do."""

from __future__ import annotations

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.keys.storage import KeyStorage, KeyWithUser, KeyWithUserReader, SupportsKeyWithUser
from crossauth_backend.users.capabilities import SupportsUserReader
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.storage import UserStorage


def key_with_user_reader(keys: KeyStorage, users: UserStorage | None) -> KeyWithUserReader:
    """What reads a key and its user, in one query where the storages can; see `SupportsKeyWithUser`.

    Without a storage of users the user is `None`.
    """
    if users is not None and isinstance(keys, SupportsKeyWithUser):
        reader = keys.key_with_user_reader(users)
        if reader is not None:
            return reader
    read_user = users.user_reader() if isinstance(users, SupportsUserReader) else None

    async def read(value: str) -> KeyWithUser | None:
        try:
            key = await keys.get_key(value)
        except CrossauthError as e:
            if e.code is not ErrorCode.InvalidKey:
                raise
            return None
        if key.userid is None or users is None:
            return key, None
        return key, await (read_user(key.userid) if read_user is not None else find_user(users, key.userid))

    return read


async def find_user(users: UserStorage | None, userid: UserId) -> User | None:
    """The user in whatever state, with the stamp, or the digest that stands in for it; `None` where there is none."""
    if users is None:
        return None
    found = await or_none(users.get_user_by_id(userid, ANY_STATE))
    return None if found is None else with_stamp(found, users.credentials).user
