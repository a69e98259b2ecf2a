"""What a provider for tests knows and gives out: users, clients, grants, and the tokens that it issues for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crossauth_backend.core.clock import Clock, utc_now
from crossauth_backend.core.jose import SigningKeys, TokenType, generate_signing_key
from crossauth_backend.core.secrets import digest, equal, random_value, to_base64url
from crossauth_backend.testing.fake_provider_faults import ProviderFault, signed
from crossauth_backend.testing.provider import AnyFault, FakeIssuer
from crossauth_backend.testing.wire import Received, Reply

CLIENT_ID: Final = "client"
CLIENT_SECRET: Final = "the secret of the client"
PUBLIC_CLIENT_ID: Final = "public"
_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "email_verified"),
    "profile": ("name", "given_name", "family_name", "preferred_username", "picture", "locale"),
}


@dataclass(kw_only=True)
class Grant:
    """What somebody agreed to.

    Parameters:
        client_id: who may use it.
        sub: the user; `None` where the client acts for itself.
        scope: what was asked for.
        audience: `aud` of its access tokens.
        sid: the session of the user's browser at the provider.
        auth_time: when the user logged in.
        nonce: of the authorization request.
        redirect_uri: where the code was sent.
        challenge: of PKCE (RFC 7636 §4.2).
        issued: when.
    """

    client_id: str
    sub: str | None
    scope: list[str]
    audience: str
    issued: datetime
    sid: str = ""
    auth_time: int = 0
    nonce: str | None = None
    redirect_uri: str | None = None
    challenge: str | None = None
    tokens: set[str] = field(default_factory=set)
    """Everything that was issued for it, so that it can be revoked together."""


@dataclass(kw_only=True)
class ProviderSettings:
    """How a well-behaved provider behaves; every one of these may be changed while it runs.

    Parameters:
        audience: `aud` of access tokens where the client names no resource (RFC 8707).
        token_lifetime: of access tokens, in seconds.
        id_token_lifetime: in seconds.
        refresh_tokens: whether users' clients get them; `"offline_access"`: only with that scope.
        rotate: a refresh token is used once, and its reuse ends the grant (RFC 9700 §4.14.2).
        id_token_on_refresh: whether a refresh brings a new ID token.
        id_token_claims: whether the user's claims are in the ID token, besides the userinfo endpoint.
        opaque_access_tokens: whether only introspection says something of them.
        signed_userinfo: whether the userinfo endpoint answers with a JWT (OpenID Connect Core §5.3.2).
        iss_parameter: whether browsers are sent back with `iss` (RFC 9207).
        require_pkce: whether an authorization request needs a challenge.
        token_auth_methods: how clients may authenticate; `None` says nothing in the metadata, which means Basic.
        redirect_uris: where browsers may be sent back; `None` is everywhere.
        post_logout_redirect_uris: the same after a logout.
        backchannel_logout: the URL of each client that is told of logouts.
        device_interval: seconds between two polls.
        device_lifetime: seconds until a user code expires.
        metadata: further members of the metadata, or other values; `None` leaves one out.
        claims: the same of ID tokens.
    """

    audience: str = "api"
    token_lifetime: int = 300
    id_token_lifetime: int = 300
    refresh_tokens: bool | str = True
    rotate: bool = True
    id_token_on_refresh: bool = True
    id_token_claims: bool = True
    opaque_access_tokens: bool = False
    signed_userinfo: bool = False
    iss_parameter: bool = True
    require_pkce: bool = False
    token_auth_methods: list[str] | None = field(
        default_factory=lambda: ["client_secret_basic", "client_secret_post", "none"]
    )
    redirect_uris: list[str] | None = None
    post_logout_redirect_uris: list[str] | None = None
    backchannel_logout: dict[str, str] = field(default_factory=dict)
    device_interval: int = 5
    device_lifetime: int = 600
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)


class ProviderBase(FakeIssuer):
    """What the endpoints of a `FakeProvider` work with.

    Parameters:
        path: of its URL after host and port.
        algorithms: its keys, one for each; the first is the default.
        clock: what time it is.
    """

    def __init__(self, path: str = "", algorithms: tuple[str, ...] = ("ES256",), clock: Clock = utc_now) -> None:
        super().__init__(path, algorithms, clock)
        self.settings = ProviderSettings()
        self.clients |= {CLIENT_ID: CLIENT_SECRET, PUBLIC_CLIENT_ID: ""}
        """Secrets by client; a public client has an empty one."""
        self.user: str | None = "alice"
        """Who is logged in at the browser, by `sub`; `None` refuses every authorization."""
        self.users: dict[str, dict[str, Any]] = {"alice": _claims_of("alice"), "bob": _claims_of("bob")}
        """What it says of each user, by `sub`."""
        self.passwords: dict[str, str] = {"alice": "password of alice", "bob": "password of bob"}
        self.received: list[Received] = []
        """Every request, the latest last."""
        self.codes: dict[str, Grant] = {}
        self.access_tokens: dict[str, Grant] = {}
        self.expiries: dict[str, int] = {}
        """When each access token expires, in seconds since the epoch."""
        self.refresh_tokens: dict[str, Grant] = {}
        self.used: dict[str, Grant] = {}
        """Codes and refresh tokens that were used up: who sends one again ends the grant."""
        self.sessions: dict[str, str] = {}
        """`sid` of the browser of each user who is logged in."""

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self._clock().timestamp())

    @property
    def base(self) -> str:
        """The issuer without a slash at its end."""
        return self.url.removesuffix("/")

    def client_of(self, received: Received) -> str | Reply:
        """The client that sent a request to the token endpoint, or the refusal (RFC 6749 §2.3)."""
        basic, fields = received.basic, received.fields
        if basic is not None and "client_secret" in fields:
            return failed("invalid_request", "two ways of authentication")
        client, secret, method = fields.get("client_id", ""), fields.get("client_secret", ""), "client_secret_post"
        if basic is not None:
            client, secret, method = *basic, "client_secret_basic"
        elif not secret:
            method = "none"
        allowed = self.settings.token_auth_methods or ["client_secret_basic", "none"]
        if client in self.clients and equal(self.clients[client], secret) and method in allowed:
            return client
        return failed("invalid_client", "unknown client, or not with this secret in this way", 401)

    def grant(self, client_id: str, sub: str | None, scope: str, audience: str | None = None, **more: Any) -> Grant:
        """A new grant.

        Parameters:
            client_id: of whom.
            sub: the user.
            scope: with blanks between.
            audience: the resource that was named.
            more: further members of `Grant`.
        """
        sid = "" if sub is None else self.sessions.setdefault(sub, random_value(12))
        return Grant(
            client_id=client_id, sub=sub, scope=scope.split(), audience=audience or self.settings.audience,
            issued=self._clock(), sid=sid, auth_time=self.now, **more,
        )  # fmt: skip

    def token_response(self, grant: Grant, fault: AnyFault | None = None, *, refreshed: bool = False) -> dict[str, Any]:
        """What the token endpoint says (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).

        Parameters:
            grant: for what.
            fault: what is wrong with it.
            refreshed: whether it is a refresh, and so brings no new refresh token unless they rotate.
        """
        access_token = self.access_token(grant)
        declared: dict[str, Any] = {
            "access_token": access_token, "token_type": "Bearer", "expires_in": self.settings.token_lifetime,
        }  # fmt: skip
        if grant.scope:
            declared["scope"] = " ".join(grant.scope)
        if self._gets_refresh_token(grant, refreshed):
            declared["refresh_token"] = self.refresh_token(grant)
        if "openid" in grant.scope and grant.sub and (not refreshed or self.settings.id_token_on_refresh):
            declared["id_token"] = self.id_token(grant, fault, access_token=access_token, refreshed=refreshed)
        return _spoiled_response(declared, fault)

    def access_token(self, grant: Grant) -> str:
        """A new access token (RFC 9068), or an opaque one."""
        expiry = self.now + self.settings.token_lifetime
        issue = self.issue_opaque_token if self.settings.opaque_access_tokens else self.issue_token
        declared: dict[str, Any] = {
            "aud": grant.audience, "sub": grant.sub or grant.client_id, "client_id": grant.client_id,
            "scope": " ".join(grant.scope) or None, "exp": expiry,
        }  # fmt: skip
        token = issue(**declared)
        self.access_tokens[token], self.expiries[token] = grant, expiry
        grant.tokens.add(token)
        return token

    def refresh_token(self, grant: Grant) -> str:
        """A new refresh token."""
        token = random_value(32)
        self.refresh_tokens[token] = grant
        grant.tokens.add(token)
        return token

    def id_token(
        self, grant: Grant, fault: AnyFault | None = None, *, access_token: str | None = None, refreshed: bool = False
    ) -> str:
        """A new ID token (OpenID Connect Core §2, §12.2).

        Parameters:
            grant: for what.
            fault: what is wrong with it.
            access_token: that it comes with.
            refreshed: whether it comes from a refresh, and so without a nonce.
        """
        at_hash = None if access_token is None else to_base64url(digest(access_token.encode())[:16])
        declared: dict[str, Any] = {
            "iss": self.url, "aud": grant.client_id, "sub": grant.sub, "iat": self.now, "auth_time": grant.auth_time,
            "exp": self.now + self.settings.id_token_lifetime, "sid": grant.sid, "at_hash": at_hash, "jti": random_value(16),
            "nonce": None if refreshed else grant.nonce,
            **(self.claims_of(grant) if self.settings.id_token_claims else {}), **self.settings.claims,
        }  # fmt: skip
        return self.sign(declared, TokenType.JWT, fault)

    def sign(self, claims: Mapping[str, Any], kind: TokenType, fault: AnyFault | None = None) -> str:
        """Sign claims, with a fault; those that are `None` are left out."""
        if fault is ProviderFault.WRONG_ALGORITHM and not self.keys.upcoming:
            other = "ES256" if self.keys.signer().algorithm != "ES256" else "ES384"
            self.keys = SigningKeys(self.keys.current, (generate_signing_key(other),), self.keys.retired)
        return signed(claims, self.keys, kind, fault)

    def claims_of(self, grant: Grant) -> dict[str, Any]:
        """What is said of the user by the scopes (OpenID Connect Core §5.4)."""
        known = self.users.get(grant.sub or "", {})
        gated = {name: scope for scope, names in _SCOPES.items() for name in names}
        return {name: value for name, value in known.items() if gated.get(name, "openid") in grant.scope}

    def revoke(self, grant: Grant) -> None:
        """End everything that was issued for a grant."""
        for token in grant.tokens:
            self.access_tokens.pop(token, None)
            self.tokens.pop(token, None)
            self.refresh_tokens.pop(token, None)

    def _gets_refresh_token(self, grant: Grant, refreshed: bool) -> bool:
        requested = self.settings.refresh_tokens
        if grant.sub is None or (refreshed and not self.settings.rotate):
            return False
        return requested in grant.scope if isinstance(requested, str) else requested


def failed(error: str, description: str = "", status: int = 400, **more: Any) -> Reply:
    """An OAuth error (RFC 6749 §5.2)."""
    return Reply(
        status, {"error": error, "error_description": description or error, **more}, {"Cache-Control": "no-store"}
    )


def _claims_of(name: str) -> dict[str, Any]:
    return {
        "email": f"{name}@example.com", "email_verified": True, "name": name.capitalize(), "preferred_username": name,
    }  # fmt: skip


def _spoiled_response(said: dict[str, Any], fault: AnyFault | None) -> dict[str, Any]:
    changes: Mapping[AnyFault | None, Mapping[str, Any]] = {
        ProviderFault.NO_ID_TOKEN: {"id_token": None},
        ProviderFault.NO_ACCESS_TOKEN: {"access_token": None},
        ProviderFault.NO_TOKEN_TYPE: {"token_type": None},
        ProviderFault.WRONG_TOKEN_TYPE: {"token_type": "mac"},
        ProviderFault.WRONG_EXPIRES_IN: {"expires_in": "soon"},
        ProviderFault.WRONG_TYPES: {"access_token": ["a"], "refresh_token": {"r": 1}, "expires_in": [], "scope": {}},
    }
    return {name: value for name, value in {**said, **changes.get(fault, {})}.items() if value is not None}
