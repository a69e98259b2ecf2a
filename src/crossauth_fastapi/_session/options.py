"""The options of the session server: the documented shape, and the table it is parsed by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request

from crossauth_backend.core.options import MAX_SECONDS, option
from crossauth_backend.keys.record import Key
from crossauth_backend.sessionmanager import SessionManagerOptions, SessionManagerSettings
from crossauth_backend.sessions.options import KnownDeviceCookieOptions
from crossauth_backend.users.record import User, UserInputFields
from crossauth_backend.users.rules import default_is_admin_fn, default_user_validator
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._pages.options import BrandOptions, BrandSettings
from crossauth_fastapi._session.forms import default_create_user, default_update_user

ExtraColumns = Mapping[str, str | int | float | datetime | None]


class FastApiSessionServerOptions(SessionManagerOptions, BrandOptions, total=False):
    """Options of `FastApiSessionServer`; the reference page in the docs says what each does."""

    add_to_session: Callable[[Request], ExtraColumns]
    admin_allowed_factor1: list[str]
    admin_create_client_page: str
    admin_create_user_page: str
    admin_prefix: str
    admin_change_password_page: str
    admin_select_user_page: str
    admin_update_user_page: str
    audit_page: str
    change_factor2_page: str
    change_password_page: str
    client_serach_dn: Callable[..., Any]
    client_search_fn: Callable[..., Any]
    configure_factor2_page: str
    create_user_fn: Callable[[Request, dict[str, Any], list[str], list[str]], UserInputFields]
    delete_client_page: str
    delete_user_page: str
    edit_user_scope: str
    email_verified_page: str
    verify_email_page: str
    request_email_verification_page: str
    enable_admin_endpoints: bool
    enable_known_devices: bool
    enable_oauth_client_management: bool
    endpoints: list[str]
    error_page: str
    factor2_in_signup_form: bool
    factor2_page: str
    factor2_protected_api_endpoints: list[str]
    factor2_protected_page_endpoints: list[str]
    is_admin_fn: Callable[[User], bool | Awaitable[bool]]
    known_device_cookie_options: KnownDeviceCookieOptions
    login_page: str
    login_redirect: str
    logout_page: str
    logout_redirect: str
    outbox_page: str
    reauthentication_seconds: int | None
    recovery_codes_page: str
    request_reset_password_page: str
    request_password_reset_page: str
    reset_password_page: str
    signup_page: str
    sessions_page: str
    siteUrl: str
    template_dir: str
    languages: list[str]
    locale_dir: str
    translate_json: bool
    trusted_proxies: list[str]
    update_user_fn: Callable[[User, Request, dict[str, Any], list[str]], User]
    update_user_page: str
    user_allowed_factor1: list[str]
    user_search_fn: Callable[[str, UserStorage], list[User]]
    validate_session: Callable[[Key, User | None, Request], None]
    validate_user_fn: Callable[[UserInputFields], list[str]]


def _protected(json: bool) -> Callable[[], str]:
    def names() -> str:
        # Said by the actions, which are above the options.
        from crossauth_fastapi._session.stepup import protected_names

        return ", ".join(protected_names(json))

    return names


def _page(default: str, env: str, what: str) -> Any:
    return option(default, env=env, doc=f"Template of {what}.")


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServerSettings(SessionManagerSettings, BrandSettings):
    """`FastApiSessionServerOptions`, parsed."""

    admin_prefix: str = option("/admin/", env="ADMIN_PREFIX", doc="Goes before every URL for administrators.")
    endpoints: list[str] | None = option(None, env="SESSION_ENDPOINTS", other_envs=("ENDPOINTS",), doc='Which endpoints to create: names, "all" or "allMinusOAuth".', shown="sign-up and sessions")
    template_dir: str = option("templates", env="TEMPLATE_DIR", doc="Folder with the application's own templates; what is not in it comes with the package.")
    languages: list[str] | None = option(None, not_empty=True, env="LANGUAGES", doc="Languages of pages and mails, as tags: `de`, `en` and `fr` come with the package, `locale_dir` adds others. The first is the default; with several, the header `Accept-Language` of a request chooses.", shown="en")
    locale_dir: str | None = option(None, not_empty=True, env="LOCALE_DIR", doc="Folder with the application's own translations, `{language}/LC_MESSAGES/crossauth.mo`. They replace those that come with the package, text by text.")
    translate_json: bool = option(False, env="TRANSLATE_JSON", doc="Whether texts in JSON are in the language of the request too. Clients should rely on `errorCodeName`, which never changes.")
    error_page: str = _page("error.jinja2", "ERROR_PAGE", "error messages")
    login_page: str = _page("login.njk", "LOGIN_PAGE", "the login page")
    logout_page: str = _page("logout.njk", "LOGOUT_PAGE", "the page that asks before logging out")
    signup_page: str = _page("signup.njk", "SIGNUP_PAGE", "the sign-up page")
    change_password_page: str = _page("changepassword.njk", "CHANGE_PASSWORD_PAGE", "the page to change a password")
    update_user_page: str = _page("updateuser.njk", "UPDATE_USER_PAGE", "the page to change a profile")
    delete_user_page: str = _page("deleteuser.njk", "DELETE_USER_PAGE", "the page to delete an account")
    factor2_page: str = _page("factor2.njk", "FACTOR2_PAGE", "the page that asks for the second factor")
    configure_factor2_page: str = _page("configurefactor2.njk", "SIGNUP_FACTOR2_PAGE", "the page to set up a second factor")
    change_factor2_page: str = _page("changefactor2.njk", "CHANGE_FACTOR2_PAGE", "the page to change the second factor")
    request_reset_password_page: str = option("requestpasswordreset.njk", names=("request_password_reset_page",), env="REQUEST_PASSWORD_RESET_PAGE", doc="Template of the page to ask for a password reset.")
    reset_password_page: str = _page("resetpassword.njk", "RESET_PASSWORD_PAGE", "the page to reset a password")
    email_verified_page: str = _page("emailverified.njk", "EMAIL_VERIFIED_PAGE", "the page after an email address was verified")
    verify_email_page: str = _page("verifyemail.njk", "VERIFY_EMAIL_PAGE", "the page that a link to verify an email address opens")
    request_email_verification_page: str = _page("requestemailverification.njk", "REQUEST_EMAIL_VERIFICATION_PAGE", "the page to ask for a new link to verify an email address")
    admin_create_user_page: str = _page("admin/createuser.njk", "ADMIN_CREATE_USER_PAGE", "the page to create a user")
    admin_select_user_page: str = _page("admin/selectuser.njk", "ADMIN_SELECT_USER_PAGE", "the page to find a user")
    admin_update_user_page: str = _page("admin/updateuser.njk", "ADMIN_UPDATE_USER_PAGE", "the page to change a user")
    admin_change_password_page: str = _page("admin/changepassword.njk", "ADMIN_CHANGE_PASSWORD_PAGE", "the page to give a user a password")
    audit_page: str = _page("admin/audit.njk", "AUDIT_PAGE", "the page of security events")
    sessions_page: str = _page("sessions.njk", "SESSIONS_PAGE", "the page of one's sessions")
    recovery_codes_page: str = _page("recoverycodes.njk", "RECOVERY_CODES_PAGE", "the page of recovery codes")
    outbox_page: str = _page("outbox.njk", "OUTBOX_PAGE", "the page of mail in development")
    admin_create_client_page: str = option("createclient.njk", planned=True, env="CREATE_CLIENT_PAGE", doc="Template of the page to create an OAuth client. Refused: not available in this version.")
    delete_client_page: str = option("deleteclient.njk", planned=True, env="DELETE_CLIENT_PAGE", doc="Template of the page to delete an OAuth client. Refused: not available in this version.")
    login_redirect: str = option("/", not_empty=True, env="LOGIN_REDIRECT", doc="Where to go after logging in: a path from the application's own root, or a URL.")
    logout_redirect: str = option("/", not_empty=True, env="LOGOUT_REDIRECT", doc="Where to go after logging out: a path from the application's own root, or a URL.")
    user_allowed_factor1: list[str] = option(["localpassword"], not_empty=True, env="USER_ALLOWED_FACTOR1", doc="First factors that users may choose at sign-up.")
    admin_allowed_factor1: list[str] = option(["localpassword"], not_empty=True, env="ADMIN_ALLOWED_FACTOR1", doc="First factors that administrators may choose for new users.")
    enable_admin_endpoints: bool = option(False, env="ENABLE_ADMIN_ENDPOINTS", doc="Whether administrators have endpoints to manage users.")
    enable_oauth_client_management: bool = option(False, env="ENABLE_OAUTH_CLIENT_MANAGEMENT", doc="Endpoints for OAuth clients. Refused, unless `endpoints` names which there are: not available in this version.")
    edit_user_scope: str | None = option(None, env="EDIT_USER_SCOPE", doc="Scope of a token that lets its user edit the account without a session cookie. API keys have scopes.")
    is_admin_fn: Callable[[User], bool | Awaitable[bool]] = option(default_is_admin_fn, doc="Whether a user is an administrator.", shown="the user's `admin` field")
    create_user_fn: Callable[..., Any] = option(default_create_user, doc="Makes a user from a sign-up form: `(request, body, user_editable_fields, allowable_factor1)`.", shown="default_create_user")
    update_user_fn: Callable[..., Any] = option(default_update_user, doc="Makes the changed user from a form: `(user, request, body, user_editable_fields)`. `user` cannot be changed itself: return `{**user, \"nickname\": \"Al\"}`, or a replaced record.", shown="default_update_user")
    validate_user_fn: Callable[..., Any] = option(default_user_validator, doc="What is wrong with a user, as a list of texts; `None` or an empty list where nothing is. Any other answer refuses.", shown="default_user_validator")
    add_to_session: Callable[..., Any] | None = option(None, doc="`(request)`: further columns for every new session.")
    validate_session: Callable[..., Any] | None = option(None, doc="`(key, user, request)`: raises where a session must not be accepted.")
    user_search_fn: Callable[..., Any] | None = option(None, doc="`(search, user_storage)`: finds users for administrators.", shown="exact username or email address")
    client_serach_dn: Callable[..., Any] | None = option(None, names=("client_search_fn",), planned=True, doc="Finds OAuth clients for administrators. Refused: not available in this version.")
    factor2_protected_page_endpoints: list[str] | None = option(None, env="FACTOR2_PROTECTED_PAGE_ENDPOINTS", doc="Paths of pages that ask for the second factor again, of users who have one: from the root of the application, with parameters (`/transfer/{id}`) and, where only one method is meant, the method (`POST /pay`). Built-in pages ask when their form is sent. A path of no route stops the start; one that only fits behind `prefix` is taken so.", shown=_protected(json=False))
    factor2_protected_api_endpoints: list[str] | None = option(None, env="FACTOR2_PROTECTED_API_ENDPOINTS", doc="The same for JSON endpoints.", shown=_protected(json=True))
    factor2_in_signup_form: bool = option(False, needs="allowed_factor2", env="FACTOR2_IN_SIGNUP_FORM", doc="Whether the sign-up form lets new users choose a second factor. Without it they are offered one after they have logged in. It is asked for at sign-up in any case where `allowed_factor2` does not begin with \"none\".")
    enable_known_devices: bool = option(False, needs="allowed_factor2", env="ENABLE_KNOWN_DEVICES", doc="Whether a browser in which the second factor was given is not asked for it again by those.")
    reauthentication_seconds: int | None = option(3600, none=True, at_least=0, at_most=MAX_SECONDS, env="REAUTHENTICATION_SECONDS", doc="Seconds after a login in which a user without a second factor may change the email address or username, set up or remove a second factor, delete the account or administer users; later the password is asked for again. 0 asks always, `None` never.")
    trusted_proxies: list[str] = option([], env="TRUSTED_PROXIES", doc="Addresses or networks of proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are believed.")

    # fmt: on
    def page(self, option_name: str) -> str:
        """The template that an option names."""
        name: str = getattr(self, option_name)
        return name
