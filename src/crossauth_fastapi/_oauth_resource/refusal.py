"""A token that was sent and is refused."""

from __future__ import annotations

from typing import Any

from crossauth_backend.oauth.wire.errors import OAuthError
from crossauth_fastapi._http.errors import reason_of
from crossauth_fastapi._middleware.challenges import Challenged


class BearerRefused(Challenged):
    """A token that was sent is refused, or nobody can say whether it is good.

    Parameters:
        oauth: why.
        challenge: what a 401 says of it.
    """

    def __init__(self, oauth: OAuthError, challenge: str) -> None:
        reason = reason_of(oauth)
        super().__init__(reason.code, oauth.description or None, detail=oauth.detail, status=oauth.status)
        self.oauth, self.challenge = oauth, challenge

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of `request.state` that say so."""
        return {"auth_error": self.oauth.name, "auth_error_description": self.oauth.description}
