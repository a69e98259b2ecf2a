"""Create users through the services that serve your application, and give them a second factor."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import pyotp

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.totp.authenticator import TotpAuthenticator
from crossauth_backend.factors.totp.shown import STEP_SECONDS
from crossauth_backend.sessionmanager import SessionManager
from crossauth_backend.users.capabilities import SupportsSignupExpiry
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState
from crossauth_fastapi.testing.applications import app_of, manager_of, run

PASSWORD: Final = "Correct1horse-battery"
"""The password of `create_user`, where you give none."""


def create_user(target: Any, username: str = "alice", password: str = PASSWORD, **fields: Any) -> User:
    """Create a user who can log in at once, and whose email address is verified. No mail is sent.

    The rules of your application for usernames, passwords and fields apply.

    Parameters:
        target: the application, or a `TestClient` of it in a `with` block.
        username: the username.
        password: the password.
        fields: other fields, such as `email`, `admin` and your own columns.

    Raises:
        CrossauthError: the reason for which a sign-up with these values is refused; `Configuration` where the application has
            no session server with a user storage.
    """
    return run(target, partial(acreate_user, target, username, password, **fields))


async def acreate_user(target: Any, username: str = "alice", password: str = PASSWORD, **fields: Any) -> User:
    """As `create_user`, in an `async` test; `target` may be the application or any client of it."""
    manager = manager_of(app_of(target))
    new = {"username": username, "factor1": "localpassword", "state": UserState.active, **fields}
    if new.get("email") and isinstance(manager.user_storage, SupportsSignupExpiry):
        new.setdefault("email_verified_at", utc_now())
    params = {"password": password, "repeat_password": password}
    return await manager.create_user(new, params, skip_email_verification=True)


def delete_user(target: Any, user: User) -> None:
    """Delete `user` with everything that is stored for the account, and end its sessions.

    Parameters:
        target: the application, or a `TestClient` of it in a `with` block.
        user: the user.

    Raises:
        CrossauthError: `UserNotExist` where there is no such user any more.
    """
    run(target, partial(adelete_user, target, user))


async def adelete_user(target: Any, user: User) -> None:
    """As `delete_user`, in an `async` test."""
    await manager_of(app_of(target)).delete_user_by_username(user.username)


def set_up_totp(target: Any, user: User) -> str:
    """Give `user` an authenticator app as second factor; return its secret, for `totp_code`.

    The sessions of the user end, as they do when a user sets it up.

    Parameters:
        target: the application, or a `TestClient` of it in a `with` block.
        user: the user.

    Raises:
        CrossauthError: `Configuration` where the application offers no authenticator app.
    """
    return run(target, partial(aset_up_totp, target, user))


async def aset_up_totp(target: Any, user: User) -> str:
    """As `set_up_totp`, in an `async` test."""
    manager = manager_of(app_of(target))
    key = await manager.session.create_session_key(user.id)
    view = await manager.initiate_two_factor_setup(user, _totp_name(manager), key.value)
    secret = str(view["totpsecret"])
    # Each code counts once: the code of the step before is taken, so that the test can use the current one.
    await manager.complete_two_factor_setup({"otp": totp_code(secret, steps=-1)}, key.value)
    return secret


def totp_code(secret: str, steps: int = 0) -> str:
    """Return the code that an authenticator app shows now.

    A code counts once: for a second login within 30 seconds move the clock (`frozen_clock`), or take the next step's code.

    Parameters:
        secret: as shown at set-up, by `set_up_totp` or on the page.
        steps: how many steps of 30 seconds later; one step off is accepted.
    """
    return pyotp.TOTP(secret, interval=STEP_SECONDS).at(utc_now(), counter_offset=steps)


def _totp_name(manager: SessionManager) -> str:
    for name in manager.allowed_factor2:
        if isinstance(manager.factors.get(name), TotpAuthenticator):
            return name
    raise CrossauthError(
        ErrorCode.Configuration, "testing: no TotpAuthenticator is among the session server's 'allowed_factor2'"
    )
