"""Reasons as answers: the one place where a refusal becomes a status, a JSON body or the variables of a page."""

from __future__ import annotations

import logging
from typing import Any, Final

from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.redaction import loggable
from crossauth_backend.core.texts import current_language, for_json, mark
from crossauth_backend.oauth.wire.errors import OAuthError
from crossauth_fastapi._http.openapi import TITLED

logger = logging.getLogger("crossauth.http")
NO_STORE: Final = {"Cache-Control": "no-store"}
_LOG_IN: Final = mark("Log in to continue")


class ErrorBody(BaseModel):
    """Error response."""

    model_config = TITLED
    ok: bool = Field(False, description="Always false.")
    errorMessage: str = Field(description="What was wrong, for people.")
    errorMessages: list[str] = Field(description="The same, one text per reason.")
    errorCode: int = Field(description="Number of the reason; rely on its name instead.")
    errorCodeName: str = Field(description="Stable name of the reason.")
    csrfToken: str | None = Field(None, description="The CSRF token to use from now on, where this answer replaces it.")


class LoginRequired(CrossauthError):
    """Nobody is logged in, where somebody must be.

    Parameters:
        text: what is said of it.
        scopes: scopes that are needed, for the challenge (RFC 6750 §3).
        credentials: names of the credentials that are accepted; `None` for any.
        again: whether somebody who is logged in has to log in once more.
        code: the reason.
    """

    def __init__(
        self,
        text: str = _LOG_IN,
        *,
        scopes: tuple[str, ...] = (),
        credentials: frozenset[str] | None = None,
        again: bool = False,
        code: ErrorCode = ErrorCode.Unauthorized,
    ) -> None:
        super().__init__(code, text)
        self.scopes, self.credentials, self.again = scopes, credentials, again

    @property
    def by_session(self) -> bool:
        """Whether logging in on a page is of any use."""
        return self.credentials is None or "session" in self.credentials


class PasswordRequired(CrossauthError):
    """The login is too old for this; the password has to be sent with it, in `field`."""

    def __init__(self, field: str = "password") -> None:
        super().__init__(
            ErrorCode.Unauthorized, mark("Enter your password to do this (field '%(field)s')", field=field)
        )
        self.field = field


def sanitised(e: CrossauthError) -> CrossauthError:
    """`e` as it may leave: whether the name or the password was wrong is nobody's business."""
    if e.code in (ErrorCode.UserNotExist, ErrorCode.PasswordInvalid):
        return CrossauthError(ErrorCode.UsernameOrPasswordInvalid)
    return e


def reason_of(e: OAuthError) -> CrossauthError:
    """An OAuth error as a reason, for pages and for the JSON of the session server."""
    code = CrossauthError.from_oauth_error(e.name).code
    if code is ErrorCode.UnknownError and e.status < 500:
        code = {401: ErrorCode.Unauthorized, 403: ErrorCode.Forbidden}.get(e.status, ErrorCode.BadRequest)
    return CrossauthError(code, e.description or None, detail=e.detail, status=e.status)


def as_reason(e: Exception) -> CrossauthError:
    """What is answered for `e`, after logging it. Texts of unexpected exceptions stay in the log.

    Raises:
        ClientDisconnect: where `e` is one: the client is not there to be answered.
    """
    if isinstance(e, ClientDisconnect):
        raise e
    if isinstance(e, OAuthError):
        e = reason_of(e)
    if isinstance(e, CrossauthError):
        reason = sanitised(e)
        level = logging.ERROR if reason.http_status >= 500 else logging.INFO
        logger.log(level, "refused: %s%s", e.code_name, f" ({e.detail})" if e.detail else "")
        return reason
    logger.error("unexpected exception", exc_info=loggable(e))
    return CrossauthError(ErrorCode.UnknownError)


def error_variables(e: CrossauthError) -> dict[str, Any]:
    """The documented fields of an error, for JSON and for pages."""
    return {
        "errorMessage": e.message,
        "errorMessages": e.messages,
        "errorCode": e.code.value,
        "errorCodeName": e.code_name,
        **({"passwordRequired": True, "field": e.field} if isinstance(e, PasswordRequired) else {}),
    }


def json_headers() -> dict[str, str]:
    """Headers of a JSON answer of ours: no cache keeps it, and it says where its texts depend on the reader's language."""
    chosen = current_language()
    return {**NO_STORE, "Vary": "Accept-Language"} if chosen.negotiated and chosen.in_json else NO_STORE


def error_json(e: CrossauthError, extra: dict[str, Any] | None = None) -> Response:
    """The JSON form of a refusal."""
    return with_retry_after(
        JSONResponse(
            for_json({"ok": False, **error_variables(e), **(extra or {})}), e.http_status, headers=json_headers()
        ),
        e,
    )


def with_retry_after(response: Response, e: CrossauthError) -> Response:
    """`response`, saying when the same request may succeed, where the reason knows (RFC 9110 §10.2.3)."""
    if e.retry_after is not None:
        response.headers["Retry-After"] = str(e.retry_after)
    return response
