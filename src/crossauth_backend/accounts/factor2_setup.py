"""Setting a second factor up, changing it, and giving it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.accounts import recovery, sent_codes
from crossauth_backend.accounts.challenge import PENDING, WAITS, Challenge, Purpose, decrypt, encrypt, new_challenge
from crossauth_backend.accounts.changes import end_sessions, replace_checked
from crossauth_backend.accounts.code_targets import is_reachable
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.form_fields import REPEAT, check_new_secrets
from crossauth_backend.accounts.required_change import required_change
from crossauth_backend.accounts.second_factor import consume, counted
from crossauth_backend.accounts.signup_rules import state_after_setup
from crossauth_backend.accounts.stages import Requirement
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Authenticator, Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User, with_fields

OTHER_BROWSER: Final = mark("This was started in another browser. Continue there, or start again.")
# Said of a secret that the user chooses: it is no guess, so it does not count as one.
_UNFIT: Final = (ErrorCode.PasswordFormat, ErrorCode.PasswordMatch)


@dataclass(frozen=True, slots=True)
class SetUp:
    """A factor that was set up.

    Parameters:
        user: the user as now stored; `None` where the account turned out to be somebody else's, which is not said.
        purpose: `signup` or `setup`.
        recovery_codes: new codes to write down.
        persist: whether the login is to outlive the browser.
        username: the name that was asked for.
    """

    user: User | None
    purpose: str
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    persist: bool | None = None
    username: str = ""


async def start_setup(
    accounts: Accounts, user: User | None, username: str, factor2: str, purpose: str, fields: Mapping[str, Any],
    persist: bool | None = None, origin: ClientInfo = UNKNOWN_CLIENT, claim: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Begin to set up a factor.

    Parameters:
        accounts: the account services.
        user: whose it will be; `None` where the account turned out to be somebody else's, which is not said.
        username: the user's name.
        factor2: which factor; one that is offered.
        purpose: `signup` or `setup`.
        fields: the user's fields, for the factor to find an address or number in.
        persist: whether the login that follows is to outlive the browser.
        origin: where the request comes from.
        claim: what names the browser that begins it.

    Returns:
        What the user is shown, and session data to keep.

    Raises:
        CrossauthError: `Forbidden` for a factor that is not offered; `InvalidEmail`, `InvalidPhoneNumber`;
            `TooManyAttempts` where too many codes were sent.
    """
    if factor2 not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, mark("This second factor is not available"))
    factor, fields = accounts.factors[factor2], {**fields, "username": username}
    prepared = await sent_codes.prepare(accounts, factor, user, fields, purpose, origin)
    secrets = prepared.get("sessionData", {})
    view = prepared.get("userData", {"username": username, "factor2": factor2})
    kind: Purpose = "signup" if purpose == "signup" else "setup"
    if user is not None and user.security_stamp is None:
        user = await accounts.user(user.id)
    challenge = new_challenge(kind, user, username, factor2, secrets, persist, accounts.now + WAITS[kind], claim)
    return view, {PENDING: encrypt(challenge, accounts.ring)}


async def show_setup(accounts: Accounts, key: Key | None) -> dict[str, Any]:
    """What `start_setup` showed, again. Nothing is sent and nothing changes.

    Raises:
        CrossauthError: as `complete_setup`, but for the code.
    """
    challenge, _ = await _set_up_in(accounts, key)
    factor = accounts.factors[challenge.factor2]
    if factor.mfa_type() == "oob":
        return sent_codes.shown_again(factor, challenge)
    again = await factor.reprepare_configuration(challenge.username, challenge.secrets)
    view: dict[str, Any] = (again or {}).get("userData", {"username": challenge.username, "factor2": challenge.factor2})
    return view


async def complete_setup(
    accounts: Accounts, key: Key | None, params: Params, origin: ClientInfo, claim: str | None = None
) -> SetUp:
    """Check the first code of a factor that is being set up, or take the secret that the user chose, and make it the user's.

    Every session of the user ends; the caller opens a new one for the browser that asked.

    Parameters:
        accounts: the account services.
        key: the session in which it was begun.
        params: what the user sent; see `Authenticator.confirm_configuration`.
        origin: where the request comes from.
        claim: what names the browser that sends it, see `start_setup`.

    Raises:
        CrossauthError: `Unauthorized` where nothing is being set up, or not by this user; `InvalidToken`, `TooManyAttempts`;
            `PasswordFormat`, `PasswordMatch` for a secret that the user chose and that cannot be taken;
            `Expired`, also where it was begun too long ago; `InvalidSession` where the user's credentials are others by now than
            when it began, unless that would say too much (see `sent_codes.is_quiet`); `UserExists` for an email address that
            another account has by now.
    """
    challenge, user = await _set_up_in(accounts, key)
    factor = accounts.factors[challenge.factor2]
    if factor.setup_fields() and not challenge.is_claimed_by(claim):
        # A code proves that its sender has seen the secret. A secret of one's own proves nothing, so that somebody with a copy of
        # the session cookie could choose it.
        raise CrossauthError(ErrorCode.Unauthorized, OTHER_BROWSER)
    secrets = await _confirmed(accounts, factor, challenge, user, params, origin)
    if user is None:
        return SetUp(None, challenge.purpose, persist=challenge.persist, username=challenge.username)
    provided = _given_address(factor, challenge, user)
    proves = proves_address(factor, challenge, with_fields(user, provided))
    changes = {"factor2": challenge.factor2, **_finished(accounts, user, proves), **provided}
    stored = await replace_checked(accounts, user, changes, {**_emptied(accounts, user), **secrets})
    await end_sessions(accounts, user.id)
    recovery_codes = await recovery.make_codes(accounts, stored)
    accounts.events.emit(EventName.factor2_set, user, address=origin.address, reason=challenge.factor2)
    return SetUp(stored, challenge.purpose, recovery_codes, challenge.persist, user.username)


async def _confirmed(
    accounts: Accounts,
    factor: Authenticator,
    challenge: Challenge,
    user: User | None,
    params: Params,
    origin: ClientInfo,
) -> dict[str, Any]:
    """The secrets to store, once the answer was right; see `Authenticator.confirm_configuration`."""
    chosen = {field.name: params.get(field.name) for field in factor.setup_fields()}
    missing = {f.name: [f"{f.label} is required"] for f in factor.setup_fields() if not chosen[f.name]}
    if missing:
        raise CrossauthError(
            ErrorCode.PasswordFormat, [text for texts in missing.values() for text in texts], fields=missing
        )
    if chosen:
        await check_new_secrets(factor, chosen, _repeated(factor, params))
    # A code counts once for a user; here for the challenge, or all who are nobody would share one.
    nobody = User(id=f"challenge {challenge.id}", username=challenge.username)
    unfit: CrossauthError | None = None
    secrets: dict[str, Any] = {}
    async with accounts.limited(origin, user, **counted(challenge, origin)):
        try:
            secrets = await factor.confirm_configuration(user or nobody, challenge.secrets, params)
        except CrossauthError as e:
            if e.code not in _UNFIT:
                raise
            unfit = e
        else:
            await consume(accounts, challenge)
    if unfit is not None:
        raise unfit
    return {name: secrets.get(name) for name in factor.secret_names()}


def _repeated(factor: Authenticator, params: Params) -> Params | None:
    names = [field.name for field in factor.setup_fields() if f"{REPEAT}{field.name}" in params]
    return {name: params[f"{REPEAT}{name}"] for name in names} or None


def _given_address(factor: Authenticator, challenge: Challenge, user: User) -> dict[str, Any]:
    """Where the code went that was given, to be stored for a user of whom nothing was known that a code could be sent to."""
    if challenge.purpose != "setup" or is_reachable(factor, user):
        return {}
    return {name: challenge.secrets[name] for name in factor.user_fields() if name in challenge.secrets}


async def remove(accounts: Accounts, user: User, origin: ClientInfo) -> User:
    """Let `user`, as read with the session, log in without a second factor. Every session ends, as after `complete_setup`.

    Raises:
        CrossauthError: `Forbidden` where the user has to have one; `InvalidSession`, `UserNotActive` where the account was
            changed since it was read.
    """
    if accounts.needs_factor2(user):
        raise CrossauthError(ErrorCode.Forbidden, mark("This site requires two-factor authentication"))
    changes = {"factor2": None, **_finished(accounts, user, proves=False)}
    stored = await replace_checked(accounts, user, changes, _emptied(accounts, user))
    await recovery.delete_codes(accounts, user)
    await end_sessions(accounts, user.id)
    accounts.events.emit(EventName.factor2_removed, user, address=origin.address, reason=user.factor2 or "")
    return stored


async def _set_up_in(accounts: Accounts, key: Key | None) -> tuple[Challenge, User | None]:
    """The factor that is being set up in a session, and whose it will be; see `complete_setup` for what refuses."""
    challenge = decrypt(key, accounts.ring, PENDING, "signup", "setup")
    if challenge.until is None or challenge.is_expired(accounts.now):
        raise CrossauthError(ErrorCode.Expired, mark("This took too long. Start again."))
    if challenge.userid is None:
        return challenge, None
    user = await or_none(accounts.user(challenge.userid))
    if user is None or not challenge.matches(user):
        if sent_codes.is_quiet(accounts, key, challenge):
            return challenge, None
        raise CrossauthError(ErrorCode.InvalidSession)
    owner = None if key is None else key.userid
    if owner is None and challenge.purpose == "setup":
        required = await required_change(accounts, key, Requirement.FACTOR2_CHANGE)
        owner = "" if required is None else required.user.id
    if owner is not None and str(owner) != str(user.id):
        raise CrossauthError(ErrorCode.Unauthorized)
    return challenge, user


def proves_address(factor: Authenticator, challenge: Challenge, user: User) -> bool:
    """Whether the code that was given has verified the user's email address: it went there, and nowhere else."""
    if not factor.skip_email_verification_on_signup():
        return False
    sent_to = challenge.secrets.get("email")
    return sent_to is None or same_mailbox(str(sent_to), contact_address(user) or "")


def _finished(accounts: Accounts, user: User, proves: bool) -> dict[str, Any]:
    """What is stored with a second factor: the state that follows, and when the address was verified."""
    changes: dict[str, Any] = {"state": state_after_setup(user, accounts.verify_email, proves)}
    if proves and user.email_verified_at is None and isinstance(accounts.users, SupportsSignupExpiry):
        changes["email_verified_at"] = accounts.now
    return changes


def _emptied(accounts: Accounts, user: User) -> dict[str, None]:
    """The stored secrets of the second factor that `user` had, emptied."""
    factor = accounts.factors.get(user.factor2 or "")
    return {} if factor is None else dict.fromkeys(factor.secret_names())
