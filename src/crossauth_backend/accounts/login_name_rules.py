"""What the names by which users log in must be, so that each means one account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.form_fields import taken
from crossauth_backend.accounts.login_names import BY_EMAIL, BY_USERNAME, LoginBy
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.reads import ANY_STATE, or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.rules import is_address
from crossauth_backend.users.states import UNFINISHED
from crossauth_backend.users.storage import UserStorage


def check_login_by(login_by: LoginBy, users: UserStorage | None, signs_up: bool) -> None:
    """Make sure that users can be found as `login_by` says.

    Parameters:
        login_by: the option.
        users: where users are; `None` without any.
        signs_up: whether users sign up on this server.

    Raises:
        CrossauthError: `Configuration` where there is no email address, or a sign-up could not give one.
    """
    if users is None or login_by == BY_USERNAME:
        return
    problems = users.unfit_fields({"email": str})
    if not problems and login_by == BY_EMAIL and signs_up and "email" not in users.user_editable_fields:
        problems = [
            "a sign-up must be able to give an address: list 'email' in 'user_editable_fields' of the user storage"
        ]
    if problems:
        raise CrossauthError(
            ErrorCode.Configuration, f"SessionManager: option 'login_by' is {login_by!r}, but {'; '.join(problems)}"
        )


async def check_names_apart(accounts: Accounts, user: Mapping[str, Any], current: User | None) -> None:
    """Refuse a username that is the email address of another account, and an address that is another's username.

    Where users log in by either, the owner of the other account could not log in any more. Where addresses are verified, nobody
    gets the address of another's mailbox, and no answer may say that it has an account.

    Parameters:
        accounts: the account services.
        user: the fields as they are to be stored.
        current: the user as stored; `None` for a new one.

    Raises:
        CrossauthError: `UserExists`.
    """
    if accounts.login_by == BY_USERNAME or accounts.verify_email:
        return
    for field, find in (("email", accounts.users.get_user_by_username), ("username", accounts.users.get_user_by_email)):
        name = user.get(field)
        if not isinstance(name, str) or not is_address(name) or (current is not None and name == current.get(field)):
            continue
        found = await or_none(find(name, ANY_STATE))
        # A sign-up that is not finished cannot log in by an address, and may be this one.
        if found is None or found.user.state in UNFINISHED or (current is not None and found.user.id == current.id):
            continue
        raise taken(field)


def name_of_signup(login_by: LoginBy, username: str, fields: Mapping[str, object]) -> str:
    """Return the username of a new account: where users log in by email address and none was sent, the address.

    Parameters:
        login_by: the option.
        username: what was sent; empty where nothing was.
        fields: the form.
    """
    email = fields.get("user_email")
    return email.strip() if not username and login_by == BY_EMAIL and isinstance(email, str) else username
