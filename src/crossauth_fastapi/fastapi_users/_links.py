"""Accounts at providers that were linked by nothing but a login: what a thief of one would do to stay."""

from __future__ import annotations

from typing import Any

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.keys.record import KeyPrefix, encode_data, get_json_data
from crossauth_backend.keys.storage import KeyStorage
from crossauth_fastapi.fastapi_users._passwords import logger
from crossauth_fastapi.fastapi_users._records import key_owner
from crossauth_fastapi.fastapi_users.exceptions import UserNotExists
from crossauth_fastapi.fastapi_users.manager import BaseUserManager


async def note_link(keys: KeyStorage, user: Any, oauth_name: str, account_id: str) -> None:
    """Note that an account was linked to a user without the password being asked."""
    data = encode_data({"oauth_name": oauth_name, "account_id": account_id})
    try:
        await keys.save_key(key_owner(user), _stored(oauth_name, account_id), utc_now(), None, data)
    except CrossauthError as e:
        if e.code is not ErrorCode.KeyExists:
            raise


async def forget_link(keys: KeyStorage, oauth_name: str, account_id: str) -> None:
    """The account is not linked any more."""
    await keys.delete_key(_stored(oauth_name, account_id))


async def end_links(keys: KeyStorage, user_manager: BaseUserManager[Any, Any], user: Any) -> None:
    """Unlink what was so noted: whoever resets the password says that others may have had it, or a login."""
    for key in await keys.get_all_for_user(key_owner(user), KeyPrefix.oauth_link):
        account = get_json_data(key)
        try:
            await user_manager.unlink(user, str(account.get("oauth_name")), str(account.get("account_id")))
        except UserNotExists:
            pass
        except NotImplementedError as e:
            logger.error("an account that was linked without the password stays linked after a reset: %s", e)
            continue
        await keys.delete_key(key.value)


def _stored(oauth_name: str, account_id: str) -> str:
    return KeyPrefix.oauth_link + hash_token(f"{oauth_name}\n{account_id}".encode(errors="replace"))
