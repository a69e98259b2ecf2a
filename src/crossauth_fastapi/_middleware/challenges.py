"""What a refusal says of how to be let in: the header `WWW-Authenticate` (RFC 9110 §11.6.1)."""

from __future__ import annotations

from starlette.responses import Response

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.bearer import extended_challenge
from crossauth_backend.oauth.wire.errors import InsufficientScope, InsufficientUserAuthentication
from crossauth_fastapi._http.errors import LoginRequired
from crossauth_fastapi._http.oautherrors import CHALLENGE_HEADER
from crossauth_fastapi._middleware.state import RequestState


class Challenged(CrossauthError):
    """A credential was sent and is refused, and its scheme has something to say of that (RFC 6750 §3.1)."""

    challenge: str
    scopes: tuple[str, ...] = ()
    """Scopes that the route needs."""


class StepUpRequired(Challenged):
    """The user of a token has to log in again, or with more, before this is done (RFC 9470 §3).

    Parameters:
        text: what is lacking.
        scheme: how to send a token, as any other 401 says it.
        max_age: seconds for which a login counts; `None` where it is not its age.
    """

    def __init__(self, text: str, scheme: str, max_age: int | None) -> None:
        super().__init__(ErrorCode.Unauthorized, text)
        self.challenge = extended_challenge(scheme, InsufficientUserAuthentication(text), max_age=max_age)


class ScopeMissing(CrossauthError):
    """Whoever asks is known, and was not given `scopes`.

    Parameters:
        scopes: those that are needed, as the header names them (RFC 6750 §3.1).
    """

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(ErrorCode.InsufficientScope)
        self.scopes = scopes


def with_challenges(response: Response, state: RequestState, reason: CrossauthError) -> Response:
    """`response`, to which a 401 adds how a request may say who is asking, a 400 what was wrong with the token that it carries,
    and a 403 which scopes were lacking.

    Parameters:
        response: the answer to a program; browsers are sent to a page.
        state: the request.
        reason: why it is refused.
    """
    challenges = state.site.challenges
    is_malformed = reason.http_status == 400 and isinstance(reason, Challenged)
    if reason.http_status == 401 or is_malformed:
        accepted = reason.credentials if isinstance(reason, LoginRequired) else None
        accepted = frozenset({"bearer"}) if is_malformed else accepted
        for name, challenge in challenges.items():
            if accepted is None or name in accepted:
                response.headers.append(
                    CHALLENGE_HEADER, _of_token(challenge, reason) if name == "bearer" else challenge
                )
    elif isinstance(reason, ScopeMissing):
        for name, identity in state.identities.items():
            if identity is state.principal and name in challenges:
                lacking = InsufficientScope("", scopes=reason.scopes)
                response.headers.append(CHALLENGE_HEADER, extended_challenge(challenges[name], lacking))
    return response


def _of_token(challenge: str, reason: CrossauthError) -> str:
    """The challenge for access tokens: what was wrong with one that was sent, and the scopes that are needed (RFC 6750 §3)."""
    if not isinstance(reason, (Challenged, LoginRequired)):
        return challenge
    declared = reason.challenge if isinstance(reason, Challenged) else challenge
    return extended_challenge(declared, scopes=reason.scopes)
