"""Creating an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossauth_backend.accounts.context import ANY_STATE, NOWHERE, Accounts, Origin
from crossauth_backend.accounts.login import check_credentials
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.email_tokens.rules import address_of
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import username_problems, valid_email
from crossauth_backend.users.states import UserState

_SETTING_UP = (UserState.awaiting_two_factor_setup, UserState.awaiting_two_factor_setup_and_email_verification)


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A new account.

    Parameters:
        user: the user; `None` where the address belongs to an account already, which only its owner is told.
        factor2: the second factor to set up; empty for none.
        verify: whether the e-mail address is to be proven.
        resumed: whether this was an account already, whose second factor is still to be set up.
    """

    user: User | None
    factor2: str = ""
    verify: bool = False
    resumed: bool = False


def checked_user(accounts: Accounts, user: Mapping[str, Any], current: User | None = None) -> dict[str, Any]:
    """`user` with its e-mail address in normal form, after the library's and the application's rules.

    Parameters:
        accounts: the account services.
        user: the fields, as they are to be.
        current: the user as stored, if there is one: a name that stays is not judged by rules made after it was chosen.

    Raises:
        CrossauthError: `FormEntry` with everything that is wrong; `InvalidEmail`.
    """
    problems = username_problems(user.get("username"))
    problems += [p for p in accounts.validate_user(user) if p not in problems]
    if current is not None and current.username == user.get("username"):
        old = username_problems(current.username)
        problems = [p for p in problems if p not in old]
    if problems:
        raise CrossauthError(ErrorCode.FormEntry, problems)
    email = user.get("email")
    return {**user, "email": valid_email(email) if email else None}


async def sign_up(
    accounts: Accounts, user: Mapping[str, Any], params: Params, repeat_params: Params | None = None,
    origin: Origin = NOWHERE, skip_email_verification: bool = False,
) -> SignedUp:  # fmt: skip
    """Create `user` with the secrets in `params`.

    Raises:
        CrossauthError: `FormEntry` (username, or no e-mail address where one is to be proven), `InvalidEmail`,
            `PasswordFormat` (list of what is wrong), `PasswordMatch`, `UserExists`, `Forbidden` for a second factor that is
            not offered, `TooManyAttempts`.
    """
    await accounts.limits.reserve({"signup_address": origin.address})
    new = checked_user(accounts, user)
    factor = accounts.factors[new["factor1"]]
    if not factor.can_create_user():
        raise CrossauthError(ErrorCode.Forbidden, "Accounts cannot be created with this way of logging in")
    factor2 = str(new.pop("factor2", None) or "").removeprefix(NO_FACTOR2)
    if factor2 and factor2 not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, "This second factor is not offered")
    verify = accounts.verify_email and not skip_email_verification
    if verify and _address(new) is None:
        raise CrossauthError(ErrorCode.FormEntry, "Give an e-mail address")
    verify = verify and not _proves_address(accounts, new["factor1"]) and not _proves_address(accounts, factor2)
    problems = factor.validate_secrets(params)
    if problems:
        raise CrossauthError(ErrorCode.PasswordFormat, problems)
    secrets = await factor.create_persistent_secrets(new["username"], params, repeat_params)
    if new["state"] == UserState.active:
        new["state"] = first_state(bool(factor2), verify)
    try:
        created = await accounts.users.create_user(new, secrets)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserExists:
            raise
        neutral = accounts.verify_email and not skip_email_verification
        return await _taken(accounts, new, params, origin, SignedUp(None, factor2, verify), neutral)
    accounts.events.tell(EventName.signed_up, created, address=origin.address)
    if verify and not factor2:
        accounts.need_emails().send_email_verification_token(created.id)
    return SignedUp(created, factor2, verify)


def first_state(factor2: bool, verify: bool) -> str:
    """The state of a new account (contract 4.1)."""
    if factor2:
        return _SETTING_UP[1] if verify else _SETTING_UP[0]
    return UserState.awaiting_email_verification if verify else UserState.active


async def _taken(
    accounts: Accounts, new: Mapping[str, Any], params: Params, origin: Origin, answer: SignedUp, neutral: bool
) -> SignedUp:
    """What follows where the name or the address is taken.

    A name says so. An address does not, where addresses are proven: its owner gets a note, and whoever asked gets the answer
    of a new account.
    """
    try:
        found = (await accounts.users.get_user_by_username(str(new["username"]), ANY_STATE)).user
    except CrossauthError as e:
        if e.code is not ErrorCode.UserNotExist:
            raise
        found = None
    if found is not None and found.state in _SETTING_UP and answer.factor2:
        user = await check_credentials(accounts, found.username, params, origin)
        return SignedUp(user, answer.factor2, answer.verify, resumed=True)
    address = _address(new)
    if not neutral or address is None or (found is not None and _address({"username": found.username}) is None):
        raise CrossauthError(ErrorCode.UserExists)
    accounts.need_emails().send_account_exists(address)
    return answer


def _address(new: Mapping[str, Any]) -> str | None:
    return address_of(User(id=0, username=str(new["username"]), email=new.get("email")))


def _proves_address(accounts: Accounts, name: str) -> bool:
    factor = accounts.factors.get(name)
    return factor is not None and factor.skip_email_verification_on_signup()
