"""Setting a second factor up, changing it, and giving it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.accounts import recovery
from crossauth_backend.accounts.context import ANY_STATE, Accounts, Origin
from crossauth_backend.accounts.pending import PENDING, new_pending, password_mark, read_pending, renewed, seal
from crossauth_backend.accounts.second_factor import counted, use_up
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User
from crossauth_backend.users.states import UserState

# What setting up a factor does to an account's state (contract 4.1).
_AFTER_SETUP: Final[dict[str, str]] = {
    UserState.awaiting_two_factor_setup: UserState.active,
    UserState.awaiting_two_factor_setup_and_email_verification: UserState.awaiting_email_verification,
    UserState.factor2_reset_needed: UserState.active,
}


@dataclass(frozen=True, slots=True)
class SetUp:
    """A factor that was set up.

    Parameters:
        user: the user as now stored; `None` where the account turned out to be somebody else's, which is not said.
        purpose: `signup` or `setup`.
        recovery_codes: new codes to write down.
        persist: whether the login is to outlive the browser.
    """

    user: User | None
    purpose: str
    recovery_codes: list[str] = field(default_factory=list, repr=False)
    persist: bool | None = None


async def start_setup(
    accounts: Accounts, user: User | None, username: str, factor2: str, purpose: str, fields: Mapping[str, Any],
    persist: bool | None = None,
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

    Returns:
        What the user is shown, and session data to keep.

    Raises:
        CrossauthError: `Forbidden` for a factor that is not offered; `InvalidEmail`, `InvalidPhoneNumber`.
    """
    if factor2 not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, "This second factor is not offered")
    prepared = await accounts.factors[factor2].prepare_configuration({**fields, "username": username})
    secrets = (prepared or {}).get("sessionData", {})
    shown = (prepared or {}).get("userData", {"username": username, "factor2": factor2})
    kind = "signup" if purpose == "signup" else "setup"
    proven = None if user is None else password_mark(await accounts.users.get_user_by_id(user.id, ANY_STATE))
    pending = new_pending(kind, user, username, factor2, secrets, persist, proven)  # type: ignore[arg-type]
    return shown, {PENDING: seal(pending, accounts.ring)}


async def repeat_setup(accounts: Accounts, key: Key | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Show again what `start_setup` showed; a code that is sent is sent anew.

    Raises:
        CrossauthError: `Unauthorized` where nothing is being set up.
    """
    pending = read_pending(key, accounts.ring, PENDING, "signup", "setup")
    again = await accounts.factors[pending.factor2].reprepare_configuration(pending.username, pending.secrets)
    shown = (again or {}).get("userData", {"username": pending.username, "factor2": pending.factor2})
    secrets = (again or {}).get("newSessionData", pending.secrets)
    return shown, {PENDING: seal(renewed(pending, secrets), accounts.ring)}


async def complete_setup(accounts: Accounts, key: Key | None, params: Params, origin: Origin) -> SetUp:
    """Check the first code of a factor that is being set up, and make it the user's.

    Every session of the user ends; the caller opens a new one for the browser that asked.

    Raises:
        CrossauthError: `Unauthorized` where nothing is being set up; `InvalidToken`, `Expired`, `TooManyAttempts`;
            `InvalidSession` where the user's password is another by now.
    """
    pending = read_pending(key, accounts.ring, PENDING, "signup", "setup")
    factor = accounts.factors[pending.factor2]
    found = None if pending.userid is None else await accounts.users.get_user_by_id(pending.userid, ANY_STATE)
    if found is not None and not pending.rests_on(found):
        raise CrossauthError(ErrorCode.InvalidSession)
    user = None if found is None else found.user
    nobody = User(id=0, username=pending.username)
    async with accounts.limited(origin, user, **counted(pending, origin)):
        await factor.authenticate_user(user or nobody, pending.secrets, params)
        await use_up(accounts, pending)
    if user is None:
        return SetUp(None, pending.purpose, persist=pending.persist)
    if key is not None and key.userid is not None and str(key.userid) != str(user.id):
        raise CrossauthError(ErrorCode.Unauthorized)
    secrets = {n: pending.secrets.get(n) for n in factor.secret_names()}
    changes = {"id": user.id, "factor2": pending.factor2, "state": _AFTER_SETUP.get(user.state, user.state)}
    await accounts.users.update_user(changes, {**_emptied(accounts, user), **secrets})
    await accounts.end_sessions(user.id)
    codes = await recovery.make_codes(accounts, user)
    accounts.events.tell(EventName.factor2_set, user, address=origin.address, reason=pending.factor2)
    return SetUp(await accounts.user(user.id), pending.purpose, codes, pending.persist)


async def remove(accounts: Accounts, user: User, origin: Origin) -> User:
    """Let `user` log in without a second factor. Every session ends, as after `complete_setup`."""
    state = _AFTER_SETUP.get(user.state, user.state)
    await accounts.users.update_user({"id": user.id, "factor2": None, "state": state}, _emptied(accounts, user))
    await recovery.delete_codes(accounts, user)
    await accounts.end_sessions(user.id)
    accounts.events.tell(EventName.factor2_removed, user, address=origin.address, reason=user.factor2 or "")
    return await accounts.user(user.id)


def _emptied(accounts: Accounts, user: User) -> dict[str, None]:
    """The stored secrets of the second factor that `user` had, emptied."""
    factor = accounts.factors.get(user.factor2 or "")
    return {} if factor is None else dict.fromkeys(factor.secret_names())
