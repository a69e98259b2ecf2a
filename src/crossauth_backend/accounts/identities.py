"""Accounts at providers by which users log in: linking one, unlinking it, and signing up with one.

Whose an account is, is decided by issuer and subject alone, see `users.identities`. Nothing here logs anybody in.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from crossauth_backend.accounts.changes import check_still
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.signup import checked_user, create_signup
from crossauth_backend.accounts.signup_names import has_owner
from crossauth_backend.accounts.signup_rules import first_state
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token, random_value
from crossauth_backend.core.text import normalize, same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens import subjects
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.events.record import EventName
from crossauth_backend.keys.data import encode_data, get_json_data
from crossauth_backend.keys.record import KeyPrefix
from crossauth_backend.users.identities import Identity, IdentityStorage, handle_of
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import MAX_USERNAME

LAST_WAY: Final = mark("This is the only way to log in to your account. Set a password first, or link another account.")
UNPROVEN: Final = mark(
    "You need a verified email address to log in here, and the provider doesn't say that yours is verified."
)
HAS_ACCOUNT: Final = mark(
    "There is already an account with this email address. Log in to it, and link this account there."
)
_SUFFIX_BYTES: Final = 6
logger = logging.getLogger("crossauth.accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An account at a provider, as a verified ID token describes it.

    Parameters:
        iss: the issuer.
        sub: who it is there.
        username: what its owner is called there; empty where that is not said.
        email: its email address, if the issuer says that it is verified, and its word counts; `None` for any other.
    """

    iss: str
    sub: str
    username: str = ""
    email: str | None = None

    @property
    def name(self) -> str:
        """What its owner knows it by."""
        return self.email or self.username


async def link(
    accounts: Accounts, identities: IdentityStorage, user: User, claimed: Claimed, origin: ClientInfo = UNKNOWN_CLIENT
) -> bool:
    """Let a user log in with an account at a provider. The user is told by mail.

    Parameters:
        accounts: the account services.
        identities: where it is kept.
        user: as read before whoever asks has proven to be this user.
        claimed: the account.
        origin: where the request comes from.

    Returns:
        Whether it is new.

    Raises:
        CrossauthError: `ConstraintViolation` (409) where it is another user's; `InvalidSession`, `UserNotActive` where the user's
            account was changed meanwhile, or is gone.
    """
    await check_still(accounts, user)
    new = await identities.link(claimed.iss, claimed.sub, user.id, claimed.name)
    await _note(accounts, user, claimed, new=new)
    if not new:
        return False
    try:
        # A user who was deleted meanwhile leaves nothing behind; one whose password was reset may have been reset for a thief.
        await check_still(accounts, user)
    except CrossauthError:
        await identities.unlink(claimed.iss, claimed.sub, user.id)
        raise
    _tell(accounts, user, claimed.iss, claimed.name, origin, linked=True)
    return True


async def unlink(
    accounts: Accounts, identities: IdentityStorage, user: User, handle: str, origin: ClientInfo = UNKNOWN_CLIENT
) -> Identity:
    """Let a user no longer log in with the account that `handle` names. The user is told by mail.

    The last way to log in stays, also where several are unlinked at the same time.

    Returns:
        What it was.

    Raises:
        CrossauthError: `BadRequest` (404) where the user has no such account; `ConstraintViolation` (409) where it is the only
            way to log in; `InvalidSession`, `UserNotActive` where the user's account was changed meanwhile.
    """
    await check_still(accounts, user)
    found = next((one for one in await identities.of_user(user.id) if handle_of(one) == handle), None)
    if found is not None:
        keep_last = not await has_password(accounts, user)
        if await identities.unlink(found.iss, found.sub, user.id, keep_last=keep_last):
            _tell(accounts, user, found.iss, found.name, origin, linked=False)
            return found
        if keep_last and await identities.find(found.iss, found.sub) is not None:
            raise CrossauthError(ErrorCode.ConstraintViolation, LAST_WAY, status=409)
    raise CrossauthError(
        ErrorCode.BadRequest, mark("This account isn't linked. It may have been unlinked already."), status=404
    )


async def unlink_unproven(accounts: Accounts, user: User, origin: ClientInfo = UNKNOWN_CLIENT) -> None:
    """Unlink what somebody else may have linked, once the owner of the mailbox has set the password by a mail.

    Whoever registered the address first, or had stolen the login, would otherwise go on logging in. What stays was linked while
    the provider said that the account there has this very address, and that it is verified. The user is told by mail.

    Parameters:
        accounts: the account services.
        user: whose address it is.
        origin: where the request comes from.
    """
    for identities in accounts.identities:
        for one in await identities.of_user(user.id):
            if not await _is_noted(accounts, user, one) and await identities.unlink(one.iss, one.sub, user.id):
                _tell(accounts, user, one.iss, one.name, origin, linked=False)


async def has_password(accounts: Accounts, user: User) -> bool:
    """Whether a user can log in by a secret of the first factor."""
    found, factor = await accounts.find(user.id), accounts.factors.get(user.factor1)
    return factor is not None and any(found.secrets.get(name) for name in factor.secret_names())


async def sign_up(
    accounts: Accounts, identities: IdentityStorage, claimed: Claimed, origin: ClientInfo = UNKNOWN_CLIENT
) -> User:
    """Create an account for somebody who has proven to own an account at a provider, and link the two.

    It has no password, so nobody can guess it; where passwords can be reset by mail, its user can set one. Nothing but what the
    provider has verified is taken over: an address that is not may be anybody's.

    Raises:
        CrossauthError: `UserExists` where the address has an account, which is not given away for that; `EmailNotVerified` where
            addresses are to be verified, and this is not; `Forbidden`; `TooManyAttempts`; `ConstraintViolation` where the account
            at the provider was linked to another user meanwhile.
    """
    await accounts.counted(origin, None, signup_address=origin.address)
    if claimed.email is None and accounts.verify_email:
        raise CrossauthError(ErrorCode.EmailNotVerified, UNPROVEN)
    if claimed.email is not None and await has_owner(accounts, claimed.email):
        raise CrossauthError(ErrorCode.UserExists, HAS_ACCOUNT)
    created = await _create(accounts, claimed)
    try:
        new = await identities.link(claimed.iss, claimed.sub, created.id, claimed.name)
    except CrossauthError:
        await accounts.users.delete_user_by_id(created.id)
        raise
    await _note(accounts, created, claimed, new=new)
    accounts.events.emit(EventName.signed_up, created, address=origin.address)
    if new:
        accounts.events.emit(EventName.account_linked, created, address=origin.address, reason=claimed.iss)
    return await accounts.user(created.id)


async def _create(accounts: Accounts, claimed: Claimed) -> User:
    """Store the user, under a name as near as can be to what the owner is called at the provider."""
    factor1 = "localpassword" if "localpassword" in accounts.factors else next(
        (factor.factor_name for factor in accounts.factors.password_factors()), None
    )  # fmt: skip
    if factor1 is None:
        raise CrossauthError(ErrorCode.Configuration, detail="no authenticator is a password")
    verified = {"email": claimed.email, "email_verified_at": accounts.now} if claimed.email is not None else {}
    base = {"state": first_state(factor2=False, verify=False), "factor1": factor1, **verified}
    for name in _names(claimed):
        try:
            checked = await checked_user(accounts, {**base, "username": name})
            return await create_signup(accounts, checked, {}, neutral=False)
        except CrossauthError as e:
            if e.code not in (ErrorCode.FormEntry, ErrorCode.UserExists, ErrorCode.InvalidUsername):
                raise
            refused = e
    raise refused


async def _note(accounts: Accounts, user: User, claimed: Claimed, *, new: bool) -> None:
    """Remember that the provider has verified the user's own address, see `unlink_unproven`."""
    name, address = _noted(user, claimed.iss, claimed.sub), contact_address(user)
    is_own = claimed.email is not None and address is not None and same_mailbox(claimed.email, address)
    if new or is_own:
        await accounts.keys.delete_key(name)
    if is_own:
        try:
            await accounts.keys.save_key(user.id, name, accounts.now, None, encode_data({"email": claimed.email}))
        except CrossauthError as e:
            if e.code is not ErrorCode.KeyExists:
                raise


async def _is_noted(accounts: Accounts, user: User, identity: Identity) -> bool:
    """Whether the provider has verified the address that the user has now."""
    key, address = await accounts.keys.find_key(_noted(user, identity.iss, identity.sub)), contact_address(user)
    email = None if key is None else get_json_data(key).get("email")
    return isinstance(email, str) and address is not None and same_mailbox(email, address)


def _noted(user: User, iss: str, sub: str) -> str:
    return KeyPrefix.oauth_link + hash_token(json.dumps([str(user.id), iss, sub]))


def _names(claimed: Claimed) -> list[str]:
    """Usernames to try, one after the other; the last is nobody's."""
    # A name with an `@` may be an address, of which nobody has said that it is theirs.
    requested = claimed.username[:MAX_USERNAME] if "@" not in normalize(claimed.username) else ""
    free = f"user-{random_value(_SUFFIX_BYTES).lower().replace('_', 'x').replace('-', 'x')}"
    return [name for name in (requested, claimed.email or "", free) if name]


def _tell(accounts: Accounts, user: User, iss: str, name: str, origin: ClientInfo, *, linked: bool) -> None:
    """Say it to whoever listens, and to the user by mail: a thief of a login would link an account to stay."""
    event = EventName.account_linked if linked else EventName.account_unlinked
    accounts.events.emit(event, user, address=origin.address, reason=iss)
    if accounts.emails is not None:
        provider = urlsplit(iss).hostname or iss
        subject = subjects.LINKED if linked else subjects.UNLINKED
        data = {"provider": provider, "name": name, "linked": linked}
        accounts.need_emails().send_note(user, subject, "identitynoticebody.jinja2", data, ("name",))
