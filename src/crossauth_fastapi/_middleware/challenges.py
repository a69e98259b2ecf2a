"""What a refusal says of how to be let in: the header `WWW-Authenticate` (RFC 9110 §11.6.1)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_fastapi._middleware.state import RequestState

HEADER: Final = "WWW-Authenticate"


class Challenged(CrossauthError):
    """A credential was sent and is refused, and its scheme has something to say of that (RFC 6750 §3.1)."""

    challenge: str


class ScopeMissing(CrossauthError):
    """Whoever asks is known, and was not given `scopes`.

    Parameters:
        scopes: those that are needed, as the header names them (RFC 6750 §3.1).
    """

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(ErrorCode.InsufficientScope)
        self.scopes = scopes


def with_challenges(response: Response, state: RequestState, reason: CrossauthError) -> Response:
    """`response`, to which a 401 adds how a request may say who is asking, and a 403 which scopes were lacking.

    Parameters:
        response: the answer to a program; browsers are sent to a page.
        state: the request.
        reason: why it is refused.
    """
    challenges = state.site.challenges
    if reason.http_status == 401:
        own = reason.challenge if isinstance(reason, Challenged) else None
        for name, challenge in challenges.items():
            response.headers.append(HEADER, own if own is not None and name == "bearer" else challenge)
    elif isinstance(reason, ScopeMissing):
        for name, identity in state.identities.items():
            if identity is state.principal and name in challenges:
                lacking = f'error="insufficient_scope", scope="{" ".join(reason.scopes)}"'
                response.headers.append(HEADER, f"{challenges[name]}, {lacking}")
    return response
