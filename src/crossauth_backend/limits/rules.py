"""What may be tried how often. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS
from crossauth_backend.core.text import normalize_address


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `attempts` in any window of `seconds`.

    Windows are fixed: they begin at multiples of `seconds`, so that where two meet there may be twice as many in a short time.
    """

    attempts: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit.

    Parameters:
        attempts, seconds: its default, see `Limit`.
        address: whether what it counts by is an address of the network. Such limits are looked at before all others: where one
            is reached, nothing is counted under a name that the caller made up.
        total: whether successes count as well, for what costs whether or not it succeeds.
    """

    attempts: int
    seconds: int
    address: bool = False
    total: bool = False


# Named after what is tried and by what attempts are counted. An account is a name as it was typed, in its normalised form,
# whether or not there is such a user; an address is a host, or the /64 network of an IPv6 host.
RULES: Final[Mapping[str, Rule]] = {
    "login_account": Rule(20, 900),
    "login_device": Rule(20, 900),
    "login_address": Rule(100, 900, address=True),
    "login_total_address": Rule(1000, 900, address=True, total=True),
    "factor2_challenge": Rule(5, 900),
    "factor2_account": Rule(20, 900),
    "factor2_address": Rule(100, 900, address=True),
    "password_account": Rule(20, 900),
    "reset_account": Rule(5, 3600),
    "reset_address": Rule(50, 3600, address=True),
    "token_credential": Rule(20, 900),
    "token_address": Rule(100, 900, address=True),
    "verification_account": Rule(10, 3600),
    "verification_address": Rule(50, 3600, address=True),
    # What is sent is counted by where it goes, too, whoever asks and from wherever. A target is a mailbox, a telephone
    # number, or what else a factor of the application's sends its codes to. These limits refuse what anybody may have sent
    # there, but nothing that its owner needs.
    "mail_target": Rule(10, 3600),
    "sms_target": Rule(5, 3600),
    # Login codes to a number beyond that, from all accounts that name it.
    "sms_login_target": Rule(20, 3600),
    "code_account": Rule(10, 3600),
    "signup_address": Rule(100, 3600, address=True),
    # Flows that leave for the login page: what they ask for is kept until they come back.
    "interaction_address": Rule(1000, 900, address=True, total=True),
    # OAuth flows that anybody can begin, and that another server is asked for at once.
    "oauth_flow_address": Rule(300, 900, address=True, total=True),
    # What OAuth clients, devices and API keys may do.
    "client_secret": Rule(20, 900),
    "user_code": Rule(10, 900),
    "device_poll": Rule(600, 900, total=True),
    "registration": Rule(20, 3600, address=True, total=True),
    "par": Rule(600, 900, total=True),
    "introspection": Rule(6000, 900, total=True),
    "api_key": Rule(6000, 900, total=True),
    # What providers send when somebody has logged out there. It is only counted where it is not valid: there must be room for it
    # where a proxy that is not named makes one address of everybody.
    "logout_token_address": Rule(1000, 900, address=True),
    "bff": Rule(6000, 900, total=True),
}
# What any storage can count up to, and no window that leaves what dates can express.
_MOST: Final = (1_000_000_000, MAX_SECONDS)
DEFAULT_LIMITS: Final[Mapping[str, Limit]] = {n: Limit(rule.attempts, rule.seconds) for n, rule in RULES.items()}


def read_limits(given: Mapping[str, Any]) -> dict[str, Limit]:
    """The limits in force: the defaults, changed by `given`. `None` switches one off, by name.

    Raises:
        CrossauthError: `Configuration`, naming what is wrong.
    """
    limits: dict[str, Limit] = dict(DEFAULT_LIMITS)
    for name, value in given.items():
        if name not in DEFAULT_LIMITS:
            near = get_close_matches(str(name), DEFAULT_LIMITS, n=1, cutoff=0.4)
            advice = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(DEFAULT_LIMITS)}"
            raise CrossauthError(ErrorCode.Configuration, f"Option 'attempt_limits': no limit {name!r}{advice}")
        if value is None:
            del limits[name]
            continue
        pair = (value.attempts, value.seconds) if isinstance(value, Limit) else value
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and all(map(_can_be, pair, _MOST))):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"Option 'attempt_limits': {name!r} must be (attempts, seconds), two whole numbers above 0, at most {_MOST}, or "
                "None",
            )
        limits[name] = Limit(*pair)
    return limits


def _can_be(number: object, most: int) -> bool:
    return type(number) is int and 0 < number <= most


def mailbox_of(address: str) -> str:
    """By what messages to an email address are counted: the mailbox, whatever stands behind a plus sign."""
    local, at, domain = normalize_address(address).rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
