"""Whom a sign-up meets: who has its name, who has its address, and who gives way."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from crossauth_backend.accounts.changes import replace_checked
from crossauth_backend.accounts.context import Accounts, ClientInfo
from crossauth_backend.accounts.credentials import check_credentials, check_nobody, prove_first_factor, says_nothing
from crossauth_backend.accounts.forget import forget_user
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.email_tokens.rules import contact_address, is_named_for_mailbox
from crossauth_backend.factors.base import Params
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.states import UNFINISHED

logger = logging.getLogger("crossauth.accounts")
_WRONG = (ErrorCode.UsernameOrPasswordInvalid, ErrorCode.PasswordInvalid, ErrorCode.TooManyAttempts)


async def find(accounts: Accounts, username: str) -> User | None:
    """The user of this name."""
    found = await or_none(accounts.users.get_user_by_username(username, ANY_STATE))
    return None if found is None else found.user


async def has_owner(accounts: Accounts, email: str) -> bool:
    """Whether an account, not only a sign-up, has this address."""
    return await or_none(accounts.users.get_user_by_email(email, ANY_STATE)) is not None


async def same_signup(accounts: Accounts, found: User | None, params: Params, origin: ClientInfo) -> User | None:
    """`found`, if it is an unfinished sign-up with the password in `params`.

    One look at a password is taken in any case, so that the time does not say what the account is doing.
    """
    if found is not None and found.state in UNFINISHED:
        try:
            user = await _check_signup(accounts, found, params, origin)
        except CrossauthError as e:
            if e.code not in _WRONG:
                raise
            if e.code is not ErrorCode.TooManyAttempts:
                return None
        else:
            return user if user.id == found.id and user.state in UNFINISHED else None
    try:
        await check_nobody(accounts, params)
    except CrossauthError as e:
        if e.code not in _WRONG:
            raise
    return None


async def _check_signup(accounts: Accounts, signup: User, params: Params, origin: ClientInfo) -> User:
    """The user of a sign-up, if `params` prove the first factor.

    Where nothing may say that there is such a sign-up, this is not counted as a login: whoever logs in next would be told by the
    limit. A wrong password costs more than an attempt there, see `leave_to_mailbox`.
    """
    if not says_nothing(accounts, signup):
        return await check_credentials(accounts, signup.username, params, origin)
    current = await or_none(accounts.find(signup.id))
    if current is None:
        raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
    return (await prove_first_factor(accounts, current, params)).user


def leave_to_mailbox(
    accounts: Accounts, signup: User, secrets: Mapping[str, Any], address: str, *, tell_owner: bool
) -> None:
    """Let whoever reads the mailbox for which an unfinished sign-up is named choose its password.

    Two have signed up with it, or one has twice, and the library cannot tell which of them it belongs to. So the password of the
    first is worth nothing from now on, nor are the links that were sent for it; that of the second is not stored. Where the
    application lets nobody choose a password by mail, the second takes the place of the first. Done in the background, so that
    the answer does not take longer than any other.

    All this is the same where the address has an account by another name, or the third sign-up would tell: only the mail differs.

    Parameters:
        accounts: the account services.
        signup: the first. It may also be an account of this name.
        secrets: the secrets of the second.
        address: the mailbox.
        tell_owner: whether the owner of an account with this address is sent a note.
    """
    emails = accounts.need_emails()

    async def leave() -> None:
        found = await accounts.find(signup.id)
        user, names = found.user, accounts.factor1(found.user).secret_names()
        owner = await emails.owner_of(address)
        if owner is not None and tell_owner:
            emails.send_account_exists(contact_address(owner) or address)
        if not is_named_for_mailbox(user):
            if owner is None:
                emails.send_name_taken(address)
            return
        if not accounts.reset_password or any(found.secrets.get(name) for name in names):
            stored = dict.fromkeys(names) if accounts.reset_password else secrets
            try:
                await replace_checked(accounts, user, {"state": user.state}, stored, refusal=ErrorCode.InvalidKey)
            except CrossauthError:
                # It was finished at this moment, by a link that had come before.
                return
        if owner is not None:
            return
        if accounts.reset_password:
            emails.send_password_reset_token(user.username, always=False)
        else:
            emails.send_email_verification_token(user.id)

    emails.queue.put(leave)


def mail_name_taken(accounts: Accounts, new: Mapping[str, Any]) -> None:
    """Tell the owner of a mailbox by mail where a username that is the address belongs to an account with another address.

    Parameters:
        accounts: the account services.
        new: the user that could not be stored.
    """
    address, email = contact_address(User(id=0, username=str(new["username"]))), new.get("email")
    if not accounts.verify_email or accounts.emails is None or not address or not same_mailbox(address, email or ""):
        return
    emails = accounts.need_emails()

    async def notify() -> None:
        found = await find(accounts, address)
        if found is not None and not same_mailbox(contact_address(found) or "", address):
            emails.send_name_taken(address)

    emails.queue.put(notify)


async def make_way(accounts: Accounts, new: dict[str, Any], neutral: bool) -> bool:
    """Let what only stands in the way of a sign-up give way to it; whether it is worth trying again.

    An expired sign-up loses its name. In a table of the application's own whose addresses are unique, a sign-up that is not
    finished loses its address; and where the address has an account, `new` is left without it: its owner is told, not whoever
    asked.

    Parameters:
        accounts: the account services.
        new: the user that could not be stored; it may be changed.
        neutral: whether nothing may say that an address has an account.
    """
    named = await find(accounts, str(new["username"]))
    if named is not None:
        return await throw_away(accounts, named.id)
    email = new.get("email")
    holder = None if not email else await _holder_of(accounts, email)
    if holder is None:
        # Whoever stood in the way is gone by now.
        return True
    if holder.state in UNFINISHED:
        return await accounts.users.replace_user(holder.id, {"state": holder.state, "email": email}, {"email": None})
    if not neutral or new["state"] not in UNFINISHED:
        return False
    accounts.need_emails().send_account_exists(str(email))
    new["email"] = None
    return True


async def throw_away(accounts: Accounts, userid: UserId) -> bool:
    """Delete a sign-up whose time is up, with everything stored for it; whether it was one and is gone."""
    try:
        return await delete_signup(accounts, userid)
    except SignupKept as e:
        logger.warning("a sign-up whose time is up cannot be deleted: %r", e.__cause__)
        return False


class SignupKept(Exception):
    """A sign-up whose time is up, but which the application's hook or its tables keep."""


async def delete_signup(accounts: Accounts, userid: UserId) -> bool:
    """Delete a sign-up whose time is up, after the hook `before_delete_user`; whether it was one.

    Raises:
        SignupKept: where the hook raises, or rows of the application's refer to the user. Its cause says which.
    """
    users, now = accounts.users, accounts.now
    if not isinstance(users, SupportsSignupExpiry):
        return False
    if accounts.before_delete_user is not None:
        user = await _by_id(accounts, userid)
        # Never for an account, or for a sign-up that may still be finished: what belongs to them stays.
        if user is None or user.state not in UNFINISHED or user.signup_expires is None or user.signup_expires >= now:
            return False
        try:
            await call_hook(accounts.before_delete_user, user)
        except Exception as e:
            raise SignupKept from e
    try:
        if not await users.delete_expired_signup(userid, now):
            return False
    except CrossauthError as e:
        if e.code is not ErrorCode.ConstraintViolation:
            raise
        raise SignupKept from e
    await forget_user(accounts, userid)
    return True


async def _by_id(accounts: Accounts, userid: UserId) -> User | None:
    found = await or_none(accounts.users.get_user_by_id(userid, ANY_STATE))
    return None if found is None else found.user


async def _holder_of(accounts: Accounts, email: str) -> User | None:
    found = await or_none(accounts.users.get_user_by("email", email, ANY_STATE))
    return None if found is None else found.user
