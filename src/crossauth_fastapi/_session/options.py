"""The options of the session server: the documented shape, and the table it is parsed by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request

from crossauth_backend.core.options import option
from crossauth_backend.keys.record import Key
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessionmanager import SessionManagerOptions, SessionManagerSettings
from crossauth_backend.users.record import User, UserInputFields
from crossauth_backend.users.rules import default_is_admin_fn, default_user_validator
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._session.forms import default_create_user, default_update_user

ExtraColumns = Mapping[str, str | int | float | datetime | None]


class FastApiSessionServerOptions(SessionManagerOptions, total=False):
    """Options of `FastApiSessionServer`; the reference page in the docs says what each does."""

    add_to_session: Callable[[Request], ExtraColumns]
    admin_allowed_factor1: list[str]
    admin_create_client_page: str
    admin_create_user_page: str
    admin_prefix: str
    admin_select_user_page: str
    change_factor2_page: str
    change_password_page: str
    client_serach_dn: Callable[..., Any]
    client_search_fn: Callable[..., Any]
    configure_factor2_page: str
    create_user_fn: Callable[[Request, dict[str, Any], list[str], list[str]], UserInputFields]
    delete_client_page: str
    delete_user_page: str
    edit_user_scope: str
    email_from: str
    email_verification_html_body: str
    email_verification_subject: str
    email_verification_text_body: str
    email_verified_page: str
    enable_admin_endpoints: bool
    enable_oauth_client_management: bool
    endpoints: list[str]
    error_page: str
    factor2_page: str
    factor2_protected_api_endpoints: list[str]
    factor2_protected_page_endpoints: list[str]
    is_admin_fn: Callable[[User], bool]
    login_page: str
    login_redirect: str
    logout_page: str
    logout_redirect: str
    password_reset_expires: int
    password_reset_html_body: str
    password_reset_subject: str
    password_reset_text_body: str
    prefix: str
    render: Callable[[str, dict[str, Any]], str]
    request_reset_password_page: str
    request_password_reset_page: str
    reset_password_page: str
    signup_page: str
    siteUrl: str
    smtp_host: str
    smtp_password: str
    smtp_port: int
    smtp_use_tls: bool
    smtp_username: str
    template_dir: str
    update_user_fn: Callable[[User, Request, dict[str, Any], list[str]], User]
    update_user_page: str
    user_allowed_factor1: list[str]
    user_search_fn: Callable[[str, UserStorage], list[User]]
    validate_session: Callable[[Key, User | None, Request], None]
    validate_user_fn: Callable[[UserInputFields], list[str]]
    verify_email_expires: int
    views: str


def _page(default: str, env: str, what: str) -> Any:
    return option(default, env=env, doc=f"Template of {what}.")


def _later(doc: str, env: str | None = None) -> Any:
    return option(None, env=env, doc=f"{doc} Read by a part that is not in this version.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionServerSettings(SessionManagerSettings):
    """`FastApiSessionServerOptions`, parsed."""

    prefix: str = option("/", env="PREFIX", doc="Goes before every URL.")
    admin_prefix: str = option("/admin/", env="ADMIN_PREFIX", doc="Goes before every URL for administrators.")
    endpoints: list[str] | None = option(None, env="SESSION_ENDPOINTS", doc='Which endpoints to create: names, "all" or "allMinusOAuth".', shown="sign-up and sessions")  # fmt: skip
    template_dir: str = option("templates", env="TEMPLATE_DIR", doc="Folder with the application's own templates; what is not in it comes with the package.")  # fmt: skip
    error_page: str = _page("error.jinja2", "ERROR_PAGE", "error messages")
    login_page: str = _page("login.njk", "LOGIN_PAGE", "the login page")
    logout_page: str = _page("logout.njk", "LOGOUT_PAGE", "the page that asks before logging out")
    signup_page: str = _page("signup.njk", "SIGNUP_PAGE", "the sign-up page")
    change_password_page: str = _page("changepassword.njk", "CHANGE_PASSWORD_PAGE", "the page to change a password")
    update_user_page: str = _page("updateuser.njk", "UPDATE_USER_PAGE", "the page to change a profile")
    delete_user_page: str = _page("deleteuser.njk", "DELETE_USER_PAGE", "the page to delete an account")
    factor2_page: str = _page("factor2.njk", "FACTOR2_PAGE", "the page that asks for the second factor")
    configure_factor2_page: str = _page("configurefactor2.njk", "SIGNUP_FACTOR2_PAGE", "the page to set up a second factor")  # fmt: skip
    change_factor2_page: str = _page("changefactor2.njk", "CHANGE_FACTOR2_PAGE", "the page to change the second factor")  # fmt: skip
    request_reset_password_page: str = option("requestpasswordreset.njk", names=("request_password_reset_page",), env="REQUEST_PASSWORD_RESET_PAGE", doc="Template of the page to ask for a password reset.")  # fmt: skip
    reset_password_page: str = _page("resetpassword.njk", "RESET_PASSWORD_PAGE", "the page to reset a password")
    email_verified_page: str = _page("emailverified.njk", "EMAIL_VERIFIED_PAGE", "the page after an address is proven")  # fmt: skip
    admin_create_user_page: str = _page("admin/createuser.njk", "ADMIN_CREATE_USER_PAGE", "the page to create a user")  # fmt: skip
    admin_select_user_page: str = _page("admin/selectuser.njk", "ADMIN_SELECT_USER_PAGE", "the page to find a user")
    admin_create_client_page: str = _page("createclient.njk", "CREATE_CLIENT_PAGE", "the page to create a client")
    delete_client_page: str = _page("deleteclient.njk", "DELETE_CLIENT_PAGE", "the page to delete a client")
    login_redirect: str = option("/", env="LOGIN_REDIRECT", doc="Where to go after logging in.")
    logout_redirect: str = option("/", env="LOGOUT_REDIRECT", doc="Where to go after logging out.")
    user_allowed_factor1: list[str] = option(["localpassword"], env="USER_ALLOWED_FACTOR1", doc="First factors that users may choose at sign-up.")  # fmt: skip
    admin_allowed_factor1: list[str] = option(["localpassword"], env="ADMIN_ALLOWED_FACTOR1", doc="First factors that administrators may choose for new users.")  # fmt: skip
    enable_admin_endpoints: bool = option(False, env="ENABLE_ADMIN_ENDPOINTS", doc="Endpoints for administrators. Not available in this version.")  # fmt: skip
    enable_oauth_client_management: bool = option(False, env="ENABLE_OAUTH_CLIENT_MANAGEMENT", doc="Endpoints for OAuth clients. Not available in this version.")  # fmt: skip
    edit_user_scope: str | None = option(None, env="EDIT_USER_SCOPE", doc="OAuth scope that lets a user who is not logged in by cookie edit the account.")  # fmt: skip
    is_admin_fn: Callable[[User], bool] = option(default_is_admin_fn, doc="Whether a user is an administrator.", shown="the user's `admin` field")  # fmt: skip
    create_user_fn: Callable[..., Any] = option(default_create_user, doc="Makes a user from a sign-up form: `(request, body, user_editable_fields, allowable_factor1)`.", shown="default_create_user")  # fmt: skip
    update_user_fn: Callable[..., Any] = option(default_update_user, doc="Makes the changed user from a form: `(user, request, body, user_editable_fields)`.", shown="default_update_user")  # fmt: skip
    validate_user_fn: Callable[..., Any] = option(default_user_validator, doc="What is wrong with a user, as a list of texts.", shown="default_user_validator")  # fmt: skip
    add_to_session: Callable[..., Any] | None = option(None, doc="`(request)`: further columns for every new session.")  # fmt: skip
    validate_session: Callable[..., Any] | None = option(None, doc="`(key, user, request)`: raises where a session must not be accepted.")  # fmt: skip
    user_search_fn: Callable[..., Any] | None = _later("`(search, user_storage)`: finds users for administrators.")
    client_serach_dn: Callable[..., Any] | None = option(None, names=("client_search_fn",), doc="Finds clients for administrators. Read by a part that is not in this version.")  # fmt: skip
    factor2_protected_page_endpoints: list[str] | None = _later("Pages that ask for the second factor.", "FACTOR2_PROTECTED_PAGE_ENDPOINTS")  # fmt: skip
    factor2_protected_api_endpoints: list[str] | None = _later("API endpoints that ask for the second factor.", "FACTOR2_PROTECTED_API_ENDPOINTS")  # fmt: skip
    email_from: str | None = _later("Sender of e-mail.", "EMAIL_FROM")
    email_verification_text_body: str | None = _later("Template.", "EMAIL_VERIFICATION_TEXT_BODY")
    email_verification_html_body: str | None = _later("Template.", "EMAIL_VERIFICATION_HTML_BODY")
    email_verification_subject: str | None = _later("Subject.", "EMAIL_VERIFICATION_SUBJECT")
    password_reset_text_body: str | None = _later("Template.", "PASSWORD_RESET_TEXT_BODY")
    password_reset_html_body: str | None = _later("Template.", "PASSWORD_RESET_HTML_BODY")
    password_reset_subject: str | None = _later("Subject.", "PASSWORD_RESET_SUBJECT")
    password_reset_expires: int | None = _later("Seconds.", "PASSWORD_RESET_EXPIRES")
    verify_email_expires: int | None = _later("Seconds.", "VERIFY_EMAIL_EXPIRES")
    smtp_host: str | None = _later("Mail server.", "SMTP_HOST")
    smtp_port: int | None = _later("Port of the mail server.", "SMTP_PORT")
    smtp_use_tls: bool | None = _later("Whether to use TLS.", "SMTP_USE_TLS")
    smtp_username: str | None = _later("Login at the mail server.", "SMTP_USERNAME")
    smtp_password: str | None = _later("Password at the mail server.", "SMTP_PASSWORD")
    views: str | None = _later("Folder with e-mail templates.", "VIEWS")
    render: Callable[..., Any] | None = _later("`(template, data)`: renders e-mail.")
    email_token_storage: KeyStorage | None = _later("Where e-mail tokens are kept.")

    def page(self, option_name: str) -> str:
        """The template that an option names."""
        name: str = getattr(self, option_name)
        return name


def with_slashes(path: str) -> str:
    """`path` with exactly one slash at its beginning and one at its end."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"
