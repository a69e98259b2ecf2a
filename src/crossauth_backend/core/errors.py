"""Every reason for which the library refuses something.

A reason is an `ErrorCode`: its name is stable and is what clients should rely on. One table below gives each code its
HTTP status and its default public text. Whatever must not reach a client (which user, which key, which column) goes
into `detail`, which is logged and never sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

from crossauth_backend.core.redaction import loggable
from crossauth_backend.core.texts import join, mark, mark_plural


class ErrorCode(Enum):
    """Stable names for the reasons; the numbers are part of the documented JSON shape."""

    UserNotExist = 1
    PasswordInvalid = 2
    EmailNotExist = 3
    UsernameOrPasswordInvalid = 4
    InvalidClientId = 5
    ClientExists = 6
    InvalidClientSecret = 7
    InvalidClientIdOrSecret = 8
    InvalidRedirectUri = 9
    InvalidOAuthFlow = 10
    UserNotActive = 11
    EmailNotVerified = 12
    TwoFactorIncomplete = 13
    Unauthorized = 14
    UnauthorizedClient = 15
    InvalidScope = 16
    InsufficientScope = 17
    InsufficientPriviledges = 18
    Forbidden = 19
    InvalidKey = 20
    InvalidCsrf = 21
    InvalidSession = 22
    Expired = 23
    Connection = 24
    InvalidHash = 25
    UnsupportedAlgorithm = 26
    KeyExists = 27
    PasswordChangeNeeded = 28
    PasswordResetNeeded = 29
    Factor2ResetNeeded = 30
    Configuration = 31
    InvalidEmail = 32
    InvalidPhoneNumber = 33
    InvalidUsername = 34
    PasswordMatch = 35
    InvalidToken = 36
    MfaRequired = 37
    PasswordFormat = 38
    DataFormat = 39
    FetchError = 40
    UserExists = 41
    FormEntry = 42
    BadRequest = 43
    AuthorizationPending = 44
    SlowDown = 45
    ExpiredToken = 46
    ConstraintViolation = 47
    NotImplemented = 48
    ValueError = 49
    UnknownError = 50
    TooManyAttempts = 51


class _Reason(NamedTuple):
    status: int
    text: str


_MINUTE: Final = 60
_C = ErrorCode
_REASONS: dict[ErrorCode, _Reason] = {
    _C.UserNotExist: _Reason(401, mark("There is no such user")),
    _C.PasswordInvalid: _Reason(401, mark("The password is incorrect")),
    _C.EmailNotExist: _Reason(401, mark("No user has this email address")),
    _C.UsernameOrPasswordInvalid: _Reason(401, mark("Invalid username or password")),
    _C.InvalidClientId: _Reason(401, mark("The client ID is unknown")),
    _C.ClientExists: _Reason(409, mark("A client with this ID or name already exists")),
    _C.InvalidClientSecret: _Reason(401, mark("The client secret is incorrect")),
    _C.InvalidClientIdOrSecret: _Reason(401, mark("The client ID or secret is incorrect")),
    _C.InvalidRedirectUri: _Reason(401, mark("The redirect URI is not registered for this client")),
    _C.InvalidOAuthFlow: _Reason(500, mark("This OAuth flow is unknown or not enabled")),
    _C.UserNotActive: _Reason(403, mark("This account isn't active")),
    _C.EmailNotVerified: _Reason(403, mark("You haven't verified your email address yet")),
    _C.TwoFactorIncomplete: _Reason(403, mark("You haven't finished setting up two-factor authentication")),
    _C.Unauthorized: _Reason(401, mark("You are not authorized to do this")),
    _C.UnauthorizedClient: _Reason(401, mark("The client is not authorized to do this")),
    _C.InvalidScope: _Reason(403, mark("The requested scope is invalid")),
    _C.InsufficientScope: _Reason(403, mark("The granted scope does not cover this")),
    _C.InsufficientPriviledges: _Reason(403, mark("You don't have permission to do this")),
    _C.Forbidden: _Reason(403, mark("This is not allowed")),
    _C.InvalidKey: _Reason(401, mark("The key or token is invalid")),
    _C.InvalidCsrf: _Reason(403, mark("Your session timed out. Reload the page and try again.")),
    _C.InvalidSession: _Reason(401, mark("Your session has ended. Log in again.")),
    _C.Expired: _Reason(401, mark("The key or token has expired")),
    _C.Connection: _Reason(503, mark("A service that this site depends on can't be reached")),
    _C.InvalidHash: _Reason(500, mark("A stored hash has an unknown format")),
    _C.UnsupportedAlgorithm: _Reason(500, mark("The algorithm is not supported")),
    _C.KeyExists: _Reason(409, mark("The key already exists")),
    _C.PasswordChangeNeeded: _Reason(403, mark("You need to choose a new password")),
    _C.PasswordResetNeeded: _Reason(403, mark("You need to reset your password")),
    _C.Factor2ResetNeeded: _Reason(403, mark("You need to set up two-factor authentication again")),
    _C.Configuration: _Reason(500, mark("The server isn't configured correctly")),
    _C.InvalidEmail: _Reason(400, mark("Enter a valid email address")),
    _C.InvalidPhoneNumber: _Reason(400, mark("Enter a valid phone number")),
    _C.InvalidUsername: _Reason(400, mark("Enter a valid username")),
    _C.PasswordMatch: _Reason(400, mark("The passwords don't match")),
    _C.InvalidToken: _Reason(401, mark("The token or code is invalid")),
    _C.MfaRequired: _Reason(401, mark("Two-factor authentication is required")),
    _C.PasswordFormat: _Reason(400, mark("The password doesn't meet the requirements")),
    _C.DataFormat: _Reason(500, mark("Stored data is not in the expected format")),
    _C.FetchError: _Reason(500, mark("Another server sent an invalid response")),
    _C.UserExists: _Reason(400, mark("This username or email address is already in use")),
    _C.FormEntry: _Reason(400, mark("A field is missing or invalid")),
    _C.BadRequest: _Reason(400, mark("The request is invalid")),
    _C.AuthorizationPending: _Reason(200, mark("The authorization is still pending")),
    _C.SlowDown: _Reason(200, mark("Polling too fast. Slow down.")),
    _C.ExpiredToken: _Reason(401, mark("The token has expired")),
    _C.ConstraintViolation: _Reason(409, mark("The change conflicts with stored data")),
    _C.NotImplemented: _Reason(500, mark("This is not implemented")),
    _C.ValueError: _Reason(500, mark("A value is invalid")),
    _C.UnknownError: _Reason(500, mark("Something went wrong on our side. Please try again.")),
    _C.TooManyAttempts: _Reason(429, mark("Too many attempts. Try again later.")),
}

_FROM_OAUTH: dict[str, ErrorCode] = {
    "invalid_request": _C.BadRequest,
    "unauthorized_client": _C.UnauthorizedClient,
    "access_denied": _C.Unauthorized,
    "unsupported_response_type": _C.BadRequest,
    "invalid_scope": _C.InvalidScope,
    "temporarily_unavailable": _C.Connection,
    "invalid_token": _C.InvalidToken,
    "insufficient_scope": _C.InsufficientScope,
    "expired_token": _C.ExpiredToken,
    "mfa_required": _C.MfaRequired,
    "authorization_pending": _C.AuthorizationPending,
    "slow_down": _C.SlowDown,
}

_TO_OAUTH: dict[ErrorCode, str] = {
    _C.BadRequest: "invalid_request",
    _C.UnauthorizedClient: "unauthorized_client",
    _C.Unauthorized: "access_denied",
    _C.InvalidScope: "invalid_scope",
    _C.Connection: "temporarily_unavailable",
    _C.InvalidToken: "invalid_token",
    _C.InsufficientScope: "insufficient_scope",
    _C.Expired: "expired_token",
    _C.ExpiredToken: "expired_token",
    _C.MfaRequired: "mfa_required",
    _C.AuthorizationPending: "authorization_pending",
    _C.SlowDown: "slow_down",
}


def _later(seconds: int) -> str:
    """When to try again, in words."""
    if seconds < _MINUTE:
        return mark_plural(
            "Too many attempts. Try again in %(n)d second.", "Too many attempts. Try again in %(n)d seconds.", seconds
        )
    minutes = -(-seconds // _MINUTE)
    return mark_plural(
        "Too many attempts. Try again in %(n)d minute.", "Too many attempts. Try again in %(n)d minutes.", minutes
    )


class CrossauthError(Exception):
    """A refusal with a stable reason.

    Parameters:
        code: the reason.
        message: public text, or a list of them; the code's default text when omitted. It is sent to clients, so it must
            name no other user and hold no secret.
        detail: private text for the log.
        status: another HTTP status than the code's own, for the few codes that stand for several (a body that is too
            large is a `BadRequest` with 413).
        retry_after: seconds after which the same request may succeed (RFC 9110 §10.2.3).
        fields: the fields that are wrong, with the public texts that a page shows beside each: `username`, `email`, `phone`,
            `password` (a new one), `repeat_password`, or the name of a column or form field.
    """

    isCrossAuthError = True

    def __init__(
        self,
        code: ErrorCode,
        message: str | Iterable[str] | None = None,
        *,
        detail: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        fields: Mapping[str, str | Iterable[str]] | None = None,
    ) -> None:
        reason = _REASONS[code]
        if message is None:
            messages = [reason.text if retry_after is None or code is not _C.TooManyAttempts else _later(retry_after)]
        elif isinstance(message, str):
            messages = [message]
        else:
            messages = list(message) or [reason.text]
        self.code = code
        self.code_name = code.name
        self.http_status = status or reason.status
        self.messages = messages
        self.message = messages[0] if len(messages) == 1 else join(messages)
        self.detail = detail
        self.retry_after = retry_after
        self.wrong_fields = {
            name: [texts] if isinstance(texts, str) else list(texts) for name, texts in (fields or {}).items()
        }
        super().__init__(self.message)

    @property
    def oauthErrorCode(self) -> str:
        """The OAuth error this reason is reported as (RFC 6749 §5.2); `server_error` where none fits."""
        return _TO_OAUTH.get(self.code, "server_error")

    @staticmethod
    def from_oauth_error(error: str, error_description: str | None = None) -> CrossauthError:
        """The reason that an OAuth error response (RFC 6749 §5.2) stands for; `UnknownError` where none fits."""
        return CrossauthError(_FROM_OAUTH.get(error, ErrorCode.UnknownError), error_description)

    @staticmethod
    def as_crossauth_error(e: object, default_message: str | None = None) -> CrossauthError:
        """`e` itself if it is a `CrossauthError`; anything else becomes `UnknownError`, its text kept private."""
        if isinstance(e, CrossauthError):
            return e
        told = loggable(e) if isinstance(e, BaseException) else e
        return CrossauthError(ErrorCode.UnknownError, default_message, detail=f"{type(e).__name__}: {told}")

    @staticmethod
    def http_status_name(status: int | str) -> str:
        """The phrase of an HTTP status (`404` → `Not Found`), for error pages."""
        try:
            return HTTPStatus(int(status)).phrase
        except ValueError:
            return "Unknown Error"
