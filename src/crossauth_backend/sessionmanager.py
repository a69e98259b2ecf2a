"""Door: sessions and accounts as one object, under the names of the documented `SessionManager`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, TypedDict

from crossauth_backend.accounts import login, password, profile, signup
from crossauth_backend.accounts.context import Accounts
from crossauth_backend.accounts.stages import Attempt
from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import option, read_options
from crossauth_backend.factors.base import Authenticator, Params
from crossauth_backend.factors.registry import NO_FACTOR2, Factors
from crossauth_backend.keys.record import KeyDataEntry, decode_data
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessions.cookie import Cookie
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken, DoubleSubmitCsrfTokenOptions
from crossauth_backend.sessions.manager import SessionCookie, SessionCookieOptions, UserAndKey
from crossauth_backend.users.record import User, UserId
from crossauth_backend.users.storage import UserStorage


class SessionManagerOptions(TypedDict, total=False):
    """Options of `SessionManager`."""

    user_storage: UserStorage
    session_cookie_options: SessionCookieOptions
    double_submit_cookie_options: DoubleSubmitCsrfTokenOptions
    secret: str
    site_url: str
    email_token_storage: KeyStorage
    enable_email_verification: bool
    enable_password_reset: bool
    allowed_factor2: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionManagerSettings:
    """`SessionManagerOptions`, parsed."""

    user_storage: UserStorage | None = option(
        None, doc="Where users are; without one there are anonymous sessions only."
    )
    session_cookie_options: dict[str, Any] = option({}, doc="Options of the session cookie, see there.")
    double_submit_cookie_options: dict[str, Any] = option({}, doc="Options of the CSRF cookie, see there.")
    secret: str | None = option(
        None, env="SECRET", doc="Signs the session and CSRF cookies; at least 32 characters. Required."
    )
    site_url: str | None = option(
        None,
        names=("siteUrl",),
        env="SITE_URL",
        doc="Where browsers find the site, such as `https://example.com`.",
    )
    email_token_storage: KeyStorage | None = option(
        None, doc="Where e-mail tokens are kept.", shown="the session key storage"
    )
    enable_email_verification: bool = option(
        False,
        env="ENABLE_EMAIL_VERIFICATION",
        doc="Whether e-mail addresses must be proven. Not available in this version.",
    )
    enable_password_reset: bool = option(
        False,
        env="ENABLE_PASSWORD_RESET",
        doc="Whether passwords can be reset by e-mail. Not available in this version.",
    )
    allowed_factor2: list[str] = option(
        [],
        env="ALLOWED_FACTOR2",
        doc="Authenticators that may be second factors. Not available in this version.",
    )


class Csrf(NamedTuple):
    """A new CSRF token: its cookie and its masked value."""

    csrf_cookie: Cookie
    csrf_form_or_header_value: str


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What a login hands out."""

    session_cookie: Cookie | None = None
    csrf_cookie: Cookie | None = None
    csrf_form_or_header_value: str | None = field(default=None, repr=False)
    user: User | None = None
    secrets: Any = field(default=None, repr=False)


class SessionManager:
    """Signs users in and out and keeps their sessions.

    Parameters:
        key_storage: where sessions are kept.
        authenticators: factors by name.
        options: see `SessionManagerOptions`.
        clock: what time it is.

    Raises:
        CrossauthError: `Configuration`, saying what to change; `NotImplemented` for options of parts not built yet.
    """

    def __init__(
        self,
        key_storage: KeyStorage,
        authenticators: Mapping[str, Authenticator],
        options: SessionManagerOptions | Mapping[str, Any] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = read_options(SessionManagerSettings, options or {}, component="SessionManager")
        _refuse_what_is_not_built(self.settings)
        common = {"secret": self.settings.secret}
        self.csrf_tokens = DoubleSubmitCsrfToken({**common, **self.settings.double_submit_cookie_options})
        cookie = {"user_storage": self.settings.user_storage, **self.settings.session_cookie_options}
        self.session = SessionCookie(key_storage, {**common, **cookie}, clock)
        self.key_storage = key_storage
        self.email_token_storage = self.settings.email_token_storage or key_storage
        self.user_storage = self.settings.user_storage
        self.authenticators = dict(authenticators)
        self.factors = Factors(authenticators)
        self.allowed_factor2 = [f or NO_FACTOR2 for f in self.settings.allowed_factor2] or [NO_FACTOR2]

    def accounts(self) -> Accounts:
        """What the account services work with.

        Raises:
            CrossauthError: `Configuration` without a user storage.
        """
        if self.user_storage is None:
            raise CrossauthError(ErrorCode.Configuration, "SessionManager: option 'user_storage' is required for this")
        return Accounts(users=self.user_storage, sessions=self.session, factors=self.factors)

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

    async def login(
        self,
        username: str,
        params: Params,
        extra_fields: Mapping[str, Any] | None = None,
        persist: bool | None = None,
        user: User | None = None,
        bypass_2fa: bool = False,
    ) -> SessionTokens:
        """Check the first factor (unless `user` is given: proven already) and open a session.

        Raises:
            CrossauthError: `UsernameOrPasswordInvalid`, or the reason for which the account's state refuses.
        """
        accounts = self.accounts()
        user = user or await login.check_credentials(accounts, username, params)
        result = await login.sign_in(accounts, Attempt(user, bypass_2fa), extra_fields=extra_fields)
        csrf = self.create_csrf_token()
        return SessionTokens(self.session.make_cookie(result.session, persist), *csrf, user=result.user)

    async def create_anonymous_session(self, extra_fields: Mapping[str, Any] | None = None) -> SessionTokens:
        """Open a session of nobody; `data` among `extra_fields` is the JSON text it begins with."""
        fields = dict(extra_fields or {})
        key = await self.session.create_session_key(None, fields, decode_data(fields.pop("data", None)))
        return SessionTokens(self.session.make_cookie(key, False), *self.create_csrf_token())

    async def logout(self, session_id: str) -> None:
        """End one session."""
        await self.session.delete_session(session_id)

    async def logout_from_all(self, userid: UserId, except_id: str | None = None) -> None:
        """End every session of a user but the one with the id `except_id`."""
        await self.session.delete_all_for_user(userid, except_id)

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

    def create_csrf_token(self) -> Csrf:
        """A new CSRF token."""
        token = self.csrf_tokens.create_csrf_token()
        return Csrf(self.csrf_tokens.make_csrf_cookie(token), self.csrf_tokens.mask_csrf_token(token))

    def create_csrf_form_or_header_value(self, csrf_cookie_value: str) -> str:
        """The token in a CSRF cookie, masked for a form or header; `InvalidCsrf` where the cookie is not ours."""
        return self.csrf_tokens.mask_csrf_token(self.csrf_tokens.unsign_cookie(csrf_cookie_value))

    def get_session_id(self, session_cookie_value: str) -> str:
        """The session id in a cookie; `InvalidSession` where the cookie is not ours."""
        return self.session.unsign_cookie(session_cookie_value)

    def validate_double_submit_csrf_token(self, csrf_cookie_value: str, csrf_form_or_header_value: str) -> None:
        """Raise `InvalidCsrf` unless cookie and form field (or header) hold the same token."""
        self.csrf_tokens.validate_double_submit_csrf_token(csrf_cookie_value, csrf_form_or_header_value)

    def validate_csrf_cookie(self, csrf_cookie_value: str) -> None:
        """Raise `InvalidCsrf` unless the cookie is ours."""
        self.csrf_tokens.validate_csrf_cookie(csrf_cookie_value)

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

    async def create_user(
        self, user: Mapping[str, Any], params: Params, repeat_params: Params | None = None,
        skip_email_verification: bool = False, empty_password: bool = False,
    ) -> User:  # fmt: skip
        """Create a user; see `accounts.signup.sign_up`."""
        if empty_password:
            _not_built("SessionManager.create_user(empty_password=True)")
        return await signup.sign_up(self.accounts(), user, params, repeat_params)

    async def delete_user_by_username(self, username: str) -> None:
        """Delete a user, the secrets and every session."""
        users = self.accounts().users
        found = await users.get_user_by_username(
            username, {"skip_active_check": True, "skip_email_verified_check": True}
        )
        await profile.delete_account(self.accounts(), found.user.id)

    async def change_secrets(
        self, username: str, factor_number: int, new_params: Params,
        repeat_params: Params | None = None, old_params: Params | None = None,
    ) -> User:  # fmt: skip
        """Replace the secrets of the first factor and end every session; see `accounts.password.change_password`."""
        if factor_number != 1:
            _not_built("SessionManager.change_secrets(factor_number=2)")
        return await password.change_password(self.accounts(), username, old_params or {}, new_params, repeat_params)

    async def update_user(
        self, current_user: User, new_user: User | Mapping[str, Any],
        skip_email_verification: bool = False, as_admin: bool = False,
    ) -> User:  # fmt: skip
        """Store what `new_user` changes; see `accounts.profile.update_profile`."""
        return await profile.update_profile(self.accounts(), current_user, new_user)


def _not_built(what: str) -> NoReturn:
    raise CrossauthError(ErrorCode.NotImplemented, f"{what} is not available in this version")


def _refuse_what_is_not_built(settings: SessionManagerSettings) -> None:
    if settings.enable_email_verification:
        _not_built("Option 'enable_email_verification'")
    if settings.enable_password_reset:
        _not_built("Option 'enable_password_reset'")
    if any(f not in ("", NO_FACTOR2) for f in settings.allowed_factor2):
        _not_built("Option 'allowed_factor2'")
