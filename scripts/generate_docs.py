"""Writes docs/options.md from the option tables, and docs/endpoints.md from the actions.

With --check it only says whether the pages are up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.options import describe
from crossauth_backend.factors.email_otp.authenticator import EmailAuthenticatorSettings
from crossauth_backend.factors.password.options import LocalPasswordSettings
from crossauth_backend.factors.sms_otp.authenticator import SmsAuthenticatorSettings
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_backend.sessions.options import CsrfSettings, KnownDeviceSettings, SessionCookieSettings
from crossauth_backend.storages.memory.options import InMemoryUserStorageSettings
from crossauth_backend.storages.redis.keys import RedisKeySettings
from crossauth_backend.storages.sqlalchemy.audit import SqlAuditSettings
from crossauth_backend.storages.sqlalchemy.identities import SqlIdentitySettings
from crossauth_backend.storages.sqlalchemy.keys import SqlKeySettings
from crossauth_backend.storages.sqlalchemy.users import SqlUserSettings
from crossauth_backend.users.options import UserStorageSettings
from crossauth_fastapi._actions.action import Action, StepUp
from crossauth_fastapi._api_keys.actions import ACTIONS as KEY_ACTIONS
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings
from crossauth_fastapi._assembly.options import ServerParams, ServerSettings
from crossauth_fastapi._oauth_client.assembly import ENDPOINTS as CLIENT_ENDPOINTS
from crossauth_fastapi._oauth_client.endpoints import ClientEndpoint
from crossauth_fastapi._oauth_client.links import ACTIONS as LINK_ACTIONS
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from crossauth_fastapi._session.actions import ACTIONS
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi._session.stepup import APIS_OPTION, PAGES_OPTION, protected_names
from crossauth_fastapi.fastapi_users._options import FastAPIUsersSettings

DOCS: Final = Path(__file__).parent.parent / "docs"


class Section(NamedTuple):
    """One table of the page: its heading, where its options are given, and which of `settings` it shows (all by default)."""

    title: str
    text: str
    settings: type
    names: str = ""


_CLIENT: Final = (
    "Given as options of `FastApiServer`, or as `options` of `oauth_client`, or of each of `oauth_clients`; those of "
    "`OAuthClient` besides."
)
_SESSION: Final = "Given as options of `FastApiServer`, or as `options` of `session`."


def of_sessions(title: str, names: str) -> Section:
    """What the session server reads, of one feature."""
    return Section(title, _SESSION, SessionServerSettings, names)


def of_clients(title: str, names: str) -> Section:
    """What an OAuth client on an application reads, of one feature."""
    return Section(title, _CLIENT, ClientServerSettings, names)


FEATURES: Final[dict[str, list[Section]]] = {
    "The application": [
        Section("Parameters of FastApiServer", "Its first argument: which servers to create.", ServerParams),
        Section(
            "FastApiServer",
            "Its second argument, or `options` of the first. Besides its own it takes the options of every server that it "
            "creates and hands them on, except for the `prefix` of API keys, which is given in their own `options`. The option "
            "of a server that is not created is an error.",
            ServerSettings,
        ),
        of_sessions("The brand", "site_name logo_url accent_color footer favicon_url page_policy"),
        of_sessions("The site", "site_url prefix admin_prefix endpoints template_dir error_page trusted_proxies"),
        of_sessions("Languages", "languages locale_dir translate_json"),
    ],
    "Accounts and sessions": [
        of_sessions(
            "Sessions",
            "user_storage secret encryption_keys session_cookie_options double_submit_cookie_options session_max_per_user "
            "add_to_session validate_session sessions_page",
        ),
        Section("The session cookie", "Given as `session_cookie_options`.", SessionCookieSettings),
        Section("The CSRF cookie", "Given as `double_submit_cookie_options`.", CsrfSettings),
        of_sessions(
            "Login and sign-up",
            "login_by user_allowed_factor1 login_redirect logout_redirect login_page logout_page signup_page create_user_fn "
            "validate_user_fn",
        ),
        of_sessions(
            "The account",
            "update_user_fn update_user_page change_password_page delete_user_page before_delete_user reauthentication_seconds "
            "edit_user_scope",
        ),
        of_sessions(
            "Administration",
            "enable_admin_endpoints is_admin_fn admin_allowed_factor1 user_search_fn admin_create_user_page "
            "admin_select_user_page admin_update_user_page admin_change_password_page",
        ),
        of_sessions(
            "Limits and security events",
            "attempt_limits event_listeners audit_storage audit_retention_days audit_page known_device_cookie_options",
        ),
        Section("The cookie of known devices", "Given as `known_device_cookie_options`.", KnownDeviceSettings),
        of_sessions(
            "OAuth clients",
            "enable_oauth_client_management client_serach_dn admin_create_client_page delete_client_page",
        ),
    ],
    "Factors": [
        Section("LocalPasswordAuthenticator", "Its second argument.", LocalPasswordSettings),
        of_sessions(
            "Second factors",
            "allowed_factor2 factor2_required_fn factor2_in_signup_form enable_known_devices factor2_protected_page_endpoints "
            "factor2_protected_api_endpoints factor2_page configure_factor2_page change_factor2_page recovery_codes_page",
        ),
        Section(
            "EmailAuthenticator",
            "Its argument. Mail options that it lacks are the server's.",
            EmailAuthenticatorSettings,
        ),
        Section("SmsAuthenticator", "Its argument; the same for `TwilioAuthenticator`.", SmsAuthenticatorSettings),
    ],
    "Email": [
        of_sessions(
            "Mail",
            "email_from mailer smtp_host smtp_port smtp_security smtp_use_tls smtp_username smtp_password views render "
            "email_token_storage outbox_page",
        ),
        of_sessions(
            "Email verification",
            "enable_email_verification verify_email_expires email_verification_subject email_verification_text_body "
            "email_verification_html_body verify_email_page email_verified_page request_email_verification_page",
        ),
        of_sessions(
            "Password reset",
            "enable_password_reset password_reset_expires password_reset_subject password_reset_text_body "
            "password_reset_html_body request_reset_password_page reset_password_page",
        ),
    ],
    "API keys": [
        Section(
            "FastApiApiKeyServer",
            "Given as options of `FastApiServer`, or as `options` of `api_key`. Besides those of `ApiKeyManager`.",
            ApiKeyServerSettings,
        ),
        Section("ApiKeyManager", "Its second argument.", ApiKeySettings),
    ],
    "Access tokens": [
        Section(
            "FastApiOAuthResourceServer",
            "Its third argument, with those of `OAuthResourceServer`; or options of `FastApiServer`, or `options` of "
            "`oauth_resserver`, with those of its `OAuthTokenConsumer` besides.",
            FastApiResourceServerSettings,
        ),
        Section("OAuthTokenConsumer", "Its second argument.", TokenConsumerSettings),
        Section("OAuthResourceServer", "Its second argument.", ResourceServerSettings),
    ],
    "Clients of OAuth": [
        of_clients(
            "FastApiOAuthClient",
            "site_url prefix secret encryption_keys key_storage session_data_name valid_flows default_scope template_dir "
            "oauth_log_fetch audience persist_access_token",
        ),
        of_clients(
            "The brand of a client's pages",
            "site_name logo_url accent_color footer favicon_url page_policy",
        ),
        of_clients(
            "Answers of flows",
            "token_response_type receive_token_fn authorized_page authorized_url error_response_type error_fn error_page",
        ),
        of_clients(
            "URLs and pages of flows",
            "password_flow_url password_flow_page password_otp_url password_oob_url mfa_otp_page mfa_oob_page "
            "device_code_flow_url device_code_poll_url device_code_flow_page login_protected_flows login_url",
        ),
        of_clients(
            "Tokens in the session",
            "token_endpoints jwt_tokens delete_tokens_get_url delete_tokens_post_url api_delete_tokens_post_url "
            "delete_tokens_page",
        ),
        of_clients(
            "Backend-for-frontend",
            "bff_endpoints bff_base_url bff_endpoint_name bff_timeout bff_max_body_size",
        ),
        of_clients(
            "Users of ID tokens",
            "user_creation_type user_creation_fn user_match_field id_token_match_field user_storage require_local_account "
            "oauth_issuer identity_storage local_login link_accounts create_accounts",
        ),
        of_clients(
            "Logging out at the provider",
            "logout_oidc_url backchannel_logout_url post_logout_redirect_uri logout_id_token_hint confirm_logout_page "
            "logged_out_page",
        ),
        Section(
            "OAuthClient", "Its second argument; those of a `FastApiOAuthClient` stand beside its own.", ClientSettings
        ),
    ],
    "REST routes for users": [Section("FastAPIUsers", "Its keyword arguments.", FastAPIUsersSettings)],
    "Storages": [
        Section("User storages", "The last argument of every user storage.", UserStorageSettings),
        Section("InMemoryUserStorage", "Besides those of every user storage.", InMemoryUserStorageSettings),
        Section("SqlAlchemyUserStorage", "Besides those of every user storage.", SqlUserSettings),
        Section("SqlAlchemyKeyStorage", "Its last argument.", SqlKeySettings),
        Section("RedisKeyStorage", "Its last argument.", RedisKeySettings),
        Section("SqlAlchemyAuditStorage", "Its last argument.", SqlAuditSettings),
        Section("SqlAlchemyIdentityStorage", "Its second argument.", SqlIdentitySettings),
    ],
}
HEAD: Final = """# Options

An option that is not given is looked up in the environment, then its default counts. A component's own options override
those of the server. An unknown name, a wrong type, a number out of range or an option that nothing reads stops the application
from starting, with a message that says what would be right. This page is generated by `make docs`.

"""
ENDPOINTS_HEAD = """# Endpoints

Every endpoint of the session server, of API keys and of OAuth clients. Features describe theirs: [accounts](session_server.md),
[second factors](second_factors.md), [email](email.md), [recovery](recovery.md), [sessions](sessions.md), [API keys](api_keys.md),
[administration](administration.md). A path begins with `prefix`, or `admin_prefix` for administrators. This page is generated by
`make docs`.

*Login* says whether a user must be logged in. *Second factor* says whether a user who has one is asked for it again before the
request is served ([how](second_factors.md#asking-again-before-sensitive-actions)), unless
`factor2_protected_page_endpoints` or `factor2_protected_api_endpoints` say otherwise.
"""
CLIENT_HEAD = """A path begins with the `prefix` of the client. An endpoint is there where one of its flows is in `valid_flows`;
its option names another path. A `POST` needs a CSRF token where *CSRF token* says so. The paths of the
[backend-for-frontend](options.md#backend-for-frontend) begin with `bff_endpoint_name`.

"""
STEP_UP = {
    StepUp.NEVER: "",
    StepUp.SUBMIT: "`POST`",
    StepUp.BEGIN: "`POST` that begins it",
    StepUp.READ_AND_SUBMIT: "`POST`, `GET` as JSON",
}
ENDPOINTS = [
    ("Accounts", [action for action in ACTIONS if not action.admin]),
    ("Administration", [action for action in ACTIONS if action.admin]),
    ("API keys", KEY_ACTIONS),
    ("Accounts at providers", LINK_ACTIONS),
]


def protected_by_default(json: bool) -> str:
    """The paths that ask for the second factor again where the option says nothing: those of every server's actions."""
    of_keys = ", ".join(protected_names(json, KEY_ACTIONS))
    of_links = ", ".join(protected_names(json, LINK_ACTIONS))
    return f"{', '.join(protected_names(json))}; with a server for API keys also {of_keys}; with `link_accounts` also {of_links}"


def rows(section: Section) -> list[dict[str, str]]:
    """The rows of one table, in the order in which the section names them.

    Raises:
        KeyError: it names an option that there is not.
    """
    found = {row["name"]: row for row in describe(section.settings)}
    for name, json in ((PAGES_OPTION, False), (APIS_OPTION, True)):
        if name in found:
            found[name]["default"] = protected_by_default(json)
    return [found[name] for name in section.names.split() or found]


def table(section: Section) -> str:
    """One table of the page."""
    lines = ["| option | type | default | environment | what it does |", "|---|---|---|---|---|"]
    for row in rows(section):
        also = f" (also `{row['names']}`)" if row["names"] else ""
        cells = [f"`{row['name']}`{also}", row["type"], f"`{row['default']}`" if row["default"] else "", row["env"]]
        lines.append("| " + " | ".join(cell.replace("|", "or") for cell in [*cells, row["doc"]]) + " |")
    return f"\n### {section.title}\n\n{section.text}\n\n" + "\n".join(lines) + "\n"


def endpoints(title: str, actions: Iterable[Action[Any, Any]]) -> str:
    """One table of the page of endpoints."""
    rows = [
        "| page | JSON | what it does | login | second factor | limits | events |",
        "|---|---|---|---|---|---|---|",
    ]
    for action in actions:
        parameter = f"/{action.parameter}" if action.parameter else ""
        pages = f"`{action.page_endpoint}{parameter}`" if action.has_page else ""
        api = f"`{action.api_endpoint}{parameter}`" if action.has_json else ""
        reads = f"; `GET`: {action.json_summary}" if action.json_summary else ""
        named = [", ".join(f"`{name}`" for name in names) for names in (action.limits, action.events)]
        login = "yes" if action.session else ""
        cells = [pages, api, action.summary + reads, login, STEP_UP[action.step_up], *named]
        rows.append("| " + " | ".join(cells) + " |")
    return f"\n## {title}\n\n" + "\n".join(rows) + "\n"


def client_endpoints(found: Iterable[ClientEndpoint]) -> str:
    """The table of the endpoints of an OAuth client."""
    rows = [
        "| method | path | what it does | flows | option | CSRF token | limits |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        api = "api/" if one.api else ""
        names = ", ".join(f"`{api}{name}`" for name in (one.name, *one.also))
        csrf = "yes" if one.method == "POST" and one.csrf else ""
        named = [", ".join(f"`{name}`" for name in texts) for texts in (one.flows, one.limits)]
        option = f"`{one.option}`" if one.option else ""
        rows.append("| " + " | ".join([one.method, names, one.summary, named[0], option, csrf, named[1]]) + " |")
    return "\n## OAuth client\n\n" + CLIENT_HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Write or check the pages."""
    contents = "".join(
        f"- {feature}: {', '.join(f'[{s.title}](#{anchor(s.title)})' for s in sections)}\n"
        for feature, sections in FEATURES.items()
    )
    options = HEAD + contents
    for feature, sections in FEATURES.items():
        options += f"\n## {feature}\n" + "".join(map(table, sections))
    pages = {
        "options.md": options,
        "endpoints.md": ENDPOINTS_HEAD
        + "".join(endpoints(*entry) for entry in ENDPOINTS)
        + client_endpoints(CLIENT_ENDPOINTS),
    }
    if "--check" in sys.argv:
        return int(any(not (DOCS / name).exists() or (DOCS / name).read_text() != page for name, page in pages.items()))
    for name, page in pages.items():
        (DOCS / name).write_text(page)
    return 0


def anchor(title: str) -> str:
    """Where a link to a heading goes."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


if __name__ == "__main__":
    sys.exit(main())
