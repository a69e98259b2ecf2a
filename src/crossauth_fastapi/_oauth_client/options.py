"""The options of the OAuth client: the documented shape, and the table it is parsed by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.options import REQUIRED, option
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.client.options import OAuthClientOptions
from crossauth_backend.users.identities import IdentityStorage
from crossauth_backend.users.storage import UserStorage
from crossauth_fastapi._pages.options import BrandOptions, BrandSettings

COMPONENT: Final = "FastApiOAuthClient"
BffMethod: TypeAlias = Literal["GET", "POST", "PUT", "DELETE", "PATCH"]
TokenResponseType: TypeAlias = Literal[
    "send_json", "save_in_session_and_load", "save_in_session_and_redirect", "send_in_page", "custom"
]
# The documented text of an option names `error_page`, its type `page_error`; both are read.
ErrorResponseType: TypeAlias = Literal["json_error", "page_error", "error_page", "custom"]
TokenEndpoint: TypeAlias = Literal[
    "access_token", "refresh_token", "id_token", "have_access_token", "have_refresh_token", "have_id_token"
]
UserCreationType: TypeAlias = Literal["idToken", "merge", "embed", "custom"]
JwtToken: TypeAlias = Literal["access", "id", "refresh"]
# What keeps tokens in the session.
SAVING: Final[tuple[TokenResponseType, ...]] = ("save_in_session_and_load", "save_in_session_and_redirect")


class BffEndpoint(NamedTuple):
    """A URL of the resource server that is served through the backend-for-frontend.

    Parameters:
        url: its path on the resource server, beginning with `/`.
        methods: the methods that are passed on.
        match_sub_urls: whether the paths below it are served too.
    """

    url: str
    methods: list[BffMethod]
    match_sub_urls: bool


class FastApiOAuthClientOptions(OAuthClientOptions, BrandOptions, total=False):
    """Options of `FastApiOAuthClient`; the reference page in the docs says what each does."""

    api_delete_tokens_post_url: str
    audience: str | list[str]
    authorized_page: str
    authorized_url: str
    backchannel_logout_url: str
    bff_base_url: str
    bff_endpoint_name: str
    bff_endpoints: list[BffEndpoint]
    bff_max_body_size: int | None
    bff_timeout: int
    confirm_logout_page: str
    default_scope: str
    create_accounts: bool
    delete_tokens_get_url: str
    delete_tokens_page: str
    delete_tokens_post_url: str
    device_code_flow_page: str
    device_code_flow_url: str
    device_code_poll_url: str
    encryption_keys: list[str]
    error_fn: Callable[..., Any]
    error_page: str
    error_response_type: ErrorResponseType
    id_token_match_field: str
    identity_storage: IdentityStorage
    jwt_tokens: list[JwtToken]
    key_storage: KeyStorage
    link_accounts: bool
    local_login: bool
    logged_out_page: str
    login_protected_flows: list[str]
    login_url: str
    logout_id_token_hint: bool
    logout_oidc_url: str
    mfa_oob_page: str
    mfa_otp_page: str
    oauth_issuer: str
    oauth_log_fetch: bool
    password_flow_page: str
    password_flow_url: str
    password_oob_url: str
    password_otp_url: str
    persist_access_token: bool
    post_logout_redirect_uri: str
    prefix: str
    receive_token_fn: Callable[..., Any]
    require_local_account: bool
    secret: str
    session_data_name: str
    siteUrl: str
    site_name: str
    site_url: str
    template_dir: str
    token_endpoints: list[TokenEndpoint]
    token_response_type: TokenResponseType
    user_creation_fn: Callable[..., Awaitable[Any]]
    user_creation_type: UserCreationType
    user_match_field: str
    user_storage: UserStorage
    valid_flows: list[str]


def _page(default: str, env: str, what: str) -> Any:
    return option(default, env=env, not_empty=True, doc=f"Template of {what}.")


def _url(default: str | None, env: str, doc: str, shown: str | None = None) -> Any:
    return option(default, env=env, not_empty=True, shown=shown, doc=doc)


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class ClientServerSettings(BrandSettings):
    """`FastApiOAuthClientOptions`, parsed; without those of `OAuthClient`."""

    site_url: str = option(REQUIRED, names=("siteUrl",), env="SITE_URL", doc="Where browsers find the site, such as `https://example.com`, with the path where the application is mounted, if it is. The redirect URI is made of it, `prefix` and `authzcode`, never of what a request says.")
    site_name: str = option("", env="SITE_NAME", shown="the host of `site_url`, or the title of the application", doc="What pages call the application.")
    prefix: str = option("/", env="PREFIX", doc="Goes before every URL of the client. Of several clients each has its own.")
    secret: str | None = option(None, env="SECRET", shown="that of the session server", doc="Encrypts the cookies of logins under way, and tokens in the session; at least 32 characters. Required where there is no session server.")
    encryption_keys: list[str] = option([], env="ENCRYPTION_KEYS", shown="that of the session server, or `secret`", doc="Encrypt instead of `secret`, each at least 32 characters. The first encrypts, all decrypt: put a new one in front to rotate.")
    session_data_name: str = option("oauth", env="OAUTH_SESSION_DATA_NAME", not_empty=True, doc="Name in the session data under which tokens are kept, encrypted. Of several clients each has its own.")
    key_storage: KeyStorage | None = option(None, shown="that of the session server", doc="Where it is marked, for all workers, that a login was finished and that tokens are being refreshed. Without one, and without a session server, each worker knows of itself.")
    valid_flows: list[str] = option([], env="OAUTH_VALID_FLOWS", doc='Flows to create endpoints for, by their names in `OAuthFlows`, or `["all"]`.')
    default_scope: str | None = option(None, env="OAUTH_DEFAULT_SCOPE", not_empty=True, shown="`openid` for OpenID Connect, else none", doc="Scope that is asked for where a flow is begun without one.")
    token_response_type: TokenResponseType = option("send_json", env="OAUTH_TOKEN_RESPONSE_TYPE", doc="What is done with the tokens that a flow gives. Only with `save_in_session_and_load` and `save_in_session_and_redirect` they stay on the server.")
    receive_token_fn: Callable[..., Any] | None = option(None, doc="`(oauth_response, client, request, response)`: answers a flow where `token_response_type` is `custom`; may be `async`.")
    error_response_type: ErrorResponseType = option("json_error", env="OAUTH_ERROR_RESPONSE_TYPE", doc="How an error is answered: as JSON, by `error_page`, or by `error_fn`. `error_page` is read as `page_error`.")
    error_fn: Callable[..., Any] | None = option(None, doc="`(server, request, response, error)`: answers an error where `error_response_type` is `custom`; may be `async`.")
    error_page: str = _page("error.jinja2", "ERROR_PAGE", "error messages")
    template_dir: str = option("templates", env="TEMPLATE_DIR", doc="Folder with the application's own templates; what is not in it comes with the package.")
    authorized_page: str = _page("authorized.jinja2", "AUTHORIZED_PAGE", "the page after a flow has given tokens")
    authorized_url: str = option("authorized", env="AUTHORIZED_URL", not_empty=True, doc="Where a browser goes after a flow, with `save_in_session_and_redirect`, unless the flow was begun with `next`: a path from the application's own root, or a name below `prefix`.")
    password_flow_page: str = _page("passwordflow.jinja2", "OAUTH_PASSWORD_FLOW_PAGE", "the page that asks for username and password of the authorization server")
    password_flow_url: str = _url("passwordflow", "OAUTH_PASSWORD_FLOW_URL", "URL of the password flow.")
    password_otp_url: str | None = _url(None, "OAUTH_PASSWORD_OTP_URL", "URL to which the one-time code of the password flow is sent.", "`passwordotp` and `passwordflowotp`")
    password_oob_url: str | None = _url(None, "OAUTH_PASSWORD_OOB_URL", "URL to which the out-of-band code of the password flow is sent.", "`passwordoob` and `passwordflowoob`")
    mfa_otp_page: str = _page("mfaotp.jinja2", "OAUTH_MFA_OTP_PAGE", "the page that asks for a one-time code in the password flow")
    mfa_oob_page: str = _page("mfaoob.jinja2", "OAUTH_MFA_OOB_PAGE", "the page that asks for an out-of-band code in the password flow")
    device_code_flow_page: str = _page("devicecodeflow.jinja2", "OAUTH_DEVICECODE_FLOW_PAGE", "the page that says where to go for the device code flow")
    device_code_flow_url: str = _url("devicecodeflow", "OAUTH_DEVICECODE_FLOW_URL", "URL that begins the device code flow.")
    device_code_poll_url: str = _url("devicecodepoll", "OAUTH_DEVICECODE_POLL_URL", "URL that asks whether the device code flow is complete.")
    delete_tokens_page: str = _page("deletetokens.jinja2", "OAUTH_DELETE_TOKENS_PAGE", "the page to delete the tokens in the session")
    delete_tokens_get_url: str | None = _url(None, "OAUTH_DELETE_TOKENS_GET_URL", "URL of that page. Without it there is none.")
    delete_tokens_post_url: str | None = _url(None, "OAUTH_DELETE_TOKENS_POST_URL", "URL to which its form is sent. Without it there is none.")
    api_delete_tokens_post_url: str | None = _url(None, "OAUTH_API_DELETE_TOKENS_POST_URL", "URL that deletes the tokens and answers with JSON, such as `api/deletetokens`. Without it there is none.")
    bff_endpoint_name: str = option("bff", env="OAUTH_BFF_ENDPOINT_NAME", not_empty=True, doc="Goes before the URLs of the backend-for-frontend, after `prefix`.")
    bff_base_url: str | None = option(None, env="OAUTH_BFF_BASEURL", not_empty=True, needs="bff_endpoints", doc="URL of the resource server whose endpoints are served.")
    bff_endpoints: list[Any] = option([], kind="list of BffEndpoint", doc="Endpoints of the resource server that are served, with the access token of the session.")
    bff_timeout: int = option(30, env="OAUTH_BFF_TIMEOUT", at_least=1, at_most=3600, needs="bff_endpoints", doc="Seconds that the resource server may take until its answer begins.")
    bff_max_body_size: int | None = option(None, env="OAUTH_BFF_MAX_BODY_SIZE", at_least=1, at_most=2**50, needs="bff_endpoints", doc="Bytes that may be sent through the backend-for-frontend in one request; any number without it.")
    token_endpoints: list[TokenEndpoint] = option([], env="OAUTH_TOKEN_ENDPOINTS", doc="Endpoints that say what tokens are in the session. `access_token`, `refresh_token` and `id_token` give tokens to the browser where they are asked with `decode` false; without these three no token leaves the server.")
    jwt_tokens: list[JwtToken] = option(["access", "id", "refresh"], env="OAUTH_JWT_TOKENS", doc="Tokens that are shown decoded where they are a JWT.")
    user_creation_type: UserCreationType = option("idToken", env="OAUTH_USER_CREATION_TYPE", doc="How `request.state.user` is made of the ID token in the session: of its claims alone, of the user in `user_storage` with the claims added (`merge`) or in its field `id_token` (`embed`), or by `user_creation_fn`.")
    user_creation_fn: Callable[..., Any] | None = option(None, doc="`(id_token, user_storage, user_match_field, id_token_match_field)`: the user, or `None`, where `user_creation_type` is `custom`; may be `async`.")
    user_match_field: str | None = option(None, env="OAUTH_USER_MATCH_FIELD", not_empty=True, shown="`username`", doc="Field of users that `id_token_match_field` equals. It counts for an issuer other than `oauth_issuer` only where both are named.")
    id_token_match_field: str | None = option(None, env="OAUTH_ID_TOKEN_MATCH_FIELD", not_empty=True, shown="`sub`", doc="Claim of the ID token that equals `user_match_field`. Who may choose it at the authorization server can be any user here.")
    user_storage: UserStorage | None = option(None, shown="that of the session server", doc="Where the users are that ID tokens are matched with.")
    require_local_account: bool = option(True, env="OAUTH_REQUIRE_LOCAL_ACCOUNT", doc="Whether an ID token without a user in `user_storage` is refused with `merge` and `embed`; otherwise the user is made of its claims.")
    oauth_issuer: str | None = option(None, env="OAUTH_ISSUER", not_empty=True, doc="The issuer that is this application's own: `sub` of its tokens is the `id` of a user.")
    identity_storage: IdentityStorage | None = option(None, doc="Keeps which user of this site is which user of which issuer, for `link_accounts`, `local_login`, `merge` and `embed`.")
    local_login: bool = option(False, env="OAUTH_LOCAL_LOGIN", doc="Whether a login at the provider also logs in the user it belongs to here, through every stage of a login.")
    create_accounts: bool = option(False, env="OAUTH_CREATE_ACCOUNTS", needs="local_login", doc="Whether a user who logs in at the provider and has no account here gets one. Only an email address that the provider has verified is taken over.")
    link_accounts: bool = option(False, env="OAUTH_LINK_ACCOUNTS", doc="Whether users may link their account to one at the provider, and unlink it.")
    login_protected_flows: list[str] = option([], env="OAUTH_LOGIN_PROTECTED_FLOWS", doc='Flows that only users who are logged in may use, by their names in `OAuthFlows`, or `["all"]`.')
    login_url: str = option("/login", env="LOGIN_URL", not_empty=True, doc="Where a browser is sent that has to log in for one of `login_protected_flows`: a path from the application's own root, or a URL.")
    oauth_log_fetch: bool = option(False, env="OAUTH_LOG_FETCH", doc="Whether requests to the authorization server are logged: method, host and path, status and time, never what is sent.")
    logout_oidc_url: str = _url("logoutoidc", "OAUTH_LOGOUT_OIDC_URL", "URL that logs out here and at the provider.")
    confirm_logout_page: str = _page("confirmlogout.jinja2", "OAUTH_CONFIRM_LOGOUT_PAGE", "the page that asks before it logs out")
    logged_out_page: str = _page("loggedout.jinja2", "OAUTH_LOGGED_OUT_PAGE", "the page that says that it is done")
    backchannel_logout_url: str | None = _url(None, "OAUTH_BACKCHANNEL_LOGOUT_URL", "URL to which the provider sends that a login there has ended. It needs a key storage.", "`backchannellogout`, where there is a key storage")
    post_logout_redirect_uri: str | None = option(None, env="OAUTH_POST_LOGOUT_REDIRECT_URI", not_empty=True, shown="the page that says so", doc="Where the provider sends the browser after logging out there; it has to be registered there.")
    audience: str | list[str] | None = option(None, unread="ID tokens must be for `client_id`, and access tokens are for whoever they are sent to; a resource server has an audience", doc="Not available: a client has no audience but its `client_id`.")
    persist_access_token: bool = option(False, unread="a client does not judge access tokens; a resource server does", doc="Not available: whether an access token was revoked is for the resource server to find out.")
    logout_id_token_hint: bool = option(False, env="OAUTH_LOGOUT_ID_TOKEN_HINT", doc="Whether the ID token is sent along, through the browser, when logging out at the provider. Some ask before logging out without it.")

    # fmt: on
    def page(self, option_name: str) -> str:
        """The template that an option names."""
        name: str = getattr(self, option_name)
        return name

    @property
    def saves_tokens(self) -> bool:
        """Whether a flow keeps its tokens in the session."""
        return self.token_response_type in SAVING

    @property
    def errors_as(self) -> str:
        """`error_response_type`, spelled as its type has it."""
        return "page_error" if self.error_response_type == "error_page" else self.error_response_type

    @property
    def matches_by_fields(self) -> bool:
        """Whether the application has named both fields by which users are found."""
        return self.user_match_field is not None and self.id_token_match_field is not None

    @property
    def raw_kinds(self) -> tuple[str, ...]:
        """The kinds of tokens that a browser may be given."""
        return tuple(name for name in get_args(TokenEndpoint)[:3] if name in self.token_endpoints)


def wrong(text: str) -> CrossauthError:
    """A mistake in the options of an OAuth client."""
    return CrossauthError(ErrorCode.Configuration, f"{COMPONENT}: {text}")


def of_this_table(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The options among `given` that one table reads."""
    return {name: value for name, value in given.items() if name in names}
