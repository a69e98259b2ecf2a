"""Rules about accounts: passwords, second factors, recovery, mail, limits, administrators and API keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.delivery.addresses import parse_sender
from crossauth_backend.delivery.options import smtp_security
from crossauth_backend.factors.registry import NO_FACTOR2
from crossauth_backend.limits.rules import DEFAULT_LIMITS
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi.cli.doctor.rule import Rule, Severity
from crossauth_fastapi.cli.doctor.snapshot import Snapshot

_DAY: Final = 86400
_RESERVED: Final = ("example.com", "example.org", "example.net", "test", "invalid", "example", "localhost")
_TIMES: Final = 10
# What no hash should cost less than: half of the default, which is the least that OWASP names.
_LEAST_COST: Final = Argon2Parameters().memory_cost * Argon2Parameters().time_cost // 2


def _factors(s: Snapshot) -> list[str]:
    return [name for name in s.sessions.settings.allowed_factor2 if name not in ("", NO_FACTOR2)] if s.sessions else []


def _weak_passwords(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.weak_passwords:
        yield f"'validate_password_fn' accepts {', '.join(map(repr, s.sessions.weak_passwords))}"


def _cheap_hash(s: Snapshot) -> Iterator[str]:
    cost = s.sessions.argon2 if s.sessions else None
    if cost is not None and cost.memory_cost * cost.time_cost < _LEAST_COST:
        yield f"'argon2' has memory_cost={cost.memory_cost} and time_cost={cost.time_cost}"


def _no_second_factor(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and not _factors(s):
        yield "'allowed_factor2' is empty"


def _admins_without_choice(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.settings.enable_admin_endpoints and not _factors(s):
        yield "'enable_admin_endpoints' is on and 'allowed_factor2' is empty"


def _admins_without_factor(s: Snapshot) -> Iterator[str]:
    if s.administrators is not None and _factors(s) and s.administrators.without_factor2:
        yield f"administrators without a second factor: {', '.join(s.administrators.without_factor2)}"


def _no_administrator(s: Snapshot) -> Iterator[str]:
    enabled = s.sessions is not None and s.sessions.settings.enable_admin_endpoints
    if enabled and s.administrators is not None and s.administrators.active == 0:
        yield "no active user is an administrator"


def _test_factors(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.is_deployed and s.sessions.test_factors:
        yield f"'authenticators' has {', '.join(s.sessions.test_factors)}"


def _unverified_reset(s: Snapshot) -> Iterator[str]:
    settings = s.sessions.settings if s.sessions else None
    if settings is not None and settings.enable_password_reset and not settings.enable_email_verification:
        yield "'enable_password_reset' is on and 'enable_email_verification' is off"


def _no_reset(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.has_passwords and not s.sessions.settings.enable_password_reset:
        yield "'enable_password_reset' is off"


def _long_links(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.settings.enable_password_reset:
        seconds = s.sessions.settings.password_reset_expires
        if seconds > _DAY:
            yield f"'password_reset_expires' is {seconds} seconds"


def _no_reauthentication(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None:
        seconds = s.sessions.settings.reauthentication_seconds
        if seconds is None or seconds > _DAY:
            yield f"'reauthentication_seconds' is {seconds}"


def _long_trust(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.settings.enable_known_devices and s.sessions.devices.maxAge > 90 * _DAY:
        yield f"browsers are trusted for {s.sessions.devices.maxAge // _DAY} days"


def _endless_sessions(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.settings.session_max_per_user == 0:
        yield "'session_max_per_user' is 0"


def _limits_off(s: Snapshot) -> Iterator[str]:
    off = [name for name in DEFAULT_LIMITS if name not in s.sessions.limits] if s.sessions else []
    if off:
        yield f"'attempt_limits' switches off {', '.join(off)}"


def _limits_loose(s: Snapshot) -> Iterator[str]:
    for name, limit in s.sessions.limits.items() if s.sessions else ():
        usual = DEFAULT_LIMITS.get(name)
        if usual is not None and limit.attempts * usual.seconds > _TIMES * usual.attempts * limit.seconds:
            provided, default = f"{limit.attempts} in {limit.seconds}", f"{usual.attempts} in {usual.seconds}"
            yield f"{name!r} allows {provided} seconds; the default is {default}"


def _no_audit(s: Snapshot) -> Iterator[str]:
    settings = s.sessions.settings if s.sessions else None
    if settings is not None and s.is_deployed and settings.audit_storage is None and not settings.event_listeners:
        yield "neither 'audit_storage' nor 'event_listeners' is set"


def _outbox(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.mail == "outbox" and s.is_deployed:
        yield "'mailer' is an Outbox"


def _reserved_sender(s: Snapshot) -> Iterator[str]:
    sender = s.sessions.settings.email_from if s.sessions else None
    domain = parse_sender(sender or "")[1].rpartition("@")[2].lower()
    if s.is_deployed and any(domain == end or domain.endswith(f".{end}") for end in _RESERVED):
        yield f"'email_from' is at {domain}"


def _plain_mail(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.sessions.mail == "smtp":
        settings = s.sessions.settings
        if smtp_security(settings) == "none" and not is_local_host(settings.smtp_host or ""):
            yield f"'smtp_security' is 'none', and the mail server is {settings.smtp_host}"


def _endless_api_keys(s: Snapshot) -> Iterator[str]:
    if s.api_keys is not None and s.api_keys.default_expiry is None:
        yield "'default_expiry' is None"


def _one_key(s: Snapshot) -> Iterator[str]:
    if s.sessions is not None and s.is_deployed and not s.sessions.settings.encryption_keys and _factors(s):
        yield "'encryption_keys' is not set"


ERROR, WARNING, INFO = Severity.error, Severity.warning, Severity.info
# fmt: off
RULES: Final = (
    Rule(id="password-rules-weak", severity=ERROR, title="Passwords that anyone would guess are accepted",
         check=_weak_passwords,
         why="Attackers try the most common passwords on every account first.",
         fix="Call default_password_validator in your 'validate_password_fn', and add to what it says."),
    Rule(id="password-hash-cheap", severity=ERROR, title="Password hashes are cheap to guess",
         check=_cheap_hash,
         why="Someone with a copy of the database can try passwords many times faster.",
         fix="Remove 'argon2', or use at least the default: memory_cost=19456, time_cost=2. Logins upgrade the hashes."),
    Rule(id="factor2-not-offered", severity=INFO, title="No second factor is offered",
         check=_no_second_factor,
         why="A stolen password is enough to log in.",
         fix="Add a TotpAuthenticator to 'authenticators' and its name, and 'none', to 'allowed_factor2'."),
    Rule(id="admin-factor2-impossible", severity=WARNING, title="Administrators cannot use a second factor",
         check=_admins_without_choice,
         why="One stolen password gives access to every account.",
         fix="Offer a second factor by 'allowed_factor2', and have every administrator set it up."),
    Rule(id="admin-factor2-missing", severity=WARNING, title="An administrator has no second factor",
         check=_admins_without_factor,
         why="One stolen password gives access to every account.",
         fix="Demand one: 'factor2_required_fn': lambda user: user.admin."),
    Rule(id="admin-missing", severity=WARNING, title="There is no administrator who can log in",
         check=_no_administrator,
         why="The administration pages are on, and no one can open them.",
         fix="Run crossauth create-admin."),
    Rule(id="factor-for-tests", severity=ERROR, title="A factor for tests is in use",
         check=_test_factors,
         why="It accepts a code that is written in the code of the application.",
         fix="Remove it from 'authenticators' in production."),
    Rule(id="reset-without-verification", severity=WARNING, title="Passwords are reset by addresses that were never verified",
         check=_unverified_reset,
         why="A mistyped address at sign-up gives its owner the account.",
         fix="Set CROSSAUTH_ENABLE_EMAIL_VERIFICATION=true."),
    Rule(id="reset-off", severity=INFO, title="Users cannot reset a forgotten password",
         check=_no_reset,
         why="Users who forget their password need an administrator.",
         fix="Set CROSSAUTH_ENABLE_PASSWORD_RESET=true and configure mail."),
    Rule(id="reset-link-long", severity=WARNING, title="Password reset links work for more than a day",
         check=_long_links,
         why="Someone who gets into an old mailbox or backup can still use them.",
         fix="Set 'password_reset_expires' to 86400 or less."),
    Rule(id="reauthentication-off", severity=WARNING, title="Sensitive changes do not ask for the password again",
         check=_no_reauthentication,
         why="Someone at an unattended browser can change the email address and keep the account.",
         fix="Set 'reauthentication_seconds' to 3600, the default."),
    Rule(id="trusted-device-long", severity=WARNING, title="Trusted devices are not asked for a second factor for months",
         check=_long_trust,
         why="A stolen laptop needs only the password for all that time.",
         fix="Set 'maxAge' of 'known_device_cookie_options' to at most 90 days, in seconds."),
    Rule(id="session-count-unlimited", severity=INFO, title="A user may have any number of sessions",
         check=_endless_sessions,
         why="Sessions of a program that logs in for every request fill the database.",
         fix="Set 'session_max_per_user'; the default is 50."),
    Rule(id="limits-off", severity=ERROR, title="Limits of attempts are switched off",
         check=_limits_off,
         why="Passwords and codes can be guessed, and mail be sent, as fast as the server answers.",
         fix="Remove the None from 'attempt_limits'; raise the numbers where they are too low."),
    Rule(id="limits-loose", severity=WARNING, title="A limit of attempts is more than ten times the default",
         check=_limits_loose,
         why="A six-digit code can be guessed within hours.",
         fix="Lower the numbers in 'attempt_limits'."),
    Rule(id="audit-off", severity=WARNING, title="Security events are only logged",
         check=_no_audit,
         why="After an attack you can't tell which accounts were used.",
         fix="Set 'audit_storage', or hand events to your own monitoring by 'event_listeners'."),
    Rule(id="mail-outbox", severity=ERROR, title="Mail is shown on a page and never sent",
         check=_outbox,
         why="The outbox is for development: users get no mail, and everyone on the machine can read it.",
         fix="Configure 'smtp_host' and 'email_from', and remove the Outbox."),
    Rule(id="mail-from-reserved", severity=WARNING, title="Mail is sent from a reserved domain",
         check=_reserved_sender,
         why="Mail servers refuse it, and no one can reply.",
         fix="Set CROSSAUTH_EMAIL_FROM to an address of your own domain."),
    Rule(id="mail-plain", severity=WARNING, title="Mail is handed over without encryption",
         check=_plain_mail,
         why="Reset links and codes can be read on the way to the mail server.",
         fix="Set CROSSAUTH_SMTP_SECURITY to starttls or tls."),
    Rule(id="api-keys-endless", severity=WARNING, title="API keys never expire",
         check=_endless_api_keys,
         why="A key that leaked years ago still works.",
         fix="Set CROSSAUTH_APIKEY_EXPIRY, in seconds; the default is 90 days."),
    Rule(id="encryption-key-shared", severity=INFO, title="Second factors are encrypted with the secret of cookies",
         check=_one_key,
         why="Replacing 'secret' would make every second factor unreadable, so it cannot be rotated.",
         fix="Set CROSSAUTH_ENCRYPTION_KEYS: a new key first, then the present secret."),
)
# fmt: on
