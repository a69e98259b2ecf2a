"""What every change of an account goes through: it counts only while its user is who was checked, and ends what rested on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.rules import is_email_change
from crossauth_backend.keys.kinds import ENDING_WITH_PASSWORD
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.users.credentials import digest_after, replaces_credential
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.stamp import STAMP, is_digest, new_stamp, same_stamp
from crossauth_backend.users.states import UserState
from crossauth_backend.users.storage import replace_user


async def replace_checked(
    accounts: Accounts,
    user: User,
    values: Mapping[str, Any],
    secrets: Mapping[str, Any] | None = None,
    *,
    expected: Mapping[str, Any] | None = None,
    refusal: ErrorCode = ErrorCode.InvalidSession,
) -> User:
    """Write what rests on a check of `user`, if the user still is what was checked; nothing is written otherwise.

    Parameters:
        accounts: the account services.
        user: as read before the check, by `find` or with the session.
        values: fields to set.
        secrets: secrets to set with them.
        expected: what the check rested on, where that is less than every credential.
        refusal: the reason that is given where the user is another by now.

    Returns:
        The user as stored, with the security stamp of right after this write, which is a new one where a credential was
        changed: a session that rests on it is void where somebody else has changed the user since.

    Raises:
        CrossauthError: `refusal`; `UserNotActive` where the account was disabled meanwhile; as `UserStorage.replace_user`.
    """
    if user.security_stamp is None:
        user = await accounts.user(user.id)
    before = await accounts.find(user.id) if is_digest(user.security_stamp) else None
    basis = {STAMP: user.security_stamp} if expected is None else expected
    changes = any(name in values and values[name] != user.get(name) for name in accounts.users.credentials)
    stamp = new_stamp() if changes or replaces_credential(secrets or ()) else None
    if not await replace_user(accounts.users, user.id, basis, values, secrets=secrets, stamp=stamp):
        raise await _changed_meanwhile(accounts, user, refusal)
    stored = await accounts.user(user.id)
    if before is not None and is_digest(stored.security_stamp):
        # The storage has no place for a stamp. (A row that an older version left without one has it now.)
        stamp = digest_after(before, values, secrets or {}, accounts.users.credentials)
    if stamp is None:
        stamp = basis.get(STAMP, stored.security_stamp)
    return replace(stored, security_stamp=stamp)


async def check_still(accounts: Accounts, user: User) -> None:
    """Look again at `user`, on whose word something is about to be stored elsewhere than in the user's own row.

    A request can be in flight for as long as its sender likes; what it does counts only while its user is who was checked.

    Raises:
        CrossauthError: `InvalidSession` where a credential of the user has changed since, or the user is gone;
            `UserNotActive` where the account was disabled; `InsufficientPriviledges` where it is an administrator's no more.
    """
    found = await or_none(accounts.user(user.id))
    if found is None:
        raise CrossauthError(ErrorCode.InvalidSession)
    if user.security_stamp is not None and not same_stamp(user.security_stamp, found.security_stamp):
        raise await _changed_meanwhile(accounts, user, ErrorCode.InvalidSession)
    if bool(user.get("admin")) and not found.get("admin"):
        raise CrossauthError(ErrorCode.InsufficientPriviledges)


async def _changed_meanwhile(accounts: Accounts, user: User, refusal: ErrorCode) -> CrossauthError:
    """The reason for whoever was overtaken: `UserNotActive` for an account that is disabled by now, else `refusal`."""
    found = await or_none(accounts.user(user.id))
    if found is not None and found.state == UserState.disabled:
        return CrossauthError(ErrorCode.UserNotActive)
    message = mark("This account has been changed. Log in again.") if refusal is ErrorCode.InvalidSession else None
    return CrossauthError(refusal, message)


async def end_sessions(accounts: Accounts, userid: UserId, keep: Collection[str] = ()) -> None:
    """End every session of a user and revoke every token that stands for one or could start a new one: see `keys/kinds.py`.

    With them goes what was asked for in such a session and waits: another address.

    Parameters:
        accounts: the account services.
        userid: whose.
        keep: prefixes of keys that the caller sees to itself.
    """
    for prefix in ENDING_WITH_PASSWORD:
        if prefix not in keep:
            await accounts.keys.delete_all_for_user(userid, prefix)
    if accounts.email_tokens is not None and accounts.email_tokens is not accounts.keys:
        await accounts.email_tokens.delete_all_for_user(userid, KeyPrefix.password_reset_token)
    await end_address_changes(accounts, userid)


async def end_address_changes(accounts: Accounts, userid: UserId) -> None:
    """Let no link that waits give a user another address."""
    mailed = accounts.email_tokens or accounts.keys
    for key in await mailed.get_all_for_user(userid, KeyPrefix.email_verification_token):
        if is_email_change(key):
            await mailed.delete_key(key.value)
