"""The options of an OAuth client: the documented shape, and the table it is parsed by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict
from urllib.parse import urlsplit

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, is_secure_url
from crossauth_backend.core.hooks import plain_result
from crossauth_backend.core.jose import ALGORITHMS, is_symmetric
from crossauth_backend.core.options import MAX_SECONDS, REQUIRED, option
from crossauth_backend.core.text import is_storable
from crossauth_backend.oauth.client.providers import Provider
from crossauth_backend.oauth.client.tenants import is_tenant_list

COMPONENT = "OAuthClient"
CodeChallengeMethod = Literal["S256", "plain"]
PostType = Literal["form", "json"]
TokenAuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")
# What the client or the connection says itself.
_OWN_HEADERS: Final = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_OWN_PARAMETERS: Final = frozenset({
    "response_type", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce", "code_challenge",
    "code_challenge_method",
})  # fmt: skip
_VISIBLE: Final = re.compile(r"[\x20-\x7e]{1,1024}")


class OAuthClientOptions(TypedDict, total=False):
    """Options of `OAuthClient`; the reference page in the docs says what each does."""

    auth_server_base_url: str
    auth_server_credentials: str
    auth_server_headers: Mapping[str, str]
    auth_server_mode: str
    authorization_params: Mapping[str, str]
    client_id: str
    client_secret: str
    client_secret_fn: Callable[[], str]
    clock_tolerance: int
    code_challenge_method: CodeChallengeMethod
    device_authorization_url: str
    fetch_timeout: int
    fetcher: Fetcher
    id_token_algorithms: list[str]
    jwks_cooldown: int
    jwks_max_age: int
    jwt_key_type: str
    jwt_public_key: str
    jwt_public_key_file: str
    jwt_secret_key: str
    jwt_secret_key_file: str
    oauth_authorize_redirect: str
    oauth_post_type: PostType
    oauth_use_user_info_endpoint: bool
    oidc_config: Mapping[str, Any]
    provider: Provider
    redirect_uri: str
    state_length: int
    tenants: list[str]
    token_endpoint_auth_method: TokenAuthMethod
    verifier_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """`OAuthClientOptions`, parsed."""

    auth_server_base_url: str = option(REQUIRED, env="AUTH_SERVER_BASE_URL", shown="first argument", doc="URL of the authorization server: exactly what its metadata and its ID tokens call it; a slash at the end counts. With `tenants`, the URL with `{tenantid}` where the tenant is.")  # fmt: skip
    client_id: str = option(REQUIRED, env="OAUTH_CLIENT_ID", not_empty=True, doc="What the authorization server calls this client. ID tokens must be for it.")  # fmt: skip
    client_secret: str | None = option(None, env="OAUTH_CLIENT_SECRET", not_empty=True, doc="Its secret. Left out for a public client.")  # fmt: skip
    client_secret_fn: Callable[[], str] | None = option(None, not_with="client_secret", doc="Makes the secret whenever one is sent, where it runs out as Apple's does (`AppleSecret`).")  # fmt: skip
    provider: Provider | None = option(None, doc="What is known of the authorization server; see `provider_options`.")
    authorization_params: Mapping[str, str] = option({}, env="OAUTH_AUTHORIZATION_PARAMS", doc='What authorization requests have besides, such as `{"access_type": "offline"}`.')  # fmt: skip
    redirect_uri: str | None = option(None, env="OAUTH_REDIRECT_URI", not_empty=True, doc="Where the authorization server sends browsers back to: an https URL, or http on localhost.")  # fmt: skip
    token_endpoint_auth_method: TokenAuthMethod | None = option(None, env="OAUTH_TOKEN_ENDPOINT_AUTH_METHOD", shown="from the metadata", doc="How the client authenticates. By default with the header of RFC 6749 §2.3.1, or in the body where the metadata says that only that is possible; not at all without a secret.")  # fmt: skip
    state_length: int = option(32, env="OAUTH_STATE_LENGTH", at_least=16, at_most=256, doc="Random bytes of `state`.")
    verifier_length: int = option(32, env="OAUTH_VERIFIER_LENGTH", at_least=32, at_most=96, doc="Random bytes of the PKCE verifier (RFC 7636 §4.1).")  # fmt: skip
    code_challenge_method: CodeChallengeMethod = option("S256", env="OAUTH_CODE_CHALLENGE_METHOD", doc="How the PKCE challenge is made. Where the metadata says that S256 is not possible, a flow with PKCE does not begin unless this is `plain`.")  # fmt: skip
    device_authorization_url: str | None = option(None, env="OAUTH_DEVICE_AUTHORIZATION_URL", not_empty=True, shown='from the metadata, otherwise `device_authorization`', doc="Where the device code flow begins: a URL, or a path below `auth_server_base_url`.")  # fmt: skip
    oauth_post_type: PostType = option("form", env="OAUTH_POST_TYPE", doc="How bodies are sent. RFC 6749 wants `form`; `json` is for servers that take nothing else.")  # fmt: skip
    oauth_use_user_info_endpoint: bool = option(False, env="OAUTH_USE_USER_INFO_ENDPOINT", doc="Whether the claims of the user-info endpoint are added to those of the ID token. They must be of the same `sub`.")  # fmt: skip
    oauth_authorize_redirect: str | None = option(None, env="OAUTH_AUTHORIZE_REDIRECT", not_empty=True, doc="URL under which browsers reach the authorization endpoint, in the place of scheme and host that the metadata names.")  # fmt: skip
    auth_server_headers: Mapping[str, str] = option({}, env="OAUTH_AUTH_SERVER_HEADERS", doc="Headers that requests to the authorization server have besides.")  # fmt: skip
    auth_server_credentials: str | None = option(None, env="OAUTH_AUTH_SERVER_CREDENTIALS", unread="it tells browsers which cookies to send, and a server sends none; use `auth_server_headers`", doc="Not available: a server sends no cookies.")  # fmt: skip
    auth_server_mode: str | None = option(None, env="OAUTH_AUTH_SERVER_MODE", unread="it tells browsers whether to cross origins, and a server has none; leave it out", doc="Not available: a server has no origin.")  # fmt: skip
    id_token_algorithms: list[str] | None = option(None, env="OAUTH_ID_TOKEN_ALGORITHMS", not_empty=True, shown="the public-key algorithms that the metadata names", doc="Algorithms that ID tokens and logout tokens may be signed with. `HS256` is verified with `client_secret`.")  # fmt: skip
    tenants: list[str] | None = option(None, env="OAUTH_TENANTS", not_empty=True, doc="Ids of the tenants whose users may log in, where an authorization server has many that differ by their issuer, as Microsoft's.")  # fmt: skip
    jwt_key_type: str = option("", env="JWT_KEY_TYPE", doc="Algorithm of a key that is given here, such as `RS256`. Without a key here, keys are fetched from the authorization server.")  # fmt: skip
    jwt_secret_key: str | None = option(None, env="JWT_SECRET_KEY", not_empty=True, needs="jwt_key_type", doc="Secret that ID tokens are signed with.")  # fmt: skip
    jwt_secret_key_file: str | None = option(None, env="JWT_SECRET_KEY_FILE", not_empty=True, needs="jwt_key_type", not_with="jwt_secret_key", doc="File with that secret.")  # fmt: skip
    jwt_public_key: str | None = option(None, env="JWT_PUBLIC_KEY", not_empty=True, needs="jwt_key_type", doc="Public key that verifies ID tokens: PEM, JWK or JWK set.")  # fmt: skip
    jwt_public_key_file: str | None = option(None, env="JWT_PUBLIC_KEY_FILE", not_empty=True, needs="jwt_key_type", not_with="jwt_public_key", doc="File with that key.")  # fmt: skip
    clock_tolerance: int = option(10, env="OAUTH_CLOCK_TOLERANCE", at_least=0, at_most=300, doc="Seconds by which clocks may differ.")  # fmt: skip
    oidc_config: Mapping[str, Any] | None = option(None, doc="Metadata of the authorization server, instead of fetching it.")  # fmt: skip
    jwks_cooldown: int = option(30, env="OAUTH_JWKS_COOLDOWN", at_least=1, at_most=86_400, doc="Seconds between two fetches of keys, whatever tokens arrive.")  # fmt: skip
    jwks_max_age: int = option(600, env="OAUTH_JWKS_MAX_AGE", at_least=1, at_most=MAX_SECONDS, doc="Seconds after which keys are fetched anew, in the background; a key that was withdrawn is accepted for so long.")  # fmt: skip
    fetch_timeout: int = option(5, env="OAUTH_FETCH_TIMEOUT", at_least=1, at_most=60, doc="Seconds that a request to the authorization server may take.")  # fmt: skip
    fetcher: Fetcher | None = option(
        None, doc="What sends requests to the authorization server, instead of our client."
    )

    @property
    def secret(self) -> str | None:
        """The client's secret, as it is now."""
        if self.client_secret_fn is None:
            return self.client_secret
        made: str = plain_result("option 'client_secret_fn'", (str,), self.client_secret_fn)
        return made

    @property
    def is_confidential(self) -> bool:
        """Whether there is one."""
        return self.client_secret is not None or self.client_secret_fn is not None


def check_settings(settings: ClientSettings) -> None:
    """Refuse options that cannot take effect together.

    Raises:
        CrossauthError: `Configuration`, naming every option that is wrong and what would be right.
    """
    checks = (_server(settings), _client(settings), _urls(settings), _algorithms(settings), _further(settings))
    problems = [f"{COMPONENT}: option {problem}" for found in checks for problem in found]
    if problems:
        raise CrossauthError(ErrorCode.Configuration, problems)


def _server(settings: ClientSettings) -> list[str]:
    url, tenants = settings.auth_server_base_url, settings.tenants
    plain = url if tenants is None else url.replace("{tenantid}", "tenant")
    if "{" in plain:
        return ["'auth_server_base_url' has a placeholder; name the tenants by option 'tenants'"]
    if not is_secure_url(plain) or "?" in plain:
        return ["'auth_server_base_url' must be an https URL without query, or http on localhost"]
    if tenants is None:
        return []
    if not is_tenant_list(tenants):
        return ["'tenants' must be ids of tenants: letters, digits, dots and dashes, each once"]
    if url.count("{tenantid}") != 1 or "{" in urlsplit(url).netloc:
        return ["'tenants' has no effect unless the path of 'auth_server_base_url' has {tenantid} once"]
    return []


def _client(settings: ClientSettings) -> list[str]:
    problems = []
    if not _VISIBLE.fullmatch(settings.client_id):
        problems.append("'client_id' may have visible ASCII characters only (RFC 6749 appendix A)")
    secret, method = settings.client_secret, settings.token_endpoint_auth_method
    if secret is not None and not _VISIBLE.fullmatch(secret):
        problems.append("'client_secret' may have visible ASCII characters only (RFC 6749 appendix A)")
    if not settings.is_confidential and settings.provider is not None and not settings.provider.public:
        problems.append(f"'client_secret' is missing: {settings.provider.title} knows no clients without one")
    elif not settings.is_confidential and method not in (None, "none"):
        problems.append(f"'token_endpoint_auth_method' {method!r} needs option 'client_secret'")
    if settings.is_confidential and method == "none":
        problems.append("'client_secret' has no effect where 'token_endpoint_auth_method' is 'none'")
    return problems


def _urls(settings: ClientSettings) -> list[str]:
    problems = []
    device = settings.device_authorization_url
    for name, url in (
        ("redirect_uri", settings.redirect_uri),
        ("oauth_authorize_redirect", settings.oauth_authorize_redirect),
        ("device_authorization_url", device if device is not None and "://" in device else None),
    ):
        if url is not None and not is_secure_url(url):
            problems.append(f"{name!r} must be an https URL without fragment, or http on localhost")
    if settings.oauth_authorize_redirect is not None and "?" in settings.oauth_authorize_redirect:
        problems.append("'oauth_authorize_redirect' must have no query")
    if device is not None and "://" not in device and not re.fullmatch(r"[A-Za-z0-9/._~-]+", device):
        problems.append("'device_authorization_url' must be a URL, or a path below 'auth_server_base_url'")
    return problems


def _algorithms(settings: ClientSettings) -> list[str]:
    problems, named = [], settings.id_token_algorithms or []
    if settings.jwt_key_type and settings.jwt_key_type not in ALGORITHMS:
        problems.append(f"'jwt_key_type' must be one of {', '.join(ALGORITHMS)}")
    if not set(named) <= ALGORITHMS.keys():
        problems.append(f"'id_token_algorithms' may hold {', '.join(ALGORITHMS)}")
    if named and settings.jwt_key_type:
        problems.append("'id_token_algorithms' says the same as 'jwt_key_type'; leave it out where a key is given")
    if any(is_symmetric(name) for name in named) and settings.client_secret is None:
        problems.append("'id_token_algorithms' with HS256, HS384 or HS512 needs option 'client_secret'")
    return problems


def are_further(parameters: Mapping[str, str]) -> bool:
    """Whether these can be parameters of an authorization request besides those that the flow itself sets."""
    return not _OWN_PARAMETERS & parameters.keys() and all(
        isinstance(name, str) and isinstance(value, str) and is_storable(value) for name, value in parameters.items()
    )


def _further(settings: ClientSettings) -> list[str]:
    if not are_further(settings.authorization_params):
        return ["'authorization_params' must hold texts, and no parameter that the flow itself sets, such as 'state'"]
    return _headers(settings)


def _headers(settings: ClientSettings) -> list[str]:
    for name, value in settings.auth_server_headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            return ["'auth_server_headers' has a name that no header can have"]
        if name.lower() in _OWN_HEADERS:
            return [f"'auth_server_headers' must not hold {name}: the client says it itself"]
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            return [f"'auth_server_headers': the value of {name} must be text of visible ASCII characters"]
    return []
