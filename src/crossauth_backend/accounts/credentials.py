"""Checking the first factor of somebody who says who they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from crossauth_backend.accounts.attempt import Attempt
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo
from crossauth_backend.accounts.login_names import counted_name, find_for_login
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_pool import hashing_for
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.users.record import User, UserAndSecrets
from crossauth_backend.users.rules import MAX_USERNAME, is_address
from crossauth_backend.users.stamp import is_digest, with_stamp


async def check_credentials(
    accounts: Accounts, username: str, params: Params, origin: ClientInfo = UNKNOWN_CLIENT,
    refuse: Callable[[User], Awaitable[None]] | None = None,
) -> User:  # fmt: skip
    """The user whose first factor `params` prove, in whatever state.

    Parameters:
        accounts: the account services.
        username: the name, as it was typed.
        params: the secrets.
        origin: where the request comes from.
        refuse: looks at the user and raises where the attempt is to be refused, and counted, like one with a wrong password.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`, in the same words and time whether or not there is such a user;
            `TooManyAttempts`; `Connection` with status 503 where too many passwords wait to be hashed.
    """
    # No account has a longer name. It is refused before it is normalised, which takes time.
    possible = len(username) <= MAX_USERNAME
    # Whose browser it is shows only when the user was read. Of others nothing is read before they are counted.
    found = await _named(accounts, username) if origin.device is not None and possible else None
    device = origin.device_of(found.user if found else None)
    name = counted_name(accounts, username) if possible else None
    # A browser in which the user was logged in before is counted by itself: guesses from elsewhere cannot lock it out.
    counted = {"login_device": device} if device else {"login_account": name}
    addresses = {"login_address": origin.address, "login_total_address": origin.address}
    async with accounts.limited(origin, None, **addresses, **counted):
        if not possible:
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        if origin.device is None:
            found = await _named(accounts, username)
        with hashing_for(device):
            user = await _check(accounts, found, params, origin)
            if refuse is not None:
                await refuse(user)
            return user


def proven(accounts: Accounts, user: User) -> Attempt:
    """The attempt of a user who has proven the first factor now; a password where the factor does not say what it is."""
    factor = accounts.factors.get(user.factor1)
    return Attempt(user, () if factor is None else factor.amr or ("pwd",))


def says_nothing(accounts: Accounts, user: User) -> bool:
    """Whether answers must not say that there is such an account: its name is an address, and addresses are verified."""
    return accounts.verify_email and is_address(user.username)


async def _named(accounts: Accounts, username: str) -> UserAndSecrets | None:
    found = await find_for_login(accounts, username)
    return None if found is None else with_stamp(found, accounts.users.credentials)


async def _check(accounts: Accounts, found: UserAndSecrets | None, params: Params, origin: ClientInfo) -> User:
    try:
        if found is None:
            await check_nobody(accounts, params)
            raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
        return (await prove_first_factor(accounts, found, params)).user
    except CrossauthError as e:
        user = found.user if found else None
        if e.code is not ErrorCode.Connection:  # a login that was not looked at is no failed one
            accounts.events.emit(EventName.login_failed, user, address=origin.address, reason=e.code_name)
        raise


async def prove_first_factor(accounts: Accounts, found: UserAndSecrets, params: Params) -> UserAndSecrets:
    """Check the first factor of a user, as read by `Accounts.find`, and return what was proven.

    Raises:
        CrossauthError: `UsernameOrPasswordInvalid`.
    """
    factor = accounts.factor1(found.user)
    await factor.authenticate_user(found.user, found.secrets, params)
    if not is_digest(found.user.security_stamp):
        return found
    # The check may have stored a stronger hash. A stamp stays then, but a digest that stands in for one is another: what it says
    # now is proven by itself.
    now = await accounts.find(found.user.id)
    if now.user.security_stamp != found.user.security_stamp:
        await factor.authenticate_user(now.user, now.secrets, params)
    return now


async def check_nobody(accounts: Accounts, params: Params) -> None:
    """Do the work of a wrong password, so that the time of an answer does not say whether a name is taken.

    Raises:
        CrossauthError: as for a wrong password.
    """
    factor = accounts.factors.get("localpassword") or next(accounts.factors.password_factors(), None)
    if factor is not None:
        await factor.authenticate_user(None, None, params)
