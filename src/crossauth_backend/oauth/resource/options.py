"""The options of a token consumer and of a resource server: the documented shapes, and the tables they are parsed by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import Fetcher, is_secure_url
from crossauth_backend.core.jose import ALGORITHMS, VerificationKeys, is_symmetric, load_keys
from crossauth_backend.core.options import MAX_SECONDS, REQUIRED, option
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.oauth.wire.metadata import check_metadata

COMPONENT = "OAuthTokenConsumer"
Introspection = Literal["never", "opaque", "always"]


class OAuthTokenConsumerOptions(TypedDict, total=False):
    """Options of `OAuthTokenConsumer`; the reference page in the docs says what each does."""

    access_token_types: list[str]
    algorithms: list[str]
    audience: str | list[str]
    auth_server_base_url: str
    clock_tolerance: int
    fetch_timeout: int
    fetcher: Fetcher
    introspection: Introspection
    introspection_cache_seconds: int
    introspection_client_id: str
    introspection_client_secret: str
    introspection_endpoint: str
    introspection_needs_audience: bool
    jwks_cooldown: int
    jwks_max_age: int
    jwt_key_type: str
    jwt_public_key: str
    jwt_public_key_file: str
    jwt_secret_key: str
    jwt_secret_key_file: str
    key_storage: KeyStorage
    oidc_config: Mapping[str, Any]
    persist_access_token: bool


class OAuthResourceServerOptions(TypedDict, total=False):
    """Options of `OAuthResourceServer`; the reference page in the docs says what each does."""

    implied_scopes: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServerSettings:
    """`OAuthResourceServerOptions`, parsed."""

    implied_scopes: Mapping[str, Sequence[str]] = option({}, doc='Scopes that another scope includes, such as `{"write": ["read"]}`.')  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConsumerSettings:
    """`OAuthTokenConsumerOptions`, parsed."""

    auth_server_base_url: str = option(REQUIRED, env="AUTH_SERVER_BASE_URL", doc="URL of the authorization server. Tokens must have exactly it as `iss`, and its metadata exactly it as `issuer`: a slash at the end counts.")  # fmt: skip
    audience: str | list[str] | None = option(None, env="OAUTH_AUDIENCE", not_empty=True, shown="first argument", doc="What this server is called in tokens. Tokens must have one of them in `aud`.")  # fmt: skip
    jwt_key_type: str = option("", env="JWT_KEY_TYPE", doc="Algorithm of a key that is given here, such as `RS256` or `HS256`. Without a key here, keys are fetched from the authorization server.")  # fmt: skip
    jwt_secret_key: str | None = option(None, env="JWT_SECRET_KEY", not_empty=True, needs="jwt_key_type", doc="Secret that tokens are signed with.")  # fmt: skip
    jwt_secret_key_file: str | None = option(None, env="JWT_SECRET_KEY_FILE", not_empty=True, needs="jwt_key_type", not_with="jwt_secret_key", doc="File with that secret.")  # fmt: skip
    jwt_public_key: str | None = option(None, env="JWT_PUBLIC_KEY", not_empty=True, needs="jwt_key_type", doc="Public key that verifies tokens: PEM, JWK or JWK set.")  # fmt: skip
    jwt_public_key_file: str | None = option(None, env="JWT_PUBLIC_KEY_FILE", not_empty=True, needs="jwt_key_type", not_with="jwt_public_key", doc="File with that key.")  # fmt: skip
    algorithms: list[str] | None = option(None, not_empty=True, shown="every public-key algorithm", doc="Algorithms that tokens may be signed with.")  # fmt: skip
    access_token_types: list[str] = option(["at+jwt"], not_empty=True, doc='Header `typ` of access tokens (RFC 9068). `JWT` is accepted besides where a claim says that it is an access token; name it here for servers whose tokens do not say so.')  # fmt: skip
    clock_tolerance: int = option(10, env="OAUTH_CLOCK_TOLERANCE", at_least=0, at_most=300, doc="Seconds by which clocks may differ.")  # fmt: skip
    oidc_config: Mapping[str, Any] | None = option(None, doc="Metadata of the authorization server, instead of fetching it.")  # fmt: skip
    persist_access_token: bool = option(False, env="OAUTH_PERSIST_ACCESS_TOKEN", needs="key_storage", doc="Whether an access token must also be in `key_storage`, so that it can be revoked. For one that shares its storage with the authorization server.")  # fmt: skip
    key_storage: KeyStorage | None = option(None, needs="persist_access_token", doc="Where issued access tokens are looked up.")  # fmt: skip
    introspection: Introspection = option("never", env="OAUTH_INTROSPECTION", needs="introspection_client_id", doc="Which tokens the authorization server is asked about (RFC 7662): `opaque` ones, that is those that are no JWT, or `always`, so that a revoked JWT is refused.")  # fmt: skip
    introspection_client_id: str | None = option(None, env="OAUTH_INTROSPECTION_CLIENT_ID", not_empty=True, doc="Client that this server is at the introspection endpoint.")  # fmt: skip
    introspection_client_secret: str | None = option(None, env="OAUTH_INTROSPECTION_CLIENT_SECRET", not_empty=True, needs="introspection_client_id", doc="Its secret.")  # fmt: skip
    introspection_endpoint: str | None = option(None, env="OAUTH_INTROSPECTION_ENDPOINT", not_empty=True, needs="introspection_client_id", shown="from the metadata", doc="URL of the introspection endpoint.")  # fmt: skip
    introspection_cache_seconds: int = option(10, needs="introspection_client_id", env="OAUTH_INTROSPECTION_CACHE_SECONDS", at_least=0, at_most=3600, doc="Seconds for which an active token is not asked about again, and so may outlive its revocation; never past its `exp`.")  # fmt: skip
    introspection_needs_audience: bool = option(True, needs="introspection_client_id", env="OAUTH_INTROSPECTION_NEEDS_AUDIENCE", doc="Whether an answer without `aud` is refused. Only for authorization servers that give each resource server its own tokens set it to false.")  # fmt: skip
    jwks_cooldown: int = option(30, env="OAUTH_JWKS_COOLDOWN", at_least=1, at_most=86_400, doc="Seconds between two fetches of keys, whatever tokens arrive.")  # fmt: skip
    jwks_max_age: int = option(600, env="OAUTH_JWKS_MAX_AGE", at_least=1, at_most=MAX_SECONDS, doc="Seconds after which keys are fetched anew, in the background; a key that was withdrawn is accepted for so long.")  # fmt: skip
    fetch_timeout: int = option(5, env="OAUTH_FETCH_TIMEOUT", at_least=1, at_most=60, doc="Seconds that a request to the authorization server may take.")  # fmt: skip
    fetcher: Fetcher | None = option(
        None, doc="What sends requests to the authorization server, instead of our client."
    )

    def audiences(self) -> tuple[str, ...]:
        """The audiences, always as a tuple."""
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience or ())


def check_settings(settings: TokenConsumerSettings) -> None:
    """Refuse options that cannot take effect together.

    Raises:
        CrossauthError: `Configuration`, naming the option and what is right.
    """
    url = settings.auth_server_base_url
    if not is_secure_url(url) or "?" in url or "{" in url:
        raise wrong("option 'auth_server_base_url' must be an https URL without query, or http on localhost")
    if not settings.audiences() or not all(settings.audiences()):
        raise wrong("option 'audience' is required: what this server is called in tokens")
    if settings.introspection_endpoint is not None and not is_secure_url(settings.introspection_endpoint):
        raise wrong("option 'introspection_endpoint' must be an https URL, or http on localhost")
    if settings.introspection_client_id is not None and settings.introspection == "never":
        raise wrong("option 'introspection_client_id' has no effect without 'introspection': 'opaque' or 'always'")
    if settings.oidc_config is not None:
        check_config(settings.oidc_config, url)
    _check_algorithms(settings)


def check_config(config: Mapping[str, Any], issuer: str) -> None:
    """Refuse metadata of another authorization server.

    Raises:
        CrossauthError: `Configuration`, naming the member that is wrong.
    """
    try:
        check_metadata(config, issuer)
    except ValueError as e:
        raise wrong(f"option 'oidc_config': {e}") from None


def _check_algorithms(settings: TokenConsumerSettings) -> None:
    offered = ", ".join(ALGORITHMS)
    if settings.jwt_key_type and settings.jwt_key_type not in ALGORITHMS:
        raise wrong(f"option 'jwt_key_type' must be one of {offered}")
    for algorithm in settings.algorithms or ():
        if algorithm not in ALGORITHMS or is_symmetric(algorithm):
            raise wrong(f"option 'algorithms' may hold public-key algorithms among {offered}; for HS256 give a key")
    if settings.algorithms and settings.jwt_key_type:
        raise wrong("options 'algorithms' and 'jwt_key_type' say the same; leave the first out where a key is given")


class GivenKeys(Protocol):
    """The options that give keys."""

    @property
    def jwt_key_type(self) -> str:
        """Their algorithm."""

    @property
    def jwt_secret_key(self) -> str | None:
        """A secret."""

    @property
    def jwt_secret_key_file(self) -> str | None:
        """A file with one."""

    @property
    def jwt_public_key(self) -> str | None:
        """A public key."""

    @property
    def jwt_public_key_file(self) -> str | None:
        """A file with one."""


def local_keys(settings: GivenKeys, component: str = COMPONENT) -> VerificationKeys | None:
    """The keys that were configured; `None` where they are fetched.

    Parameters:
        settings: the options.
        component: whose they are, named in messages.

    Raises:
        CrossauthError: `Configuration`, naming the option.
    """
    secret = _text(settings.jwt_secret_key, settings.jwt_secret_key_file, "jwt_secret_key_file", component)
    public = _text(settings.jwt_public_key, settings.jwt_public_key_file, "jwt_public_key_file", component)
    if secret is None and public is None:
        if settings.jwt_key_type:
            raise wrong("option 'jwt_key_type' has no effect without 'jwt_public_key' or 'jwt_secret_key'", component)
        return None
    symmetric = is_symmetric(settings.jwt_key_type)
    if (secret is not None) != symmetric or (public is not None) == symmetric:
        name = "jwt_secret_key" if symmetric else "jwt_public_key"
        raise wrong(f"option 'jwt_key_type' {settings.jwt_key_type} needs '{name}', and it alone", component)
    return load_keys(secret or public or "", settings.jwt_key_type)


def _text(value: str | None, file: str | None, name: str, component: str) -> str | None:
    if value is not None or file is None:
        return value
    try:
        text = Path(file).read_text()
    except (OSError, ValueError) as e:
        raise wrong(f"option {name!r}: the file cannot be read ({type(e).__name__})", component) from None
    return text.strip() if "-----BEGIN" not in text else text


def wrong(text: str, component: str = COMPONENT) -> CrossauthError:
    """A mistake in the options of a token consumer."""
    return CrossauthError(ErrorCode.Configuration, f"{component}: {text}")
