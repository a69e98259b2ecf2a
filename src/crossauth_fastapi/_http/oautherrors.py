"""Refusals in the words of OAuth: as the JSON of the token endpoint, as a redirect to the client, as a bearer challenge.

The classes are in `crossauth_backend.oauth.wire.errors`. What is refused for a reason of our own gets one of them here, by one
table, whatever endpoint refuses it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire import errors as wire
from crossauth_backend.oauth.wire.errors import OAuthError
from crossauth_fastapi._http.errors import NO_STORE, as_reason, sanitised, with_retry_after
from crossauth_fastapi._http.redirects import see_other, with_more_query

logger = logging.getLogger("crossauth.oauth")
CHALLENGE_HEADER: Final = "WWW-Authenticate"
# Of a client that sends its secret in the header (RFC 6749 §2.3.1).
CLIENT_CHALLENGE: Final = 'Basic realm="oauth"'

_C = ErrorCode
# Reasons that have a name of their own in OAuth. Others go by their status, see `_by_status`.
_TABLE: Final[Mapping[ErrorCode, type[OAuthError]]] = {
    _C.UnauthorizedClient: wire.UnauthorizedClient,
    _C.InvalidClientId: wire.InvalidClient,
    _C.InvalidClientSecret: wire.InvalidClient,
    _C.InvalidClientIdOrSecret: wire.InvalidClient,
    # A redirect URI is checked where a request comes with it; at registration the provider raises the class itself.
    _C.InvalidRedirectUri: wire.InvalidRequest,
    _C.InvalidScope: wire.InvalidScope,
    _C.InsufficientScope: wire.InsufficientScope,
    _C.InvalidToken: wire.InvalidToken,
    _C.Expired: wire.ExpiredToken,
    _C.ExpiredToken: wire.ExpiredToken,
    _C.MfaRequired: wire.MfaRequired,
    _C.AuthorizationPending: wire.AuthorizationPending,
    _C.SlowDown: wire.SlowDown,
    # The password grant has one error for wrong credentials (RFC 6749 §5.2).
    _C.UsernameOrPasswordInvalid: wire.InvalidGrant,
}


def as_oauth_error(e: Exception) -> OAuthError:
    """What OAuth calls a refusal.

    The text goes along where it is for the client, and never where something went wrong on our side.
    """
    if isinstance(e, OAuthError):
        return e
    if not isinstance(e, CrossauthError):
        return wire.ServerError(detail=type(e).__name__)
    reason = sanitised(e)
    if reason.http_status >= 500:
        return failure_of_ours(reason)
    kind = _TABLE.get(reason.code) or _by_status(reason.http_status)
    return kind(reason.message, detail=reason.detail)


def failure_of_ours(e: CrossauthError) -> OAuthError:
    """A failure that a client is told of without its text."""
    kind = wire.TemporarilyUnavailable if e.http_status == 503 else wire.ServerError
    return kind(detail=e.detail or e.message)


def _by_status(status: int) -> type[OAuthError]:
    if status in (401, 403):
        return wire.AccessDenied
    return wire.TemporarilyUnavailable if status == 429 else wire.InvalidRequest


def oauth_json(e: Exception, *, challenge: str | None = CLIENT_CHALLENGE) -> Response:
    """A refusal as the JSON of the token endpoint and its like (RFC 6749 §5.2).

    Parameters:
        e: a refusal in any form, or an unexpected exception, which is logged.
        challenge: how a client authenticates, for a 401; `None` where the client did not try by a header. It is answered 400
            then, which §5.2 allows: a 401 has to say how (RFC 9110 §11.6.1), and a browser would ask its user.
    """
    error = _logged(e)
    status = 429 if isinstance(e, CrossauthError) and e.http_status == 429 else error.status
    headers = dict(NO_STORE)
    if status == 401 and challenge is not None:
        headers[CHALLENGE_HEADER] = challenge
    elif status == 401:
        status = 400
    response = JSONResponse(error.body(), status, headers=headers)
    return with_retry_after(response, e) if isinstance(e, CrossauthError) else response


def oauth_redirect(redirect_uri: str, e: Exception, *, state: str | None = None, issuer: str | None = None) -> Response:
    """A refusal of the authorization endpoint, sent back to the client (RFC 6749 §4.1.2.1).

    Parameters:
        redirect_uri: of the client, checked; its own query stays (§3.1.2).
        e: a refusal in any form, or an unexpected exception, which is logged.
        state: as the client sent it.
        issuer: of this server (RFC 9207).

    Raises:
        OAuthError: where the client may not be told: it is for the error page.
    """
    error = _logged(e)
    if not error.may_redirect:
        raise error
    response = see_other(with_more_query(redirect_uri, error.parameters(state, issuer)))
    response.headers.update(NO_STORE)
    return response


def bearer_refusal(error: OAuthError | None, challenge: str, body: Mapping[str, Any]) -> Response:
    """The answer of a protected resource (RFC 6750 §3).

    Parameters:
        error: why; `None` where no token was sent.
        challenge: see `bearer_challenge`.
        body: of a refusal that is the caller's to mend; of any other it is the OAuth error.
    """
    status = 401 if error is None else error.status
    if error is not None:
        _log(error)
    if error is not None and status >= 500:
        return JSONResponse(error.body(), status, headers=NO_STORE)
    return JSONResponse(dict(body), status, headers={**NO_STORE, CHALLENGE_HEADER: challenge})


def _logged(e: Exception) -> OAuthError:
    error = as_oauth_error(e)
    if isinstance(e, OAuthError):
        _log(error)
    else:
        as_reason(e)
    return error


def _log(error: OAuthError) -> None:
    level = logging.ERROR if error.status >= 500 else logging.INFO
    logger.log(level, "refused: %s%s", error.name, f" ({error.detail})" if error.detail else "")
