"""Creating an account.

Where email addresses are verified, nothing here says whether an address has an account: a sign-up with one that is known makes
an account like any other, that nobody can finish, and only the mail that is sent differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossauth_backend.accounts import signup_names
from crossauth_backend.accounts.code_targets import check_reachable
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo, has_factor2
from crossauth_backend.accounts.credentials import says_nothing
from crossauth_backend.accounts.email_change import signup_lasts
from crossauth_backend.accounts.form_fields import check_new_secrets, refusal, taken, with_secret_problems
from crossauth_backend.accounts.login_name_rules import check_names_apart
from crossauth_backend.accounts.signup_rules import SETTING_UP, first_state
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import problems_of
from crossauth_backend.core.text import normalize, same_mailbox
from crossauth_backend.core.texts import mark
from crossauth_backend.email_tokens.rules import contact_address, is_named_for_address
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.reads import ANY_STATE
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import is_address, username_problems, valid_email
from crossauth_backend.users.states import UNFINISHED, UserState


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A new account.

    Parameters:
        user: the user; `None` where the name is an address whose account it is not, which only its owner is told.
        factor2: the second factor to set up; empty for none.
        verify: whether the email address is to be verified.
        resumed: whether this was an unfinished account already.
    """

    user: User | None
    factor2: str = ""
    verify: bool = False
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a sign-up asks for, checked.

    Parameters:
        new: the fields of the user.
        factor2: the second factor; empty for none.
        verify: whether the address is to be verified by a link.
        address: where mail goes.
        neutral: whether answers must not say who has an account.
    """

    new: dict[str, Any]
    factor2: str
    verify: bool
    address: str | None
    neutral: bool


async def checked_user(
    accounts: Accounts, user: Mapping[str, Any], current: User | None = None, trusted: bool = False
) -> dict[str, Any]:
    """`user` with its email address in normal form, after the library's and the application's rules.

    Where addresses are verified, a username that is an email address must be the account's own. Otherwise anybody could take a
    name that is somebody's address, or ask whether it is taken; so it is refused before anything is looked up. The address of a
    new account is its own, for it counts when it is verified; that of a stored one is the stored one, not one that is asked for
    at the same time. An administrator is bound by the rule as well, since the owner of such an address could not sign up, but
    the address that an administrator gives is the account's own at once; a username that is the old address changes with it.

    Parameters:
        accounts: the account services.
        user: the fields, as they are to be.
        current: the user as stored, if there is one: a name that stays is not judged by rules made after it was chosen.
        trusted: whether an administrator or the application says this, so that the address in `user` needs no verification.

    Raises:
        CrossauthError: `FormEntry` with everything that is wrong; `InvalidEmail`, `InvalidPhoneNumber`, also where the second
            factor of the user sends its codes there and could not.
    """
    named = username_problems(user.get("username"))
    problems = named + [p for p in await problems_of(accounts.validate_user, user) if p not in named]
    if current is not None and current.username == user.get("username"):
        problems, named = [p for p in problems if p not in named], []
    if problems:
        raise CrossauthError(ErrorCode.FormEntry, problems, fields={"username": named} if named else None)
    email = user.get("email")
    # An address that stays is not judged again: rules made after it was stored keep nobody from changing something else.
    stays = current is not None and email == current.email
    checked = {**user, "email": email if stays else valid_email(email) if email else None}
    renamed = current is None or current.username != checked["username"]
    if current is not None and trusted and accounts.verify_email and not renamed and _moves_name(current, checked):
        checked["username"], renamed = checked["email"], True
        if problems := username_problems(checked["username"]):
            raise CrossauthError(ErrorCode.FormEntry, problems, fields={"username": problems})
    if accounts.verify_email and renamed:
        name = str(checked["username"])
        provided = User(id=0, username=name, email=checked["email"])
        _check_address_as_name(name, contact_address(provided if current is None or trusted else current))
    check_reachable(accounts, checked, current)
    await check_names_apart(accounts, checked, current)
    return checked


def _moves_name(current: User, checked: Mapping[str, Any]) -> bool:
    """Whether the username of `current` is the address that `checked` replaces by another, so that it changes too."""
    return (
        bool(checked["email"])
        and is_named_for_address(current)
        and not same_mailbox(checked["email"], contact_address(current) or "")
    )


def _check_address_as_name(username: str, own: str | None) -> None:
    """Refuse a username that is an email address, or is compared as one, and is not the address `own`."""
    if (is_address(username) or is_address(normalize(username))) and not same_mailbox(username, own or ""):
        raise refusal("username", mark("A username that is an email address must be the account's email address"))


async def sign_up(
    accounts: Accounts, user: Mapping[str, Any], params: Params, repeat_params: Params | None = None,
    origin: ClientInfo = UNKNOWN_CLIENT, skip_email_verification: bool = False,
) -> SignedUp:  # fmt: skip
    """Create `user` with the secrets in `params`; or go on with a sign-up of the same name and password that was not finished.

    Raises:
        CrossauthError: `FormEntry` (username, or no email address where one is to be verified), `InvalidEmail`,
            `InvalidPhoneNumber`, `PasswordFormat` (list of what is wrong), `PasswordMatch`, `UserExists`, `Forbidden` for a
            second factor that is not offered, `TooManyAttempts`.
    """
    await accounts.counted(origin, None, signup_address=origin.address)
    try:
        new = await checked_user(accounts, user)
    except CrossauthError as e:
        raise await with_secret_problems(
            accounts.factors.get(str(user.get("factor1"))), e, params, repeat_params
        ) from e
    factor = accounts.factors[new["factor1"]]
    if not factor.can_create_user():
        raise CrossauthError(ErrorCode.Forbidden, mark("You can't sign up with this login method"))
    wish = _checked_wish(accounts, new, skip_email_verification)
    await check_new_secrets(factor, params, repeat_params)
    secrets = await factor.create_persistent_secrets(new["username"], params, repeat_params)
    if new["state"] == UserState.active:
        new["state"] = first_state(bool(wish.factor2), wish.verify)
    try:
        created = await _create(accounts, wish, secrets)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserExists:
            raise
        return await _name_taken(accounts, wish, params, secrets, origin)
    return _made(accounts, wish, created, origin)


def _checked_wish(accounts: Accounts, new: dict[str, Any], skip_email_verification: bool) -> _Wish:
    factor2 = str(new.pop("factor2", None) or "").removeprefix(NO_FACTOR2)
    if factor2 and factor2 not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, mark("This second factor is not available"))
    verifies = accounts.verify_email and not skip_email_verification
    address = contact_address(User(id=0, username=str(new["username"]), email=new.get("email")))
    if verifies and address is None:
        raise refusal("email", mark("Enter an email address"))
    proven = any(_proves_address(accounts, name) for name in (new["factor1"], factor2))
    return _Wish(new, factor2, verifies and not proven, address, verifies)


async def _create(accounts: Accounts, wish: _Wish, secrets: Mapping[str, Any]) -> User:
    """Store the user.

    Raises:
        CrossauthError: `UserExists` where the name is taken, or the address where that may be said.
    """
    if not wish.neutral and wish.new.get("email") and await signup_names.has_owner(accounts, wish.new["email"]):
        raise taken("email")
    return await create_signup(accounts, wish.new, secrets, wish.neutral)


async def create_signup(
    accounts: Accounts, user: Mapping[str, Any], secrets: Mapping[str, Any], neutral: bool = True
) -> User:
    """Store a user that signs up; one whose time is up gives its name.

    Parameters:
        accounts: the account services.
        user: the fields. Where they say that something is yet to be done, it has to be done within `signup_lasts`.
        secrets: the secrets.
        neutral: whether nothing may say that an address has an account.

    Raises:
        CrossauthError: `UserExists` where the name is taken.
    """
    new = dict(user)
    if new["state"] in UNFINISHED and isinstance(accounts.users, SupportsSignupExpiry):
        new["signup_expires"] = accounts.now + signup_lasts(accounts)
    try:
        return await accounts.users.create_user(new, secrets)
    except CrossauthError as e:
        if e.code is not ErrorCode.UserExists or not await signup_names.make_way(accounts, new, neutral):
            raise
    return await accounts.users.create_user(new, secrets)


def _made(accounts: Accounts, wish: _Wish, created: User, origin: ClientInfo) -> SignedUp:
    accounts.events.emit(EventName.signed_up, created, address=origin.address)
    if wish.verify and not wish.factor2:
        accounts.need_emails().send_email_verification_token(created.id)
    return SignedUp(created, wish.factor2, wish.verify)


async def _name_taken(
    accounts: Accounts, wish: _Wish, params: Params, secrets: Mapping[str, Any], origin: ClientInfo
) -> SignedUp:
    """What follows where the name is taken.

    The same sign-up again goes on with the first. A name says that it is taken, in the same words and time whatever its account
    is doing; one that is an address does not, where addresses are verified.
    """
    found = await signup_names.find(accounts, str(wish.new["username"]))
    user = await signup_names.same_signup(accounts, found, params, origin)
    if user is not None:
        return await _resume(accounts, wish, user, origin)
    address = None if found is None else contact_address(User(id=0, username=found.username))
    if not wish.neutral or found is None or address is None:
        raise taken("email" if found is None else "username")
    # Where a code would verify the address, a note to its owner goes in the place of the code.
    signup_names.leave_to_mailbox(accounts, found, secrets, address, tell_owner=wish.verify)
    return SignedUp(None, wish.factor2, wish.verify)


async def _resume(accounts: Accounts, wish: _Wish, user: User, origin: ClientInfo) -> SignedUp:
    """Go on with an unfinished account, with the factor, the address and the other fields that are asked for now.

    Its state is worked out anew, so that what one factor would have proven does not count for another.

    Raises:
        CrossauthError: `UserExists` where it was finished, or changed, meanwhile.
    """
    quiet = says_nothing(accounts, user)
    if has_factor2(user) and user.state not in SETTING_UP and not quiet:
        # The factor is set up already; what is lacking is the address. (A name that may be that of an account, which has no such
        # sign-up, says nothing of this: the factor that is asked for now is set up in its place.)
        wish = _Wish(wish.new, "", True, wish.address, wish.neutral)
    changes: dict[str, Any] = {"state": first_state(bool(wish.factor2), wish.verify)}
    if user.signup_expires is not None:
        saved = ("username", "factor1", "state", "admin", "id")
        changes |= {n: v for n, v in wish.new.items() if n not in saved and v is not None and v != user.get(n)}
        changes["signup_expires"] = accounts.now + signup_lasts(accounts)
        changes = _reachable(accounts, user, changes, quiet)
    if user.email_verified_at is not None and "email" not in changes:
        wish = _Wish(wish.new, wish.factor2, False, wish.address, wish.neutral)
        changes["state"] = first_state(bool(wish.factor2), False)
    if not wish.neutral and wish.address and await signup_names.has_owner(accounts, wish.address):
        raise taken("email")
    expected = {"state": user.state, **({"security_stamp": user.security_stamp} if user.security_stamp else {})}
    if not await accounts.users.replace_user(user.id, expected, changes):
        raise taken("username")
    stored = (await accounts.users.get_user_by_id(user.id, ANY_STATE)).user
    if wish.verify and not wish.factor2:
        accounts.need_emails().send_email_verification_token(stored.id)
    return SignedUp(stored, wish.factor2, wish.verify, resumed=True)


def _reachable(accounts: Accounts, user: User, changes: dict[str, Any], quiet: bool) -> dict[str, Any]:
    """`changes`, after which the factor that was set up can still send its codes: it stays, whatever this sign-up asks for.

    Parameters:
        accounts: the account services.
        user: the sign-up, as stored.
        changes: the fields to set.
        quiet: whether a refusal would say that there is such a sign-up; what cannot be is left out then.

    Raises:
        CrossauthError: `InvalidEmail`, `InvalidPhoneNumber`.
    """
    try:
        check_reachable(accounts, {**user.to_dict(), **changes}, user)
    except CrossauthError:
        if not quiet:
            raise
        needed = accounts.factors[str(user.factor2)].user_fields()
        return {name: value for name, value in changes.items() if name not in needed}
    return changes


def _proves_address(accounts: Accounts, name: str) -> bool:
    factor = accounts.factors.get(name)
    return factor is not None and factor.skip_email_verification_on_signup()
