"""One class per OAuth error: its name on the wire, its HTTP status, and whether it may be sent back by a redirect.

`OAuthError`
 ├ of the authorization endpoint (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6): they may redirect, to a checked URI
 ├ of the token endpoint (RFC 6749 §5.2, RFC 8628 §3.5, RFC 8707 §2)
 ├ of a protected resource (RFC 6750 §3.1, RFC 9470 §3)
 └ of registration (RFC 7591 §3.2.2) and revocation (RFC 7009 §2.2.1)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from crossauth_backend.oauth.wire.text import as_description


class OAuthError(Exception):
    """A refusal that has a name in OAuth.

    Parameters:
        description: public text; it goes to clients, so it must hold no secret and tell nothing of other users.
        detail: private text for the log.
    """

    name: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    may_redirect: ClassVar[bool] = False
    default_description: ClassVar[str] = ""

    def __init__(self, description: str | None = None, *, detail: str | None = None) -> None:
        self.description = as_description(self.default_description if description is None else description)
        self.detail = detail
        super().__init__(self.description or self.name)

    def body(self) -> dict[str, str]:
        """The JSON body (RFC 6749 §5.2)."""
        return {"error": self.name} | ({"error_description": self.description} if self.description else {})

    def parameters(self, state: str | None = None, issuer: str | None = None) -> dict[str, str]:
        """The parameters that are sent back to the client (RFC 6749 §4.1.2.1).

        Parameters:
            state: as the client sent it; `None` where it sent none.
            issuer: who refuses, against mix-ups of servers (RFC 9207 §2).
        """
        more = {"state": state, "iss": issuer}
        return self.body() | {name: value for name, value in more.items() if value is not None}


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, malformed or contradicts another."""

    name, status, may_redirect = "invalid_request", 400, True


class UnauthorizedClient(OAuthError):
    """The client may not use this grant or response type."""

    name, status, may_redirect = "unauthorized_client", 400, True


class AccessDenied(OAuthError):
    """The user or the server refused."""

    name, status, may_redirect = "access_denied", 400, True


class UnsupportedResponseType(OAuthError):
    """The response type is not offered."""

    name, status, may_redirect = "unsupported_response_type", 400, True


class InvalidScope(OAuthError):
    """The scope is unknown, malformed or more than was granted."""

    name, status, may_redirect = "invalid_scope", 400, True


class ServerError(OAuthError):
    """Something went wrong on our side."""

    name, status, may_redirect = "server_error", 500, True
    default_description = "Something went wrong on the server"


class TemporarilyUnavailable(OAuthError):
    """Something that this server depends on does not answer; the same request may succeed later."""

    name, status, may_redirect = "temporarily_unavailable", 503, True
    default_description = "The server cannot do this at the moment. Try again later"


class InvalidClient(OAuthError):
    """Client authentication failed."""

    name, status = "invalid_client", 401
    default_description = "Client authentication failed"


class InvalidGrant(OAuthError):
    """The authorization code, refresh token or other grant is invalid, expired, revoked or another client's."""

    name, status = "invalid_grant", 400


class UnsupportedGrantType(OAuthError):
    """The grant type is not offered."""

    name, status = "unsupported_grant_type", 400


class AuthorizationPending(OAuthError):
    """The user has not decided yet (RFC 8628 §3.5)."""

    name, status = "authorization_pending", 400


class SlowDown(OAuthError):
    """The device polls too often (RFC 8628 §3.5)."""

    name, status = "slow_down", 400


class ExpiredToken(OAuthError):
    """The device code has expired (RFC 8628 §3.5)."""

    name, status = "expired_token", 400


class MfaRequired(OAuthError):
    """The password grant needs a second factor."""

    name, status = "mfa_required", 401


class InvalidTarget(OAuthError):
    """The resource is unknown, malformed or not granted (RFC 8707 §2)."""

    name, status, may_redirect = "invalid_target", 400, True


class InvalidToken(OAuthError):
    """The access token is expired, revoked, malformed or not for this resource (RFC 6750 §3.1)."""

    name, status = "invalid_token", 401
    default_description = "The access token is not valid"


class InsufficientScope(OAuthError):
    """The access token does not have the scopes of this operation (RFC 6750 §3.1).

    Parameters:
        scopes: all that the operation needs, those that the token has included.
    """

    name, status = "insufficient_scope", 403
    default_description = "The access token does not have the scope that this needs"

    def __init__(
        self, description: str | None = None, *, scopes: tuple[str, ...] = (), detail: str | None = None
    ) -> None:
        super().__init__(description, detail=detail)
        self.scopes = scopes


class InsufficientUserAuthentication(OAuthError):
    """The user of the access token has to log in again, or with more (RFC 9470 §3)."""

    name, status = "insufficient_user_authentication", 401
    default_description = "This needs another login"


class UnsupportedTokenType(OAuthError):
    """Tokens of this kind cannot be revoked (RFC 7009 §2.2.1)."""

    name, status = "unsupported_token_type", 400


class LoginRequired(OAuthError):
    """`prompt=none`, and the user must log in (OpenID Connect Core §3.1.2.6)."""

    name, status, may_redirect = "login_required", 400, True


class ConsentRequired(OAuthError):
    """`prompt=none`, and the user must consent."""

    name, status, may_redirect = "consent_required", 400, True


class InteractionRequired(OAuthError):
    """`prompt=none`, and the user must do something."""

    name, status, may_redirect = "interaction_required", 400, True


class AccountSelectionRequired(OAuthError):
    """`prompt=none`, and the user must choose an account."""

    name, status, may_redirect = "account_selection_required", 400, True


class RequestNotSupported(OAuthError):
    """Request objects are not offered."""

    name, status, may_redirect = "request_not_supported", 400, True


class RequestUriNotSupported(OAuthError):
    """Request objects by reference are not offered."""

    name, status, may_redirect = "request_uri_not_supported", 400, True


class RegistrationNotSupported(OAuthError):
    """The `registration` parameter is not offered."""

    name, status, may_redirect = "registration_not_supported", 400, True


class InvalidRequestUri(OAuthError):
    """What `request_uri` names is gone or cannot be used."""

    name, status, may_redirect = "invalid_request_uri", 400, True


class InvalidRequestObject(OAuthError):
    """The request object is not valid."""

    name, status, may_redirect = "invalid_request_object", 400, True


class UnmetAuthenticationRequirements(OAuthError):
    """The login that was asked for cannot be had (OpenID Connect Core Unmet Authentication Requirements)."""

    name, status, may_redirect = "unmet_authentication_requirements", 400, True


class InvalidRedirectUri(OAuthError):
    """A redirect URI cannot be registered (RFC 7591 §3.2.2)."""

    name, status = "invalid_redirect_uri", 400


class InvalidClientMetadata(OAuthError):
    """A field of a client's metadata is not valid (RFC 7591 §3.2.2)."""

    name, status = "invalid_client_metadata", 400


def _all(base: type[OAuthError]) -> Iterator[type[OAuthError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _all(kind)


OAUTH_ERRORS: Final[dict[str, type[OAuthError]]] = {kind.name: kind for kind in _all(OAuthError)}
"""Every error by its name on the wire."""
