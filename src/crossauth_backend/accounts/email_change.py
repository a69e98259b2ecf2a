"""Verifying an email address: a new account's, or one that replaces another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from crossauth_backend.accounts.changes import replace_checked
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.signup_rules import SIGNUP_LASTS, state_after_verification
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import problems_of
from crossauth_backend.core.secrets import hash_token
from crossauth_backend.core.text import normalize
from crossauth_backend.core.texts import mark
from crossauth_backend.delivery.queue import Send
from crossauth_backend.email_tokens.manager import Verification
from crossauth_backend.email_tokens.rules import BAD_LINK, contact_address, is_named_for_address, is_named_for_mailbox
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import username_problems
from crossauth_backend.users.stamp import with_stamp
from crossauth_backend.users.states import UserState

VERIFY_FIRST: Final = mark(
    "Verify your email address first. We've sent you a link; if you don't see it, check your spam folder."
)
_TAKEN: Final = mark("Another account has this email address. Log in to that account, or choose another address.")


@dataclass(frozen=True, slots=True)
class Verified:
    """An address that was verified.

    Parameters:
        user: whose it is.
        waited: whether the account waited for that.
        already: whether it had been verified before, so that nothing was done.
    """

    user: User
    waited: bool = False
    already: bool = False


async def check_link(accounts: Accounts, token: str, applied: bool = False) -> Verification:
    """What the link in an email would do. Nothing changes, and nothing is counted: a token cannot be guessed.

    Parameters:
        accounts: the account services.
        token: what the link carries.
        applied: whether it must have been applied already.

    Raises:
        CrossauthError: `InvalidKey`, `Expired`.
    """
    found = await accounts.need_emails().check_email_verification_token(token)
    if applied and not found.already:
        raise CrossauthError(ErrorCode.InvalidKey, BAD_LINK)
    return found


async def verify_email(accounts: Accounts, token: str, origin: ClientInfo = UNKNOWN_CLIENT) -> Verified:
    """Apply a token that came by email. One that was applied before is good again where its address is still the user's.

    Raises:
        CrossauthError: `InvalidKey`, `Expired`, `TooManyAttempts`; `UserExists` where another account has the address by now.
    """
    async with accounts.limited(origin, None, token_credential=hash_token(token), token_address=origin.address):
        asked = await check_link(accounts, token)
        stored = None if asked.already else await _apply(accounts, asked)
        if stored is None:
            # It was applied before, or somebody was faster: with the same link, or with a change that makes it void.
            return Verified((await check_link(accounts, token, applied=True)).found.user, already=True)
    await accounts.need_emails().consume_email_verification_token(token)
    await _tell(accounts, asked, origin)
    return Verified(stored, waited=stored.state != asked.found.user.state)


async def _apply(accounts: Accounts, asked: Verification) -> User | None:
    """Store what a token stands for, if the account still is as it was when the token was made; `None` if it is not."""
    user = asked.found.user
    changes: dict[str, Any] = {}
    if isinstance(accounts.users, SupportsSignupExpiry):
        changes["email_verified_at"] = accounts.now
    state = state_after_verification(user.state)
    if state != user.state:
        changes["state"] = state
    if asked.token.new_email:
        changes["email"] = asked.token.new_email
    try:
        return await _store(accounts, with_stamp(asked.found, accounts.users.credentials).user, changes)
    except CrossauthError as e:
        if e.code is ErrorCode.InvalidKey:
            return None
        raise CrossauthError(e.code, _TAKEN, fields=e.wrong_fields) if e.code is ErrorCode.UserExists else e from e


async def _store(accounts: Accounts, user: User, changes: dict[str, Any]) -> User:
    """Store `changes`. A username that is the old address becomes the new one in the same write.

    It stays where the new one is somebody's username, or breaks a rule for usernames: nobody could be asked for another.
    """
    email = changes.get("email")
    if email and is_named_for_address(user) and not await _name_problems(accounts, user, email):
        try:
            return await replace_checked(accounts, user, {**changes, "username": email}, refusal=ErrorCode.InvalidKey)
        except CrossauthError as e:
            # It may be the address that is taken: that the next write will say.
            if e.code is not ErrorCode.UserExists:
                raise
    return await replace_checked(accounts, user, changes, refusal=ErrorCode.InvalidKey)


async def _name_problems(accounts: Accounts, user: User, email: str) -> list[str]:
    renamed = {**user.to_dict(), "username": email, "email": email}
    return username_problems(email) or list(await problems_of(accounts.validate_user, renamed))


async def _tell(accounts: Accounts, asked: Verification, origin: ClientInfo) -> None:
    user = asked.found.user
    if asked.token.new_email:
        await forget_links(accounts, user)
        accounts.events.emit(EventName.email_changed, user, address=origin.address)
        if user.email:
            accounts.need_emails().send_change_notice(user, user.email, changed=True)
    else:
        accounts.events.emit(EventName.email_verified, user, address=origin.address)


async def forget_links(accounts: Accounts, user: User) -> None:
    """Delete the links that were sent to an address which is not the user's any more, or which would replace it."""
    mailed = accounts.email_tokens or accounts.keys
    await mailed.delete_all_for_user(user.id, KeyPrefix.password_reset_token)
    for key in await mailed.get_all_for_user(user.id, KeyPrefix.email_verification_token):
        if key.consumed is None:
            await mailed.delete_key(key.value)


async def request_change(accounts: Accounts, user: User, new_email: str, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Send a link to the address that `user` wants, and a note to the one it would replace; nothing is changed yet.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    await accounts.counted(origin, user, verification_account=str(user.id))
    emails = accounts.need_emails()
    emails.send_email_verification_token(user.id, new_email, stamp=user.security_stamp)
    if user.email:
        emails.send_change_notice(user, user.email, changed=False)
    accounts.events.emit(EventName.email_change_requested, user, address=origin.address)


async def send_link_again(accounts: Accounts, user: User, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Send a fresh link to a user whose address waits for one, and let the sign-up last as long as that link.

    Nothing is sent where a limit is reached, and nothing says so: others may have reached it.
    """
    address = contact_address(user)
    if user.state != UserState.awaiting_email_verification or address is None or not accounts.verify_email:
        return
    if not await accounts.allowed(origin, user, verification_account=str(user.id)):
        return
    if user.signup_expires is not None:
        expires = accounts.now + signup_lasts(accounts)
        await accounts.users.replace_user(user.id, {"state": user.state}, {"signup_expires": expires})
    accounts.need_emails().send_email_verification_token(user.id)


async def request_link(accounts: Accounts, username: str, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Have a fresh link sent to an account whose address waits for one. The answer is the same if there is none.

    Parameters:
        accounts: the account services.
        username: the name of the account.
        origin: where the request comes from.

    Raises:
        CrossauthError: `TooManyAttempts`.
    """
    counted = {"verification_account": f"name {normalize(username)}", "verification_address": origin.address}
    await accounts.counted(origin, None, **counted)

    async def look() -> Send | None:
        found = await or_none(accounts.users.get_user_by_username(username, ANY_STATE))
        if found is None:
            return None
        names = accounts.factor1(found.user).secret_names()
        if is_named_for_mailbox(found.user) and names and not any(found.secrets.get(name) for name in names):
            # It has no password any more, see `leave_to_mailbox`: the link leads to choosing one.
            accounts.need_emails().send_password_reset_token(found.user.username, always=False)
        else:
            await send_link_again(accounts, found.user, origin)
        return None

    # Also what is looked up is looked up in the background, so that the time of the answer says nothing.
    accounts.need_emails().queue.put(look)


def signup_lasts(accounts: Accounts) -> timedelta:
    """How long a sign-up may take: as long as its link."""
    return SIGNUP_LASTS if accounts.emails is None else accounts.emails.verification_lasts
