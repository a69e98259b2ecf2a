"""What is decided about at a login: an attempt, and what is demanded of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from crossauth_backend.accounts.authentication import UNKNOWN, Authentication, auth_of, bypasses_factor2
from crossauth_backend.keys.data import get_json_data
from crossauth_backend.keys.record import Key
from crossauth_backend.users.record import User

Prompt = Literal["login", "none", "consent", "select_account"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who has proven the first factor of `user`, and what else is known.

    Parameters:
        user: whom to sign in.
        methods: what was proven, by the names of RFC 8176 §2; empty where that is not known.
        factor2_passed: whether the second factor has been proven too. The methods do not say: a second factor may be of the kind
            of the first.
        factor2_bypassed: whether the application has decided that this login goes without one (`bypass_2fa`).
        auth: the facts of the login that this goes on from, see `attempt_of`; `None` for a login that is made now.
        factor2_offered: whether the server still offers the user's second factor; where the user has none, whether it offers any.
        factor2_needed: whether the user has to have one, see `Accounts.needs_factor2`.
        now: the time; where it is not known no session is fresh.
    """

    user: User
    methods: tuple[str, ...] = ()
    factor2_passed: bool = False
    factor2_bypassed: bool = False
    auth: Authentication | None = None
    factor2_offered: bool = True
    factor2_needed: bool = False
    now: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of a login beyond what the account asks for (OpenID Connect Core §3.1.2.1).

    Parameters:
        max_age: for how long a login counts that was made before; with nothing, none does.
        prompt: `login` and `select_account` want a login that is made now: where one logs in is where an account is chosen.
            `none` and `consent` change nothing here: whoever demands `none` does not ask for what turns out to be required.
        acr_values: context classes in order of preference, see `ACR_VALUES`. Where a second factor is what they lack it is asked
            for; what is unknown, or cannot be had, is no reason to refuse, for `acr` is a voluntary claim.
    """

    max_age: timedelta | None = None
    prompt: frozenset[Prompt] = frozenset()
    acr_values: tuple[str, ...] = ()


NO_DEMAND: Final = Demand()


def attempt_of(user: User, key: Key | None, auth: Authentication | None = None) -> Attempt:
    """The attempt of a user who is logged in already to go on, in the same session or in a new one.

    Parameters:
        user: the user, as stored now.
        key: the session; where it is not the user's, nothing is known of the login.
        auth: how the user has logged in, where that is known better than the session says.
    """
    if key is not None and str(key.userid) != str(user.id):
        key = None
    facts = auth or auth_of(key) or UNKNOWN
    bypassed = key is not None and bypasses_factor2(get_json_data(key))
    return Attempt(user, facts.amr, factor2_bypassed=bypassed, auth=facts)
