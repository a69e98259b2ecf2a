"""Access tokens that one server keeps in the session, for another on the same application that reads them there."""

from __future__ import annotations

from typing import Final, Protocol

from fastapi import FastAPI
from starlette.requests import HTTPConnection

_ATTRIBUTE: Final = "crossauth_kept_tokens"


class KeptTokens(Protocol):
    """Tokens that are kept encrypted, so that only their keeper can read them."""

    async def access_token(self, connection: HTTPConnection) -> str | None:
        """The access token of the request's session, renewed first where it has ended; `None` where there is none.

        Raises:
            CrossauthError: nobody can say now.
        """
        ...


def offer_tokens(app: FastAPI, name: str, tokens: KeptTokens) -> None:
    """Let the other servers on `app` read the tokens under `name` in the session data."""
    setattr(app.state, _ATTRIBUTE, {**getattr(app.state, _ATTRIBUTE, {}), name: tokens})


def kept_tokens(app: FastAPI, name: str) -> KeptTokens | None:
    """What reads the tokens under `name`; `None` where nobody keeps any there, so that they are what the data says."""
    found: dict[str, KeptTokens] = getattr(app.state, _ATTRIBUTE, {})
    return found.get(name)
