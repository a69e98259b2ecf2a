"""Refusals in the words of OAuth, and how they are answered (RFC 6750 §3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.errors import OAuthError, ServerError, TemporarilyUnavailable
from crossauth_fastapi._http.errors import NO_STORE
from crossauth_fastapi._middleware.challenges import HEADER, Challenged

logger = logging.getLogger("crossauth.oauth")
_CODES: Final[Mapping[int, ErrorCode]] = {
    400: ErrorCode.BadRequest, 401: ErrorCode.InvalidToken, 403: ErrorCode.InsufficientScope, 503: ErrorCode.Connection,
}  # fmt: skip


class BearerRefused(Challenged):
    """A token that was sent is refused, or nobody can say whether it is good.

    Parameters:
        oauth: why.
        challenge: what a 401 says of it.
    """

    def __init__(self, oauth: OAuthError, challenge: str) -> None:
        code = _CODES.get(oauth.status, ErrorCode.UnknownError)
        super().__init__(code, oauth.description or None, detail=oauth.detail, status=oauth.status)
        self.oauth, self.challenge = oauth, challenge

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of `request.state` that say so."""
        return {"auth_error": self.oauth.name, "auth_error_description": self.oauth.description}


def refusal_response(error: OAuthError | None, challenge: str, body: Mapping[str, Any]) -> Response:
    """The answer of a protected endpoint.

    Parameters:
        error: why; `None` where no token was sent.
        challenge: see `bearer_challenge`.
        body: of a refusal that is the caller's to mend; of any other it is the OAuth error.
    """
    status = 401 if error is None else error.status
    if error is not None:
        level = logging.ERROR if status >= 500 else logging.INFO
        logger.log(level, "refused: %s%s", error.name, f" ({error.detail})" if error.detail else "")
    if error is not None and status >= 500:
        return JSONResponse(error.body(), status, headers=NO_STORE)
    return JSONResponse(dict(body), status, headers={**NO_STORE, HEADER: challenge})


def as_oauth(e: CrossauthError) -> OAuthError:
    """A failure of our own, told to a client without its text."""
    kind = TemporarilyUnavailable if e.http_status == 503 else ServerError
    return kind(detail=e.detail or e.message)
