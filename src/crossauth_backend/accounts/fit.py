"""Whether the storages can hold what is switched on: found when an application starts, not when somebody signs up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.codes import SentCodeAuthenticator
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.users.storage import UserStorage


class Switches(Protocol):
    """The options that ask for fields of users."""

    @property
    def allowed_factor2(self) -> list[str]:
        """Second factors."""
        ...

    @property
    def enable_email_verification(self) -> bool:
        """Whether addresses are verified."""
        ...

    @property
    def enable_password_reset(self) -> bool:
        """Whether passwords are reset by email."""
        ...


def check_storages(
    users: UserStorage,
    keys: Iterable[KeyStorage],
    switches: Switches,
    factors: Iterable[Authenticator] = (),
    also: Mapping[str, type] | None = None,
) -> None:
    """Make sure that users have the fields that are needed, and that keys can be theirs.

    Parameters:
        users: where users are.
        keys: where their keys are.
        switches: what is switched on.
        factors: those that users may have; each says which fields it needs.
        also: further fields and their Python types.

    Raises:
        CrossauthError: `Configuration`, naming everything that is missing.
    """
    expected: dict[str, type] = {"state": str, "factor1": str}
    if any(name and name != NO_FACTOR2 for name in switches.allowed_factor2):
        expected["factor2"] = str
    if switches.enable_email_verification or switches.enable_password_reset:
        expected["email"] = str
    expected |= {name: str for factor in factors for name in factor.user_fields()}
    expected |= also or {}
    for name in (*users.user_editable_fields, *users.admin_editable_fields):
        expected.setdefault(name, object)
    problems = users.unfit_fields(expected)
    for storage in dict.fromkeys(keys):
        problems += storage.unfit_users(users)
    _refuse(problems)


def check_fields(users: UserStorage, *names: str) -> None:
    """Make sure that users have these fields, which hold text.

    Raises:
        CrossauthError: `Configuration`, naming everything that is missing.
    """
    _refuse(users.unfit_fields(dict.fromkeys(names, str)))


def fields_given_with_choice(users: UserStorage, factor: Authenticator) -> list[str]:
    """The fields that a user gives along with the choice of a second factor that has nowhere to send codes to.

    Whatever `user_editable_fields` lists: somebody who has to set the factor up could not log in otherwise. But not what
    `admin_editable_fields` keeps for administrators, nor the username.
    """
    stored = {"username", *set(users.admin_editable_fields).difference(users.user_editable_fields)}
    return [name for name in factor.user_fields() if name not in stored]


def check_way_in(users: UserStorage, factors: Iterable[Authenticator], option: str = "allowed_factor2") -> None:
    """Make sure that every user can set up one of the second factors of which everybody has to have one.

    Parameters:
        users: where users are.
        factors: the second factors that users may have.
        option: the option that says so, for the message.

    Raises:
        CrossauthError: `Configuration` where each sends its codes to a field that only administrators may set: whoever has
            none there could not log in.
    """
    closed: dict[str, str] = {}
    for factor in factors:
        provided = fields_given_with_choice(users, factor)
        lacking = [name for name in factor.user_fields() if name not in provided and name != "username"]
        if not lacking or not isinstance(factor, SentCodeAuthenticator):
            return
        closed[factor.factor_name] = lacking[0]
    if closed:
        named = ", ".join(f"{factor!r} needs {name!r}" for factor, name in closed.items())
        raise CrossauthError(
            ErrorCode.Configuration,
            f"SessionManager: option {option!r} lets nobody in without a second factor, but {named}, which "
            "'admin_editable_fields' keeps for administrators: a user without one could not log in. List it in "
            "'user_editable_fields', or allow another factor, such as 'totp', or 'none'",
        )


def check_factors(users: UserStorage, factors: Iterable[Authenticator], offered: Iterable[Authenticator]) -> None:
    """Make sure that what factors store can be kept, and that second factors have something to store.

    Otherwise their users would learn so at the end of the set-up, or at the next login.

    Parameters:
        users: where users are.
        factors: every factor of the server.
        offered: those that users may have as their second factor.

    Raises:
        CrossauthError: `Configuration`, naming the factor and what would be right.
    """
    problems = []
    for factor in factors:
        lost = [name for name in factor.secret_names() if not users.can_keep_secret(name)]
        if lost:
            problems.append(
                f"authenticator {factor.factor_name!r} stores {', '.join(map(repr, lost))}, which {type(users).__name__} has "
                "no place for; give the secret another name, or use a storage whose can_keep_secret() takes it"
            )
    problems += [
        f"authenticator {factor.factor_name!r} {text}" for factor in offered for text in _unfit_factor2(factor)
    ]
    if problems:
        raise CrossauthError(ErrorCode.Configuration, [f"SessionManager: {text}" for text in problems])


def _unfit_factor2(factor: Authenticator) -> list[str]:
    """What is wrong with a factor as a second factor, as texts."""
    if "password" in factor.secret_names():
        return [
            "stores 'password', which is the first factor's, so it can be no second factor: take it out of "
            "'allowed_factor2', or give its secret another name"
        ]
    taken = [field.name for field in factor.setup_fields() if field.name in _OTHER_FIELDS]
    if taken:
        named = ", ".join(map(repr, taken))
        return [
            f"names {named} in setup_fields(), which the form that sets a factor up uses already; name it otherwise"
        ]
    kind = type(factor)
    if kind.confirm_configuration is not Authenticator.confirm_configuration:
        return []
    if factor.setup_fields():
        names = ", ".join(repr(field.name) for field in factor.setup_fields())
        return [
            f"lets users choose {names} in setup_fields(), and nothing stores it: override confirm_configuration() to return "
            "the secrets, for example `await self.chosen_secrets(user, params)`"
        ]
    if factor.secret_names() and kind.prepare_configuration is Authenticator.prepare_configuration:
        return [
            f"stores {', '.join(map(repr, factor.secret_names()))} and never makes it: return it as 'sessionData' of "
            "prepare_configuration(), or name it in setup_fields() and override confirm_configuration()"
        ]
    return []


def _refuse(problems: list[str]) -> None:
    if problems:
        raise CrossauthError(ErrorCode.Configuration, [f"The storages do not fit: {'; '.join(problems)}", _ADVICE])


# What a form that sets a second factor up has besides the secrets that the user chooses.
_OTHER_FIELDS = frozenset({"password", "otp", "token", "recovery_code", "csrfToken", "next", "factor2"})
_ADVICE = "Add the columns to your own table; docs/databases.md says what it must have"
