"""Codes for the set-up of a second factor, and codes that are sent again: to nobody where nobody asked for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from crossauth_backend.accounts.challenge import (
    HELD_REQUEST,
    PENDING,
    READ_REQUEST,
    VISIT,
    Challenge,
    decrypt,
    encrypt,
    reissued,
)
from crossauth_backend.accounts.code_targets import count, is_reachable
from crossauth_backend.accounts.codes import UNREACHABLE_TEXT, UNSENT, note_of_sending, one_time_secrets
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import is_address


async def prepare(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any], purpose: str,
    origin: ClientInfo = UNKNOWN_CLIENT,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """As `Authenticator.prepare_configuration`, within the limits of what is sent.

    In a sign-up no code goes to the address of somebody who has an account: the owner gets a note instead, and the answer is the
    same.

    Raises:
        CrossauthError: `TooManyAttempts`; `InvalidEmail` or `InvalidPhoneNumber`.
    """
    within = await count(accounts, factor, user, fields, purpose, origin)
    address = await _known_address(accounts, factor, user, fields) if purpose == "signup" else None
    note = note_of_sending(accounts, factor, fields)
    if not isinstance(factor, SentCodeAuthenticator) or (within and address is None):
        made = await factor.prepare_configuration(fields) or {}
        return {**made, "sessionData": {**made.get("sessionData", {}), **note}} if note else made
    if within and address is not None:
        accounts.need_emails().send_account_exists(address, counted=True)
    prepared = factor.prepare_unsent(fields)
    return {**prepared, "sessionData": {**prepared["sessionData"], UNSENT: True, **note}}


def shown_again(factor: Authenticator, challenge: Challenge) -> dict[str, Any]:
    """What was shown when a code was sent, without sending another."""
    names = dict.fromkeys(("email", "phone", *factor.user_fields()))
    stored = {name: challenge.secrets[name] for name in names if name in challenge.secrets}
    return {**stored, "username": challenge.username, "factor2": challenge.factor2}


async def resend(
    accounts: Accounts,
    key: Key | None,
    origin: ClientInfo = UNKNOWN_CLIENT,
    claims: Callable[[str], str | None] | None = None,
) -> tuple[Challenge, dict[str, Any]]:
    """Send a new code for what was asked for last in a session, and still waits: a login, a set-up or a request.

    Parameters:
        accounts: the account services.
        key: the session.
        origin: where the request comes from.
        claims: the claim of the browser to what waits under a name; where it is left out, any browser's counts.

    Returns:
        The challenge, which goes under a new name, and the session data to keep.

    Raises:
        CrossauthError: `Unauthorized` where nothing waits; `BadRequest` for a factor that sends nothing; `TooManyAttempts`;
            `Expired` and `InvalidSession` where what waits is no longer good.
    """
    name, challenge = _newest(accounts, key, claims)
    factor = accounts.factors[challenge.factor2]
    if factor.mfa_type() != "oob":
        raise CrossauthError(ErrorCode.BadRequest, mark("There is no code to send: your app shows it"))
    if challenge.is_expired(accounts.now):
        raise CrossauthError(ErrorCode.Expired, mark("This login took too long. Log in again."))
    user = None if challenge.userid is None else await or_none(accounts.user(challenge.userid))
    if challenge.userid is not None and (user is None or not challenge.matches(user)):
        if not is_quiet(accounts, key, challenge):
            raise CrossauthError(ErrorCode.InvalidSession)
        user = None
    if challenge.purpose in ("signup", "setup"):
        secrets = await _anew(accounts, factor, user, challenge, origin)
    elif user is not None:
        if not is_reachable(factor, user):
            raise CrossauthError(ErrorCode.BadRequest, UNREACHABLE_TEXT)
        secrets = {**challenge.secrets, **await one_time_secrets(accounts, factor, user, origin)}
        if HELD_REQUEST in secrets:
            secrets[HELD_REQUEST] = {**secrets[HELD_REQUEST], "unsent": False}
    else:
        raise CrossauthError(ErrorCode.Unauthorized)
    challenge = reissued(challenge, secrets)
    return challenge, {name: encrypt(challenge, accounts.ring)}


def is_quiet(accounts: Accounts, key: Key | None, challenge: Challenge) -> bool:
    """Whether answers must not say that a set-up is void because its sign-up was changed or deleted since.

    The name of the sign-up may be that of an account. Then there is no sign-up, nothing of it changes, and the set-up goes on for
    nobody to its end; so it does here. Whoever has proven a password or a mailbox in this session is told.

    Parameters:
        accounts: the account services.
        key: the session.
        pending: the set-up.
    """
    named = accounts.verify_email and is_address(challenge.username)
    known = key is None or key.userid is not None or Requirement.FACTOR2_CHANGE.value in get_json_data(key)
    return challenge.purpose == "signup" and named and not known


def _newest(accounts: Accounts, key: Key | None, claims: Callable[[str], str | None] | None) -> tuple[str, Challenge]:
    """What was asked for last and still waits, with its name; where nothing does, what was last given up."""
    found: list[tuple[str, Challenge]] = []
    for name in (PENDING, VISIT, READ_REQUEST):
        with suppress(CrossauthError):
            challenge = decrypt(key, accounts.ring, name, "login", "signup", "setup", "visit")
            if claims is None or challenge.is_claimed_by(claims(name)):
                found.append((name, challenge))
    if not found:
        raise CrossauthError(ErrorCode.Unauthorized, mark("There is no pending two-factor challenge"))
    return max(found, key=lambda waiting: (not waiting[1].is_expired(accounts.now), waiting[1].begun))


async def _anew(
    accounts: Accounts, factor: Authenticator, user: User | None, challenge: Challenge, origin: ClientInfo
) -> Mapping[str, Any]:
    # What else a factor of the application's reads is the user's; where the code went is kept with the set-up.
    fields = {**({} if user is None else user.to_dict()), **shown_again(factor, challenge)}
    if isinstance(factor, SentCodeAuthenticator):
        # Whether the address has an owner is judged again: it may have got one since.
        return (await prepare(accounts, factor, user, fields, challenge.purpose, origin))["sessionData"]
    await count(accounts, factor, user, fields, challenge.purpose, origin)
    again = await factor.reprepare_configuration(challenge.username, challenge.secrets)
    new: Mapping[str, Any] = (again or {}).get("newSessionData", challenge.secrets)
    return new


async def _known_address(
    accounts: Accounts, factor: Authenticator, user: User | None, fields: Mapping[str, Any]
) -> str | None:
    """Where the mail of the account goes that has the address to which the factor would send; `None` where none has."""
    if not accounts.verify_email or not isinstance(factor, SentCodeAuthenticator):
        return None
    to = factor.where_to(fields).get("email")
    owner = None if to is None else await accounts.need_emails().owner_of(to)
    return None if owner is None or (user is not None and owner.id == user.id) else contact_address(owner)
