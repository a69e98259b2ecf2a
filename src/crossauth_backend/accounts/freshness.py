"""What follows from when and how a user logged in: whether a login still counts, and whether it had two factors. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from crossauth_backend.accounts.authentication import bypasses_factor2
from crossauth_backend.accounts.context import Accounts, has_factor2
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import must_be_plain
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

# Methods of RFC 8176 §2 by what they show: what one knows, has, or is.
_KINDS: Final = (
    frozenset(("pwd", "pin", "kba")),
    frozenset(("otp", "sms", "tel", "hwk", "swk", "pop", "sc")),
    frozenset(("face", "fpt", "iris", "retina", "vbm")),
)
# Context classes that can be asked for (OpenID Connect Core §2, `acr`; what they mean is left to the parties), and whether one
# takes two factors. The numbers are those that conformance tests and other servers use.
ACR_VALUES: Final[Mapping[str, bool]] = {
    "1": False,
    "2": True,
    "http://schemas.openid.net/pape/policies/2007/06/multi-factor": True,
}
# By how much the clock that wrote the time of a login may be ahead of ours.
_AHEAD: Final = timedelta(seconds=60)


def lacks_factor2(key: Key, user: User) -> ErrorCode | None:
    """Why a session of a user is refused who has to have a second factor: it was opened before that was so, and there is none.
    `None` for any other."""
    fits = has_factor2(user) or bypasses_factor2(get_json_data(key))
    return None if fits else ErrorCode.Factor2ResetNeeded


def session_demand(
    required: Callable[[User], bool] | None, optional: bool, needs: Callable[[User], bool]
) -> Callable[[Key, User], ErrorCode | None] | None:
    """Return what says why a session is refused whose user lacks a second factor; `None` where nobody has to have one.

    Parameters:
        required: the option `factor2_required_fn`.
        optional: whether others may go without.
        needs: whether a user has to have one.

    Raises:
        CrossauthError: `Configuration` for a `required` that is `async`, or that nothing asks because everyone has to have one.
    """
    if required is None:
        return None if optional else lacks_factor2
    if not optional:
        raise CrossauthError(
            ErrorCode.Configuration,
            "SessionManager: option 'factor2_required_fn' has no effect: without \"none\" in 'allowed_factor2' everyone has to "
            "have a second factor",
        )
    must_be_plain("SessionManager: option 'factor2_required_fn'", required)

    def refuse(key: Key, user: User) -> ErrorCode | None:
        # Only of those who have none: it is looked at for every request.
        code = lacks_factor2(key, user)
        return code if code is not None and needs(user) else None

    return refuse


def is_fresh(auth_time: int | None, now: datetime, within: timedelta) -> bool:
    """Whether a login is not older than that: the one rule for sessions, tokens, routes and `max_age`.

    Parameters:
        auth_time: when it was made, in seconds since the epoch; one that nothing is known of is not fresh.
        now: the time.
        within: for how long a login counts; with nothing, none does that was made before.
    """
    if auth_time is None:
        return False
    age = now.timestamp() - auth_time
    return -_AHEAD.total_seconds() <= age < within.total_seconds()


def is_two_factor(methods: Iterable[str]) -> bool:
    """Whether these methods are a login with a second factor: `mfa`, or methods of two kinds (RFC 8176 §2)."""
    known = set(methods)
    return "mfa" in known or sum(bool(kind & known) for kind in _KINDS) > 1


def met_acr(acr_values: Iterable[str], methods: Iterable[str]) -> str | None:
    """The first of the context classes, which are in order of preference, that a login by these methods meets."""
    two = is_two_factor(methods)
    return next((acr for acr in acr_values if acr in ACR_VALUES and (two or not ACR_VALUES[acr])), None)


def can_be_asked(accounts: Accounts, user: User) -> bool:
    """Whether the first factor of `user` is a secret that a form can ask for."""
    factor = accounts.factors.get(user.factor1)
    if factor is None:
        raise CrossauthError(ErrorCode.Configuration, detail=f"no authenticator is registered for {user.factor1!r}")
    return bool(factor.secret_names())
