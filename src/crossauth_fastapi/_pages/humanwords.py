"""Words of people for what machines keep: dates, states of accounts, factors, events and reasons.

Templates use these as filters: `{{ user.state | state_words }}`, `{{ session.created | date }}`. Each returns a text in the
language of the page; what has no words here is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from crossauth_backend.core.texts import gettext, mark, ngettext

STATES: Final[Mapping[str, str]] = {
    "active": mark("Active"),
    "disabled": mark("Disabled"),
    "awaitingemailverification": mark("Waiting for email verification"),
    "awaitingtwofactorsetup": mark("Waiting for two-factor setup"),
    "awaitingtwofactorsetupandemailverification": mark("Waiting for two-factor setup and email verification"),
    "passwordchangeneeded": mark("Must change password"),
    "passwordresetneeded": mark("Must reset password"),
    "factor2resetneeded": mark("Must set up two-factor authentication again"),
    "passwordandfactor2resetneeded": mark("Must reset password and two-factor authentication"),
    "unreadable": mark("Stored data can't be read"),
}
FACTORS: Final[Mapping[str, str]] = {
    "": mark("Off"),
    "none": mark("Off"),
    "totp": mark("Authenticator app"),
    "email": mark("Email code"),
    "sms": mark("Text message code"),
    "localpassword": mark("Password"),
    "recovery": mark("Recovery code"),
}
EVENTS: Final[Mapping[str, str]] = {
    "signed_up": mark("Signed up"),
    "login_succeeded": mark("Logged in"),
    "login_failed": mark("Login failed"),
    "logged_out": mark("Logged out"),
    "attempts_limited": mark("Too many attempts"),
    "factor2_asked": mark("Two-factor code requested"),
    "factor2_failed": mark("Wrong two-factor code"),
    "factor2_set": mark("Two-factor authentication turned on"),
    "factor2_removed": mark("Two-factor authentication turned off"),
    "recovery_codes_made": mark("Recovery codes generated"),
    "recovery_code_used": mark("Recovery code used"),
    "password_changed": mark("Password changed"),
    "password_reset_requested": mark("Password reset requested"),
    "password_reset": mark("Password reset"),
    "email_verified": mark("Email address verified"),
    "email_change_requested": mark("Email change requested"),
    "email_changed": mark("Email address changed"),
    "session_ended": mark("Session logged out"),
    "sessions_ended": mark("All other sessions logged out"),
    "user_created": mark("User created"),
    "user_updated": mark("User updated"),
    "user_deleted": mark("User deleted"),
    "mail_failed": mark("Email not delivered"),
    "api_key_created": mark("API key created"),
    "api_key_used": mark("API key used"),
    "api_key_rotated": mark("API key replaced"),
    "api_key_revoked": mark("API key revoked"),
    "api_key_refused": mark("API key refused"),
    "token_issued": mark("Token issued"),
    "token_refused": mark("Token refused"),
    "token_replayed": mark("Token used again"),
    "token_revoked": mark("Token revoked"),
    "client_created": mark("OAuth client created"),
    "client_changed": mark("OAuth client changed"),
    "client_deleted": mark("OAuth client deleted"),
    "consent_given": mark("Consent given"),
    "consent_withdrawn": mark("Consent withdrawn"),
    "signing_key_rotated": mark("Signing key rotated"),
    "account_linked": mark("Account linked"),
    "account_unlinked": mark("Account unlinked"),
}
REASONS: Final[Mapping[str, str]] = {
    "UserNotExist": mark("Unknown user"),
    "UsernameOrPasswordInvalid": mark("Wrong username or password"),
    "PasswordInvalid": mark("Wrong password"),
    "UserNotActive": mark("Account is disabled"),
    "EmailNotVerified": mark("Email address not verified"),
    "TwoFactorIncomplete": mark("Two-factor setup not completed"),
    "InvalidToken": mark("Wrong code"),
    "InvalidKey": mark("Invalid link or key"),
    "Expired": mark("Expired"),
    "ExpiredToken": mark("Expired"),
    "PasswordChangeNeeded": mark("Password must be changed"),
    "PasswordResetNeeded": mark("Password must be reset"),
    "Factor2ResetNeeded": mark("Two-factor authentication must be set up again"),
    "InsufficientScope": mark("Missing scope"),
    "InsufficientPriviledges": mark("Missing permission"),
    "Unauthorized": mark("Not logged in"),
    "TooManyAttempts": mark("Too many attempts"),
    "LOGIN_BAD_CREDENTIALS": mark("Wrong username or password"),
    "api_key": mark("Requests with this API key"),
    "bff": mark("Requests of this session"),
    "client_secret": mark("Client secrets"),
    "device_poll": mark("Polling by a device"),
    "factor2_challenge": mark("Codes for one login"),
    "introspection": mark("Token introspection"),
    "login_account": mark("Logins to this account"),
    "login_device": mark("Logins from this browser"),
    "mail_target": mark("Emails to this address"),
    "par": mark("Authorization requests"),
    "registration": mark("Client registrations"),
    "sms_login_target": mark("Login codes to this phone number"),
    "sms_target": mark("Text messages to this phone number"),
    "token_credential": mark("Tokens of one credential"),
    "user_code": mark("Device codes"),
    "login_address": mark("Logins from this IP address"),
    "login_total_address": mark("All logins from this IP address"),
    "factor2_account": mark("Two-factor codes for this account"),
    "factor2_address": mark("Two-factor codes from this IP address"),
    "password_account": mark("Password checks for this account"),
    "reset_account": mark("Password resets for this account"),
    "reset_address": mark("Password resets from this IP address"),
    "token_address": mark("Links and tokens from this IP address"),
    "verification_account": mark("Verification emails for this account"),
    "verification_address": mark("Verification emails from this IP address"),
    "code_account": mark("Codes sent to this account"),
    "signup_address": mark("Sign-ups from this IP address"),
    "interaction_address": mark("Login requests from this IP address"),
    "oauth_flow_address": mark("Provider logins from this IP address"),
    "logout_token_address": mark("Provider logouts from this IP address"),
    "refused": mark("Refused by the mail server"),
    "address": mark("Address can't receive email"),
    "smtputf8": mark("Mail server can't send to this address"),
    "expired": mark("Expired"),
    "stopped": mark("Server stopped"),
    "error": mark("Error"),
    "too_many": mark("Too many messages"),
}
# How long after its last request a session counts as in use.
_ACTIVE: Final = timedelta(minutes=5)
_MONTHS: Final = (
    mark("Jan"), mark("Feb"), mark("Mar"), mark("Apr"), mark("May"), mark("Jun"), mark("Jul"), mark("Aug"), mark("Sep"),
    mark("Oct"), mark("Nov"), mark("Dec"),
)  # fmt: skip


def state_words(state: str) -> str:
    """Return what people call a state of an account."""
    return _words(STATES, state)


def factor_words(name: str | None, friendly: Mapping[str, str] | None = None) -> str:
    """Return what people call a second factor.

    Parameters:
        name: its name; none where there is none.
        friendly: what the application's factors call themselves, by name; this comes first.
    """
    return gettext((friendly or {}).get(name or "") or FACTORS.get(name or "") or name or "")


def event_words(name: object) -> str:
    """Return what people call a security event."""
    return _words(EVENTS, str(name))


def reason_words(reason: str, friendly: Mapping[str, str] | None = None) -> str:
    """Return what people call the reason of a security event, which may be the name of a factor, or several names."""
    words = ((friendly or {}).get(one) or REASONS.get(one) or FACTORS.get(one) or one for one in reason.split(", "))
    return ", ".join(gettext(one) for one in words if one)


def date_words(at: datetime) -> str:
    """Return a date as people write it: `25 Nov 2026, 07:15 UTC`."""
    at = _utc(at)
    return gettext("%(day)s %(month)s %(year)s, %(time)s UTC") % {
        "day": at.day, "month": gettext(_MONTHS[at.month - 1]), "year": at.year, "time": f"{at:%H:%M}",
    }  # fmt: skip


def ago_words(at: datetime, now: datetime) -> str:
    """Return how long ago something was: `2 hours ago`; a date where it was more than a month ago or is to come."""
    seconds = int((_utc(now) - _utc(at)).total_seconds())
    if not -60 < seconds < 30 * 86400:
        return date_words(at)
    if seconds < 60:
        return gettext("just now")
    if seconds < 3600:
        n = seconds // 60
        return ngettext("%(n)s minute ago", "%(n)s minutes ago", n) % {"n": n}
    if seconds < 86400:
        n = seconds // 3600
        return ngettext("%(n)s hour ago", "%(n)s hours ago", n) % {"n": n}
    n = seconds // 86400
    return ngettext("%(n)s day ago", "%(n)s days ago", n) % {"n": n}


def date(at: datetime) -> Markup:
    """Return a date as an element that machines can read too."""
    return _time(at, date_words(at))


def ago(at: datetime, now: datetime) -> Markup:
    """Return how long ago something was, as an element whose title is the date."""
    return _time(at, ago_words(at, now), date_words(at))


def active(at: datetime, now: datetime) -> Markup:
    """Return when a session was used last: `Active now`, or `Active 2 hours ago`."""
    if _utc(now) - _utc(at) < _ACTIVE:
        return _time(at, gettext("Active now"), date_words(at))
    return Markup("{}").format(gettext("Active %(when)s")) % {"when": ago(at, now)}


FILTERS: Final = {
    "state_words": state_words, "factor_words": factor_words, "event_words": event_words, "reason_words": reason_words,
    "date": date, "ago": ago, "active": active,
}  # fmt: skip


def _words(table: Mapping[str, str], name: str) -> str:
    return gettext(table.get(name, name))


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _time(at: datetime, text: str, title: str = "") -> Markup:
    stamp = f"{_utc(at):%Y-%m-%dT%H:%M:%SZ}"
    if not title or title == text:
        return Markup('<time datetime="{}">{}</time>').format(stamp, text)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, title, text)
