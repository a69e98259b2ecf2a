"""What an administrator does to accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from crossauth_backend.accounts.changes import check_still, end_sessions, replace_checked
from crossauth_backend.accounts.context import UNKNOWN_CLIENT, Accounts, ClientInfo, has_factor2
from crossauth_backend.accounts.form_fields import check_new_secrets, refusal
from crossauth_backend.accounts.password import send_password_notice
from crossauth_backend.accounts.signup import checked_user
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import mark
from crossauth_backend.core.values import differs
from crossauth_backend.email_tokens.rules import contact_address
from crossauth_backend.events.record import EventName
from crossauth_backend.factors.base import Params
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.users.reads import or_none
from crossauth_backend.users.record import User
from crossauth_backend.users.stamp import STAMP
from crossauth_backend.users.states import UNREADABLE, UNREADABLE_TEXT, UserState

STATES = tuple(v for n, v in vars(UserState).items() if not n.startswith("_"))
_DERIVED = ("id", "username_normalized", "email_normalized", STAMP)
_NO_WAY_IN: Final = mark("Enter a password, or an email address so we can send a setup link")
_BY_RESET = (UserState.password_reset_needed, UserState.password_and_factor2_reset_needed)
MAX_PAGE = 100
_TRIES = 20


class Stored(NamedTuple):
    """A user as now stored, and whether a link to choose a password was sent."""

    user: User
    reset_sent: bool = False


async def create_user(
    accounts: Accounts, admin: User | None, user: Mapping[str, Any], params: Params, repeat: Params | None,
    origin: ClientInfo = UNKNOWN_CLIENT,
) -> Stored:  # fmt: skip
    """Create a user. Without a password the user is sent a link to choose one; a second factor is set up at the first login.

    Parameters:
        accounts: the account services.
        admin: who creates it; `None` for whoever runs the server, at its command line.
        user: its fields.
        params: the secrets of its first factor.
        repeat: the same once more, where they were typed.
        origin: where the request comes from.

    Raises:
        CrossauthError: `FormEntry`, `InvalidEmail`, `UserExists`, `PasswordFormat`, `PasswordMatch`, `Forbidden`.
    """
    offered = _offered(accounts, str(user.get("factor2") or ""))
    new = await checked_user(accounts, {**user, "factor2": offered}, trusted=True)
    factor = accounts.factors[new["factor1"]]
    secrets: dict[str, Any] = {}
    if any(params.values()):
        await check_new_secrets(factor, params, repeat)
        secrets = await factor.create_persistent_secrets(new["username"], params, repeat)
        if new["factor2"] and new["state"] == UserState.active:
            new["state"] = UserState.factor2_reset_needed
    elif factor.secret_names():
        if contact_address(User(id=0, username=new["username"], email=new.get("email"))) is None:
            raise refusal("email", _NO_WAY_IN, "password")
        if not accounts.reset_password:
            raise refusal("password", mark("Enter a password. This site can't send setup links."))
        new["state"] = _BY_RESET[1] if new["factor2"] else _BY_RESET[0]
    if admin is not None:
        await check_still(accounts, admin)
    created = await accounts.users.create_user(new, secrets)
    accounts.events.emit(EventName.user_created, created, address=origin.address, actor=admin)
    return Stored(created, _send_reset(accounts, created))


async def update_user(
    accounts: Accounts, admin: User | None, user: User, changed: Mapping[str, Any], origin: ClientInfo = UNKNOWN_CLIENT
) -> Stored:
    """Store the given fields of `user`. With one of `UserStorage.credentials` the user's sessions end, and the links that wait.

    Parameters:
        accounts: the account services.
        admin: who changes it; `None` for the operator of the server, at its command line.
        user: the user as read.
        changed: the fields.
        origin: where the request comes from.

    Raises:
        CrossauthError: `FormEntry`, `InvalidEmail`, `UserExists`; `Forbidden` for a factor that is not offered; `BadRequest`
            for an unknown state, or where state and second factor are changed together; `InvalidSession`, `UserNotActive`,
            `InsufficientPriviledges` where the administrator's account was changed meanwhile.
    """
    fields: dict[str, Any] = {}

    async def change(user: User) -> dict[str, Any]:
        nonlocal fields
        fields = await _changed_fields(accounts, user, changed)
        return fields

    stored = await _decide(accounts, admin, user, change)
    if fields:
        accounts.events.emit(EventName.user_updated, user, address=origin.address, actor=admin)
    if not fields.keys().isdisjoint(accounts.users.credentials):
        await end_sessions(accounts, user.id)
    return Stored(stored, "state" in fields and _send_reset(accounts, stored))


async def change_password(
    accounts: Accounts, admin: User, user: User, new: Params, repeat: Params | None, origin: ClientInfo = UNKNOWN_CLIENT
) -> User:
    """Give `user` a new password. Every session ends.

    The account becomes active, but stays `factor2resetneeded` where its second factor must be set up again; the second factor
    itself stays.

    Raises:
        CrossauthError: `PasswordFormat`, `PasswordMatch`.
    """
    factor = accounts.factor1(user)
    await check_new_secrets(factor, new, repeat)
    secrets = await factor.create_persistent_secrets(user.username, new, repeat)

    async def change(user: User) -> dict[str, Any]:
        waits = user.state in (UserState.factor2_reset_needed, _BY_RESET[1]) and has_factor2(user)
        return {"state": UserState.factor2_reset_needed if waits else UserState.active}

    stored = await _decide(accounts, admin, user, change, secrets)
    await end_sessions(accounts, user.id)
    accounts.events.emit(EventName.password_changed, user, address=origin.address, actor=admin)
    send_password_notice(accounts, stored)
    return stored


async def find_users(accounts: Accounts, search: str, skip: int, take: int) -> list[User]:
    """Users in the order of their ids; with `search` those of exactly this username or email address."""
    if not search:
        return await accounts.users.get_users(skip, take)
    found: dict[Any, User] = {}
    for find in (accounts.users.get_user_by_username, accounts.users.get_user_by_email):
        one = await or_none(find(search, {"skip_active_check": True, "skip_email_verified_check": True}))
        if one is not None:
            found[one.user.id] = one.user
    return list(found.values())[skip : skip + take]


async def _decide(
    accounts: Accounts,
    admin: User | None,
    user: User,
    change: Callable[[User], Awaitable[dict[str, Any]]],
    secrets: Mapping[str, Any] | None = None,
) -> User:
    """Write what an administrator decides, which rests on the state and the second factor of `user`.

    Where these are others by the time of the write, it is decided anew: an administrator is not to lose a race that the user
    can begin over and over. What an administrator decides for the own account rests on every credential, as for any user.

    Raises:
        CrossauthError: `InvalidSession`, `UserNotActive`, `InsufficientPriviledges` where the administrator's own account was
            changed meanwhile; `ConstraintViolation` (409) where a part of what is stored cannot be read.
    """
    if user.state == UNREADABLE:
        raise CrossauthError(ErrorCode.ConstraintViolation, UNREADABLE_TEXT, status=409)
    for _ in range(_TRIES):
        values = await change(user)
        if not values and not secrets:
            return user
        if admin is not None:
            if str(user.id) == str(admin.id):
                return await replace_checked(accounts, admin, values, secrets)
            await check_still(accounts, admin)
        expected = {name: user.get(name) for name in ("state", "factor2")}
        try:
            return await replace_checked(
                accounts, user, values, secrets, expected=expected, refusal=ErrorCode.InvalidKey
            )
        except CrossauthError as e:
            if e.code not in (ErrorCode.InvalidKey, ErrorCode.UserNotActive):
                raise
        user = await accounts.user(user.id)
    raise CrossauthError(
        ErrorCode.Connection, mark("This account was changed at the same time. Try again."), status=503
    )


async def _changed_fields(accounts: Accounts, user: User, changed: Mapping[str, Any]) -> dict[str, Any]:
    requested = user.to_dict() | dict(changed)
    if "factor2" in changed:
        current = user.factor2 or ""
        provided = str(changed["factor2"] or "").removeprefix(NO_FACTOR2)
        requested["factor2"] = user.factor2 if provided == current else _offered(accounts, provided)
    requested = await checked_user(accounts, requested, user, trusted=True)
    fields = {n: v for n, v in requested.items() if n not in _DERIVED and differs(v, user.get(n))}
    if "state" in fields and fields["state"] not in STATES:
        raise CrossauthError(
            ErrorCode.BadRequest, mark("There is no status %(state)s", state=repr(str(fields["state"])[:50]))
        )
    if "factor2" in fields:
        if "state" in fields:
            raise CrossauthError(ErrorCode.BadRequest, mark("Change the status and the second factor separately"))
        if fields["factor2"]:
            fields["state"] = UserState.factor2_reset_needed
    return fields


def _offered(accounts: Accounts, name: str) -> str | None:
    name = name.removeprefix(NO_FACTOR2)
    if name and name not in accounts.allowed_factor2:
        raise CrossauthError(ErrorCode.Forbidden, mark("This second factor is not available"))
    return name or None


def _send_reset(accounts: Accounts, user: User) -> bool:
    address = contact_address(user)
    if user.state not in _BY_RESET or not accounts.reset_password or address is None:
        return False
    accounts.need_emails().send_password_reset_token(address)
    return True
