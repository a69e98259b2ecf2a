"""The half of the documented `SessionManager` that is about sessions, and how its parts are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from crossauth_backend.accounts.changes import end_address_changes
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.fit import check_factors, check_storages, check_way_in
from crossauth_backend.accounts.freshness import session_demand
from crossauth_backend.accounts.login_names import LoginBy
from crossauth_backend.accounts.purge import SignupPurger
from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import MAX_SECONDS, option, read_options
from crossauth_backend.core.periodic import Periodic
from crossauth_backend.core.secretoption import check_secret
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.delivery.mailer import Failure
from crossauth_backend.delivery.options import make_mailer
from crossauth_backend.delivery.queue import DeliveryQueue
from crossauth_backend.delivery.waiting import InKeys
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.email_tokens.options import TokenEmailerOptions, TokenEmailerSettings, mail_brand
from crossauth_backend.events.audit import AuditListener, AuditStorage, SupportsAuditPurge
from crossauth_backend.events.listeners import Events, LoggingListener
from crossauth_backend.events.record import EventListener, EventName
from crossauth_backend.factors.base import Authenticator
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.factors.services import FactorServices
from crossauth_backend.keys.data import KeyDataEntry, decode_data
from crossauth_backend.keys.purge import Purger
from crossauth_backend.keys.storage import KeyStorage, SupportsCounting, SupportsLifecycle, can_swap
from crossauth_backend.limits.manager import AttemptLimits
from crossauth_backend.limits.rules import Limit
from crossauth_backend.sessions.claim import Claims
from crossauth_backend.sessions.cookie import Cookie
from crossauth_backend.sessions.csrf import Csrf, DoubleSubmitCsrfToken
from crossauth_backend.sessions.device import KnownDevices
from crossauth_backend.sessions.manager import SessionCookie, UserAndKey
from crossauth_backend.sessions.options import (
    DoubleSubmitCsrfTokenOptions,
    KnownDeviceCookieOptions,
    SessionCookieOptions,
)
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.storage import UserStorage


class SessionManagerOptions(TokenEmailerOptions, total=False):
    """Options of `SessionManager`."""

    user_storage: UserStorage
    session_cookie_options: SessionCookieOptions
    double_submit_cookie_options: DoubleSubmitCsrfTokenOptions
    secret: str
    email_token_storage: KeyStorage
    enable_email_verification: bool
    enable_password_reset: bool
    allowed_factor2: list[str]
    factor2_required_fn: Callable[[User], bool]
    login_by: LoginBy
    encryption_keys: list[str]
    attempt_limits: Mapping[str, Limit | tuple[int, int] | None]
    event_listeners: list[EventListener]
    audit_storage: AuditStorage
    audit_retention_days: int
    before_delete_user: Callable[[User], Any]
    known_device_cookie_options: KnownDeviceCookieOptions
    session_max_per_user: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionManagerSettings(TokenEmailerSettings):
    """`SessionManagerOptions`, parsed."""

    user_storage: UserStorage | None = option(
        None, doc="Where users are; without one there are anonymous sessions only."
    )
    session_cookie_options: dict[str, Any] = option({}, doc="Options of the session cookie, see there.")
    double_submit_cookie_options: dict[str, Any] = option({}, doc="Options of the CSRF cookie, see there.")
    secret: str | None = option(
        None, env="SECRET", doc="Signs the session and CSRF cookies; at least 32 characters. Required."
    )
    email_token_storage: KeyStorage | None = option(
        None, doc="Where email tokens are stored.", shown="the session key storage"
    )
    enable_email_verification: bool = option(
        False, env="ENABLE_EMAIL_VERIFICATION", doc="Whether email addresses must be verified."
    )
    enable_password_reset: bool = option(
        False, env="ENABLE_PASSWORD_RESET", doc="Whether passwords can be reset by email."
    )
    allowed_factor2: list[str] = option([], env="ALLOWED_FACTOR2", doc="Authenticators that may be second factors.")
    factor2_required_fn: Callable[[User], bool] | None = option(
        None,
        needs="allowed_factor2",
        doc="`(user)`, plain: whether this user has to have a second factor, which is then set up at the next login.",
    )
    login_by: LoginBy = option(
        "username",
        env="LOGIN_BY",
        doc="What users log in with, in the field `username`. An email address counts where one account has it, and, with "
        '`enable_email_verification`, has verified it. With "email" a sign-up needs no username: the address is the username.',
    )
    encryption_keys: list[str] = option(
        [],
        env="ENCRYPTION_KEYS",
        doc="Encrypt what is stored of second factors, each at least 32 characters. The first encrypts, all decrypt: put a "
        "new one in front to rotate.",
        shown="made from `secret`",
    )
    attempt_limits: dict[str, Any] = option(
        {},
        env="ATTEMPT_LIMITS",
        doc="Changes to the limits of attempts: `{name: (attempts, seconds)}`, or `None` to switch one off.",
    )
    event_listeners: list[EventListener] = option(
        [], kind="list of objects with a method `on_event`", doc="Told of every security event, see `EventListener`."
    )
    audit_storage: AuditStorage | None = option(None, doc="Keeps every security event: an `AuditStorage`.")
    audit_retention_days: int = option(
        365,
        at_least=0,
        at_most=MAX_SECONDS // 86400,
        needs="audit_storage",
        env="AUDIT_RETENTION_DAYS",
        doc="Days after which events are deleted from `audit_storage`; 0 to keep them for ever.",
    )
    before_delete_user: Callable[..., Any] | None = option(
        None,
        doc="`(user)`: called before an account is deleted, to clear away what refers to it. What it raises keeps the account.",
    )
    known_device_cookie_options: dict[str, Any] = option({}, doc="Options of the cookie of known devices, see there.")
    session_max_per_user: int = option(
        50,
        at_least=0,
        at_most=1_000_000,
        env="SESSION_MAX_PER_USER",
        doc="How many sessions a user may have at once; beyond that the oldest end. Looked at now and then, so that "
        "each worker may let up to a quarter more live for a while. 0 for any number.",
    )


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a login hands out."""

    session_cookie: Cookie | None = None
    csrf_cookie: Cookie | None = None
    csrf_form_or_header_value: str | None = field(default=None, repr=False)
    user: User | None = None
    secrets: Any = field(default=None, repr=False)


class SessionManagerBase:
    """Signs users in and out and keeps their sessions.

    Parameters:
        key_storage: where sessions are kept.
        authenticators: factors by name.
        options: see `SessionManagerOptions`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, saying what to change.
    """

    def __init__(
        self,
        key_storage: KeyStorage,
        authenticators: Mapping[str, Authenticator],
        options: SessionManagerOptions | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = read_options(SessionManagerSettings, options or {}, component="SessionManager")
        common = {"secret": self.settings.secret}
        # What these read they check themselves.
        csrf: Any = {**common, **self.settings.double_submit_cookie_options}
        self.csrf_tokens = DoubleSubmitCsrfToken(csrf)
        cookie: Any = {**common, "user_storage": self.settings.user_storage, **self.settings.session_cookie_options}
        self.session = SessionCookie(key_storage, cookie, clock, self.settings.session_max_per_user)
        # Where the session cookie travels over plain http by name, so does this one.
        secure = {"secure": self.settings.session_cookie_options.get("secure")}
        device: Any = {**secure, **self.settings.known_device_cookie_options}
        self.devices = KnownDevices(device, self.settings.secret)
        self.claims = Claims(self.session.settings, check_secret(self.settings.secret, "SessionManager"))
        self.key_storage = key_storage
        self.email_token_storage = self.settings.email_token_storage or key_storage
        self.user_storage = self.settings.user_storage
        self.authenticators = dict(authenticators)
        self.factors = Factors(authenticators)
        self.allowed_factor2 = [f or NO_FACTOR2 for f in self.settings.allowed_factor2] or [NO_FACTOR2]
        self.session.user_refusal = session_demand(
            self.settings.factor2_required_fn,
            NO_FACTOR2 in self.allowed_factor2,
            lambda u: self.accounts().needs_factor2(u),
        )
        self.validate_user: Callable[[Mapping[str, Any]], Any] = default_user_validator
        """What users are checked by before they are stored: the option `validate_user_fn` of the session server."""
        self.identities: list[IdentityStorage] = []
        """Where accounts of the users at providers are kept, by whichever servers."""
        self.ring = KeyRing(encryption_keys(self.settings), "stored secrets")
        self.audit = AuditListener(self.settings.audit_storage) if self.settings.audit_storage is not None else None
        listeners = [LoggingListener(), *self.settings.event_listeners, *([self.audit] if self.audit else [])]
        self.events = Events(listeners, self.session.now)
        messages = KeyRing(encryption_keys(self.settings), "messages that wait")
        room = InKeys(self.email_token_storage, messages) if can_swap(self.email_token_storage) else None
        self.queue = DeliveryQueue(self._mail_failed, waiting=room, clock=self.session.now)
        can_count = isinstance(key_storage, SupportsCounting) or self.user_storage is not None
        self.limits = AttemptLimits(key_storage, self.settings.attempt_limits, self.session.now) if can_count else None
        self.emails: TokenEmailer | None = None
        if self.user_storage is not None and self.limits is not None:
            self._put_accounts_together(self.user_storage, self.limits)

    def _put_accounts_together(self, users: UserStorage, limits: AttemptLimits) -> None:
        settings = self.settings
        offered = [f for name, f in self.authenticators.items() if name in self.allowed_factor2]
        check_storages(users, (self.key_storage, self.email_token_storage), settings, offered)
        if NO_FACTOR2 not in self.allowed_factor2 or settings.factor2_required_fn is not None:
            check_way_in(users, offered, "factor2_required_fn" if settings.factor2_required_fn else "allowed_factor2")
        for storage in (users, self.session.user_storage):
            if storage is not None:
                storage.add_credentials(self.factors.user_fields())
        if settings.enable_email_verification or settings.enable_password_reset:
            self.emails = TokenEmailer(
                users,
                self.email_token_storage,
                settings,
                self.queue,
                self.session.now,
                limits.mail_counter(self.events),
            )
        services = FactorServices(
            key_storage=self.key_storage, user_storage=users, ring=self.ring, queue=self.queue,
            mailer=self.emails.mailer if self.emails else make_mailer(settings, "SessionManager"), clock=self.session.now,
            brand=mail_brand(settings, "SessionManager"),
        )  # fmt: skip
        for factor in self.authenticators.values():
            factor.attach(services)
        check_factors(users, self.authenticators.values(), offered)
        self.factors.require(self.allowed_factor2, "SessionManager: option 'allowed_factor2'")

    def _mail_failed(self, reason: Failure) -> None:
        self.events.emit(EventName.mail_failed, reason=reason)

    def accounts(self) -> Accounts:
        """What the account services work with.

        Raises:
            CrossauthError: `Configuration` without a user storage.
        """
        if self.user_storage is None or self.limits is None:
            raise CrossauthError(ErrorCode.Configuration, "SessionManager: option 'user_storage' is required for this")
        return Accounts(
            users=self.user_storage, sessions=self.session, factors=self.factors, limits=self.limits,
            events=self.events, ring=self.ring, emails=self.emails, email_tokens=self.email_token_storage,
            verify_email=self.settings.enable_email_verification, reset_password=self.settings.enable_password_reset,
            allowed_factor2=tuple(f for f in self.allowed_factor2 if f != NO_FACTOR2),
            factor2_optional=NO_FACTOR2 in self.allowed_factor2, factor2_required=self.settings.factor2_required_fn,
            validate_user=self.validate_user, before_delete_user=self.settings.before_delete_user,
            normalize_username=self.user_storage.normalize_username, identities=self.identities,
            login_by=self.settings.login_by,
        )  # fmt: skip

    def parts(self) -> list[SupportsLifecycle]:
        """What is to be started with the application, and closed with it in the opposite order."""
        email, audit = self.email_token_storage, self.settings.audit_storage
        found: list[object] = [self.user_storage, self.key_storage, email, audit]
        parts = [part for part in found if isinstance(part, SupportsLifecycle)]
        purgers: list[SupportsLifecycle] = [
            Purger(storage, self.session.now) for storage in dict.fromkeys((self.key_storage, self.email_token_storage))
        ]
        if self.settings.audit_retention_days and isinstance(self.settings.audit_storage, SupportsAuditPurge):
            purgers.append(Periodic(self._purge_audit, "events that were deleted, for they are old"))
        if self.user_storage is not None:
            purgers.append(SignupPurger(self.accounts))
        return [*parts, *purgers, self.session.last_use, *([self.audit] if self.audit else []), self.queue]

    async def _purge_audit(self) -> int:
        storage = self.settings.audit_storage
        assert isinstance(storage, SupportsAuditPurge), "it is called for no other"
        return await storage.purge_before(self.session.now() - timedelta(days=self.settings.audit_retention_days))

    @property
    def session_cookie_name(self) -> str:
        """Name of the session cookie on https."""
        return self.session.cookie_name

    @property
    def session_cookie_path(self) -> str:
        """Path of the session cookie."""
        return self.session.path

    @property
    def csrf_cookie_name(self) -> str:
        """Name of the CSRF cookie on https."""
        return self.csrf_tokens.cookie_name

    @property
    def csrf_cookie_path(self) -> str:
        """Path of the CSRF cookie."""
        return self.csrf_tokens.path

    @property
    def csrf_header_name(self) -> str:
        """Header that carries the CSRF token."""
        return self.csrf_tokens.header_name

    async def create_anonymous_session(self, extra_fields: Mapping[str, Any] | None = None) -> SessionTokens:
        """Open a session of nobody; `data` among `extra_fields` is the JSON text it begins with."""
        fields = dict(extra_fields or {})
        key = await self.session.create_session_key(None, fields, decode_data(fields.pop("data", None)))
        return SessionTokens(self.session.make_cookie(key, False), *self.create_csrf_token(key.value))

    async def logout(self, session_id: str) -> None:
        """End one session."""
        await self.session.delete_session(session_id)

    async def logout_from_all(self, userid: UserId, except_id: str | None = None) -> None:
        """End every session of a user but the one with the id `except_id`, and what was asked for in one and waits."""
        await self.session.delete_all_for_user(userid, except_id)
        await end_address_changes(self.accounts(), userid)

    async def delete_session(self, session_id: str) -> None:
        """End one session."""
        await self.session.delete_session(session_id)

    async def user_for_session_id(self, session_id: str) -> UserAndKey:
        """User and key of a session; raises where it is not good."""
        return await self.session.get_user_for_session_id(session_id)

    async def data_string_for_session_id(self, session_id: str) -> str | None:
        """The session data as JSON text."""
        return (await self.session.get_session_key(session_id)).data or None

    async def data_for_session_id(self, session_id: str) -> dict[str, Any] | None:
        """The session data."""
        return decode_data(await self.data_string_for_session_id(session_id)) or None

    def create_csrf_token(self, session_id: str | None = None) -> Csrf:
        """A new CSRF token for a session; without `session_id`, for requests that have no session."""
        token = self.csrf_tokens.create_csrf_token()
        cookie = self.csrf_tokens.make_csrf_cookie(token, session_id=session_id)
        return Csrf(cookie, self.csrf_tokens.mask_csrf_token(token))

    def create_csrf_form_or_header_value(self, csrf_cookie_value: str, session_id: str | None = None) -> str:
        """The token in a CSRF cookie, masked for a form or header.

        Raises:
            CrossauthError: `InvalidCsrf` where the cookie is not ours, or not of the session `session_id`.
        """
        return self.csrf_tokens.mask_csrf_token(self.csrf_tokens.unsign_cookie(csrf_cookie_value, session_id))

    def get_session_id(self, session_cookie_value: str) -> str:
        """The session id in a cookie; `InvalidSession` where the cookie is not ours."""
        return self.session.unsign_cookie(session_cookie_value)

    def validate_double_submit_csrf_token(
        self, csrf_cookie_value: str, csrf_form_or_header_value: str, session_id: str | None = None
    ) -> None:
        """Raise `InvalidCsrf` unless cookie and form field (or header) hold the same token of the session `session_id`."""
        self.csrf_tokens.validate_double_submit_csrf_token(csrf_cookie_value, csrf_form_or_header_value, session_id)

    def validate_csrf_cookie(self, csrf_cookie_value: str, session_id: str | None = None) -> None:
        """Raise `InvalidCsrf` unless the cookie is ours, and of the session `session_id`."""
        self.csrf_tokens.validate_csrf_cookie(csrf_cookie_value, session_id)

    async def update_session_activity(self, session_id: str) -> None:
        """Write the time of the session's last use."""
        await self.session.update_session_key({"value": session_id, "lastactive": self.session.clock()})

    async def update_session_data(self, session_id: str, name: str, value: Any) -> None:
        """Set one entry of the session data; dots in `name` address nested objects."""
        await self.key_storage.update_data(self.session.hash_session_id(session_id), name, value)

    async def update_many_session_data(self, session_id: str, data_array: list[KeyDataEntry]) -> None:
        """Change several entries of the session data, all or none."""
        await self.key_storage.update_many_data(self.session.hash_session_id(session_id), data_array)

    async def delete_session_data(self, session_id: str, name: str) -> None:
        """Remove one entry of the session data."""
        await self.key_storage.delete_data(self.session.hash_session_id(session_id), name)


def encryption_keys(settings: SessionManagerSettings) -> list[str]:
    """What encrypts stored secrets, newest first.

    Raises:
        CrossauthError: `Configuration` for a key that is too short.
    """
    for number, key in enumerate(settings.encryption_keys):
        check_secret(key, f"SessionManager: option 'encryption_keys'[{number}]")
    return settings.encryption_keys or [check_secret(settings.secret, "SessionManager")]
