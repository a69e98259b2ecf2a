"""What a flow with a provider rests on: its state, its proof key, and where it comes back to."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response
from pydantic import BaseModel

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.errors import ErrorCode as Reason
from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.core.secrets import derive_key, equal, hash_token, random_value, sign
from crossauth_backend.core.text import is_storable, same_mailbox
from crossauth_backend.keys.consume import consume_once
from crossauth_backend.sessions.cookie import HOST_PREFIX
from crossauth_fastapi._http.localhost import is_local
from crossauth_fastapi.fastapi_users._addresses import valid_address
from crossauth_fastapi.fastapi_users._cookies import cookie_value
from crossauth_fastapi.fastapi_users._core import Core
from crossauth_fastapi.fastapi_users._errors import ErrorCode, FurtherErrorCode, refused
from crossauth_fastapi.fastapi_users._provenemail import in_list, in_profile
from crossauth_fastapi.fastapi_users._records import credential_fingerprint
from crossauth_fastapi.fastapi_users.authentication.transport.cookie import CookieTransport
from crossauth_fastapi.fastapi_users.jwt import (
    JwtExpiredError,
    JwtInvalidError,
    SecretType,
    decode_jwt,
    generate_jwt,
    secret_value,
)
from crossauth_fastapi.fastapi_users.providers import ProviderClient, ProviderError

STATE_TOKEN_AUDIENCE: Final = "fastapi-users:oauth-state"
CSRF_TOKEN_KEY: Final = "csrftoken"
CSRF_TOKEN_COOKIE_NAME: Final = "fastapiusersoauthcsrf"
STATE_LIFETIME_SECONDS: Final = 3600
_BYTES: Final = 32
_CSRF: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST_FLOWS: Final = 4
_MAX_COOKIE: Final = 44 * _MOST_FLOWS
_ERROR: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# The host that Starlette's test client asks for.
_TEST_CLIENT: Final = "testserver"
_LOCAL: Final = ("localhost", "127.0.0.1", "::1", _TEST_CLIENT)
_MAX_ACCOUNT_ID: Final = 320
_MAX_TIME: Final = 2**31 - 1
logger = logging.getLogger("crossauth.fastapi_users")


class OAuth2AuthorizeResponse(BaseModel):
    """Where to send the user."""

    authorization_url: str


def generate_state_token(
    data: Mapping[str, Any], secret: SecretType, lifetime_seconds: int = STATE_LIFETIME_SECONDS
) -> str:
    """A signed state (RFC 6749 §10.12) with these claims."""
    return generate_jwt({**data, "aud": STATE_TOKEN_AUDIENCE}, secret, lifetime_seconds)


def generate_csrf_token() -> str:
    """A random text that binds a flow to a browser: 43 characters."""
    return random_value(_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrfCookie:
    """The cookie that binds a flow to a browser.

    On https it has the prefix `__Host-`, so that no neighbouring subdomain can set it to the value of a flow of its own
    (RFC 6265bis §4.1.3.2); not where the application configures a name or attributes that do not allow it. Then, as on
    http://localhost, it can be set from there.
    """

    name: str = CSRF_TOKEN_COOKIE_NAME
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    httponly: bool = True
    samesite: Literal["lax", "strict", "none"] = "lax"
    site_url: str | None = None

    def begin(self, request: Request, response: Response, csrf: str) -> None:
        """Bind one more flow to the browser: several may be under way, in two tabs or with two providers."""
        self._set(request, response, [*self._flows(request)[-(_MOST_FLOWS - 1) :], csrf])

    def holds(self, request: Request, csrf: object) -> bool:
        """Whether the browser began the flow of this `csrf`."""
        return isinstance(csrf, str) and any(equal(own, csrf) for own in self._flows(request))

    def end(self, request: Request, response: Response, csrf: object) -> None:
        """Forget one flow; the others go on."""
        self._set(request, response, [own for own in self._flows(request) if own != csrf])

    def _flows(self, request: Request) -> list[str]:
        return [
            own for own in cookie_value(request, self._name(request))[:_MAX_COOKIE].split(".") if _CSRF.fullmatch(own)
        ]

    def _name(self, request: Request) -> str:
        """What the cookie is called in a request: nothing else is read there."""
        configured = self.name != CSRF_TOKEN_COOKIE_NAME or self.path != "/" or self.domain is not None
        if configured or not self.secure or self._is_plain(request):
            return self.name
        return HOST_PREFIX + self.name

    def _is_plain(self, request: Request) -> bool:
        """Whether the site is on http, where there can be no prefix."""
        if self.site_url is not None:
            return urlsplit(self.site_url).scheme == "http"
        scope = request.scope
        if scope["scheme"] == "http" and request.headers.get("host") == _TEST_CLIENT:
            return True
        # Whatever the `ClientInfo`: a front end may ask on one port, and the provider sends back to another.
        version, client = scope.get("http_version", ""), scope.get("client")
        return is_local(scope["scheme"], version, client, scope["headers"], any_origin=True)

    def _set(self, request: Request, response: Response, flows: list[str]) -> None:
        lives = STATE_LIFETIME_SECONDS if flows else 0
        response.set_cookie(
            self._name(request), ".".join(flows), max_age=lives, path=self.path, domain=self.domain,
            secure=self.secure, httponly=self.httponly, samesite=self.samesite,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderToken:
    """What a provider answered to the code; `expires_at` is seconds since the epoch, `claims` are of a verified ID token."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: int | None
    claims: Mapping[str, Any] | None = field(default=None, repr=False)


class Account(NamedTuple):
    """An account at a provider."""

    id: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The flows of one router: with one provider, for one purpose.

    Parameters:
        client: the provider: a `ProviderClient`, or any object with the methods of httpx-oauth's `BaseOAuth2`.
        purpose: "login" with the backend's name, or "associate".
        secret: signs states.
        redirect_url: where the provider sends the user back to; where it is missing, the callback's URL on the site.
        route_name: the callback's route.
        cookie: binds a flow to a browser.
        core: marks states as used.
    """

    client: Any
    purpose: str
    secret: SecretType = field(repr=False)
    redirect_url: str | None
    route_name: str
    cookie: CsrfCookie
    core: Core

    def __post_init__(self) -> None:
        if not secret_value(self.secret):
            raise CrossauthError(Reason.Configuration, "OAuth: 'state_secret' must not be empty")
        back = self.redirect_url or self.core.site_url
        if isinstance(self.client, ProviderClient) and back is not None and not is_secure_url(back):
            raise CrossauthError(
                Reason.Configuration, "OAuth: 'redirect_url' and 'site_url' must be https URLs, or http on localhost"
            )

    async def begin(
        self, request: Request, response: Response, scopes: list[str] | None, user: Any = None
    ) -> OAuth2AuthorizeResponse:
        """Where to send the user; the cookie is set with `response`.

        Parameters:
            request, response: at hand.
            scopes: what to ask the provider for.
            user: whoever is logged in and links an account. The flow is over when what the login rests on changes.
        """
        csrf = generate_csrf_token()
        claims = {CSRF_TOKEN_KEY: csrf, "flow": self._flow, "jti": random_value(16), **_claims_of(user)}
        state = generate_state_token(claims, self.secret)
        arguments: dict[str, Any] = {}
        if self._takes_pkce:
            # RFC 7636 §4.2; the verifier is made again from the cookie when the user comes back.
            arguments = {"code_challenge": hash_token(self._verifier(csrf)), "code_challenge_method": "S256"}
        if isinstance(self.client, ProviderClient):
            arguments["nonce"] = self._nonce(csrf)
        back = self._redirect_url(request)
        try:
            url = await self.client.get_authorization_url(back, state, scopes, **arguments)
        except ProviderError as e:
            raise self._failed("get_authorization_url", str(e)) from e
        self.cookie.begin(request, response, csrf)
        return OAuth2AuthorizeResponse(authorization_url=url)

    async def finish(
        self,
        request: Request,
        code: str | None,
        state: str | None,
        error: str | None,
        user: Any = None,
        iss: str | None = None,
    ) -> ProviderToken:
        """The provider's token, for a user who came back in the browser that set out.

        The state is checked, and used up, before anything is asked of the provider.

        Parameters:
            request: at hand.
            code, state, error, iss: as they came; `iss` is looked at by clients that know their issuer (RFC 9207).
            user: whoever is logged in and links an account.

        Raises:
            HTTPException: 400 with the documented code, or 400 `OAUTH_PROVIDER_ERROR` where the provider refuses.
        """
        if code is None or error is not None:
            raise _provider_refusal(error)
        claims = self._claims(state)
        csrf = claims.get(CSRF_TOKEN_KEY)
        if not self.cookie.holds(request, csrf) or claims.get("flow") != self._flow:
            raise refused(ErrorCode.OAUTH_INVALID_STATE)
        requested = _claims_of(user)
        if claims.get("sub") != requested.get("sub"):
            raise HTTPException(400)
        if claims.get("mark") != requested.get("mark"):
            raise refused(ErrorCode.OAUTH_INVALID_STATE)
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        if not await consume_once(self.core.keys, f"oauth state {claims.get('jti')}", utc_now(), expires):
            raise refused(ErrorCode.OAUTH_INVALID_STATE)
        verifier = self._verifier(str(csrf)) if self._takes_pkce else None
        further: dict[str, Any] = {}
        if isinstance(self.client, ProviderClient):
            further = {"state": state, "nonce": self._nonce(str(csrf)), "iss": iss}
        try:
            token = await self.client.get_access_token(code, self._redirect_url(request), verifier, **further)
        except Exception as e:
            raise self._failed("get_access_token", type(e).__name__) from e
        return self._read_token(token)

    def leave(self, request: Request, response: Response, state: str | None) -> None:
        """Let the browser forget the flow of a state, which has ended."""
        try:
            csrf = decode_jwt(state or "", self.secret, [STATE_TOKEN_AUDIENCE]).get(CSRF_TOKEN_KEY)
        except JwtInvalidError:
            csrf = None
        self.cookie.end(request, response, csrf)

    async def account(self, token: ProviderToken) -> Account:
        """The account at the provider.

        Raises:
            HTTPException: 400 `OAUTH_NOT_AVAILABLE_EMAIL` where there is no address that could be registered, or
                `OAUTH_PROVIDER_ERROR` where the provider does not say whose account it is.
        """
        try:
            account_id, email = await self._account_of(token)
        except Exception as e:
            raise self._failed("get_id_email", type(e).__name__) from e
        number = isinstance(account_id, int) and not isinstance(account_id, bool)
        text = str(account_id) if number or isinstance(account_id, str) else ""
        if not 0 < len(text) <= _MAX_ACCOUNT_ID or not is_storable(text):
            raise self._failed("get_id_email", "no id")
        address = valid_address(email)
        if address is None:
            raise refused(ErrorCode.OAUTH_NOT_AVAILABLE_EMAIL)
        return Account(text, address)

    async def proves(self, token: ProviderToken, user: Any, email: str) -> bool:
        """Whether the provider says that the account has the user's own address, and that the address is proven."""
        return same_mailbox(email, user.email) and await self.says_verified(token, email)

    async def says_verified(self, token: ProviderToken, email: str) -> bool:
        """Whether the provider says that the address is proven."""
        if token.claims is not None:
            proven = self.client.proven_email(token.claims)
            return proven is not None and same_mailbox(proven, email)
        try:
            if hasattr(self.client, "get_emails"):
                return in_list(await self.client.get_emails(token.access_token), email)
            return in_profile(await self.client.get_profile(token.access_token), email, self.client.name)
        except Exception as e:
            logger.info("the provider %s gave no profile: %s", self.client.name, type(e).__name__)
            return False

    def _read_token(self, token: object) -> ProviderToken:
        """What of a provider's answer can be kept."""
        provided = token if isinstance(token, Mapping) else {}
        access, refresh, expires = (provided.get(name) for name in ("access_token", "refresh_token", "expires_at"))
        if not isinstance(access, str) or not access or not is_storable(access):
            raise self._failed("get_access_token", "no access token")
        own = isinstance(self.client, ProviderClient)
        claims = provided.get("id_payload") if own else None
        if own and not isinstance(claims, Mapping):
            raise self._failed("get_access_token", "it does not say who has logged in")
        sensible = isinstance(expires, (int, float)) and not isinstance(expires, bool) and 0 < expires <= _MAX_TIME
        return ProviderToken(
            access_token=access,
            refresh_token=refresh if isinstance(refresh, str) and is_storable(refresh) else None,
            expires_at=int(expires) if sensible else None,  # type: ignore[arg-type]
            claims=claims,
        )

    async def _account_of(self, token: ProviderToken) -> Any:
        if token.claims is not None:
            return self.client.account(token.claims)
        return await self.client.get_id_email(token.access_token)

    @property
    def _flow(self) -> str:
        return f"{self.client.name} {self.purpose}"

    @property
    def _takes_pkce(self) -> bool:
        return "code_challenge" in inspect.signature(self.client.get_authorization_url).parameters

    def _verifier(self, csrf: str) -> str:
        return self._derived(csrf, "oauth proof key")

    def _nonce(self, csrf: str) -> str:
        """OpenID Connect Core §3.1.2.1: bound to the browser, as the cookie is, and of no use to whoever reads it."""
        return self._derived(csrf, "oauth nonce")

    def _derived(self, csrf: str, purpose: str) -> str:
        return sign(csrf, derive_key(secret_value(self.secret), purpose)).rpartition(".")[2]

    def _claims(self, state: str | None) -> dict[str, Any]:
        try:
            return decode_jwt(state or "", self.secret, [STATE_TOKEN_AUDIENCE], needs_exp=True)
        except JwtExpiredError as e:
            raise refused(ErrorCode.ACCESS_TOKEN_ALREADY_EXPIRED) from e
        except JwtInvalidError as e:
            raise refused(ErrorCode.ACCESS_TOKEN_DECODE_ERROR) from e

    def _failed(self, what: str, why: str) -> HTTPException:
        # Of the provider's words nothing goes on to the client; they may hold a code or a token.
        logger.warning("%s of the provider %s failed: %s", what, self.client.name, why)
        return refused(FurtherErrorCode.OAUTH_PROVIDER_ERROR)

    def _redirect_url(self, request: Request) -> str:
        if self.redirect_url is not None:
            return self.redirect_url
        path = request.url_for(self.route_name).path
        if self.core.site_url is not None:
            return self.core.site_url.rstrip("/") + path
        if urlsplit(str(request.base_url)).hostname not in _LOCAL:
            # A Host header says what its sender likes; whoever follows the URL would come back there, with a code.
            logger.error("OAuth: give the router a 'redirect_url', or FastAPIUsers a 'site_url'")
            raise refused(FurtherErrorCode.OAUTH_REDIRECT_URL_NEEDED)
        return str(request.url_for(self.route_name))


def _claims_of(user: Any) -> dict[str, str]:
    """What the state of a flow says of whoever began it."""
    return {"sub": str(user.id), "mark": hash_token(credential_fingerprint(user))[:22]} if user is not None else {}


def _provider_refusal(error: str | None) -> HTTPException:
    """What the provider said (RFC 6749 §4.1.2.1), where it is a word such as `access_denied`."""
    if error is None:
        return HTTPException(400)
    if _ERROR.fullmatch(error):
        return HTTPException(400, error)
    return refused(FurtherErrorCode.OAUTH_PROVIDER_ERROR)


def check_redirect(url: str, transport: Any) -> None:
    """Refuse to hand out tokens in URLs.

    Raises:
        CrossauthError: `Configuration`.
    """
    if not isinstance(transport, CookieTransport):
        raise CrossauthError(
            Reason.Configuration, f"OAuth: only a CookieTransport can redirect to {url}; a token would be in the URL"
        )
