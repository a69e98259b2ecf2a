"""The tokens of one login as they are kept, and what a refresh makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from crossauth_backend.core.jose.verify import read_object
from crossauth_backend.oauth.client.responses import OAuthTokenResponse, OAuthTokenResponseWithExpiry

# A token that ends while a request is under way is of no use.
LEEWAY: Final = timedelta(seconds=10)
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "access_token": (str,), "refresh_token": (str, type(None)), "id_token": (str, type(None)),
    "id_payload": (dict, type(None)), "token_type": (str,), "scope": (str, type(None)), "expires_at": (int, type(None)),
    "issuer": (str,), "saved_at": (int,), "flow": (str,), "opened_session": (bool,),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSet:
    """The tokens of one login.

    Parameters:
        access_token: as it came.
        refresh_token: as it came; `None` where there is none.
        id_token: as it came; `None` where there is none.
        id_payload: its verified claims.
        token_type: how the access token is used; `Bearer`.
        scope: what was granted, where the provider says so.
        expires_at: when the access token ends, in seconds since the epoch; `None` where the provider does not say.
        issuer: who issued them.
        saved_at: when the login was, in seconds since the epoch; a refresh keeps it.
        flow: the flow that they came by.
        opened_session: whether the login opened a session of a local account, which then ends with it.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    id_payload: dict[str, Any] | None = field(default=None, repr=False)
    token_type: str = "Bearer"
    scope: str | None = None
    expires_at: int | None = None
    issuer: str
    saved_at: int
    flow: str
    opened_session: bool = False

    @classmethod
    def from_response(
        cls,
        response: OAuthTokenResponse,
        *,
        issuer: str,
        now: datetime,
        flow: str,
        before: TokenSet | None = None,
    ) -> TokenSet:
        """The tokens of a response that is no error.

        Parameters:
            response: as a flow of the client returned it.
            issuer: of the client.
            now: when it came.
            flow: how.
            before: the tokens that it renews; what the response leaves out is kept of them.

        Raises:
            ValueError: there is no access token in it.
        """
        if before is not None:
            return before.refreshed(response, now)
        return cls(
            access_token=_access_token(response), refresh_token=response.get("refresh_token"),
            id_token=response.get("id_token"), id_payload=response.get("id_payload"),
            token_type=response.get("token_type", "Bearer"), scope=response.get("scope"),
            expires_at=_expires_at(response, now), issuer=issuer, saved_at=int(now.timestamp()), flow=flow,
        )  # fmt: skip

    def refreshed(self, response: OAuthTokenResponse, now: datetime) -> TokenSet:
        """These tokens after a refresh (RFC 6749 §6): what the answer leaves out stays as it was.

        Raises:
            ValueError: there is no access token in the answer.
        """
        return replace(
            self, access_token=_access_token(response),
            refresh_token=response.get("refresh_token", self.refresh_token),
            id_token=response.get("id_token", self.id_token), id_payload=response.get("id_payload", self.id_payload),
            token_type=response.get("token_type", self.token_type), scope=response.get("scope", self.scope),
            expires_at=_expires_at(response, now),
        )  # fmt: skip

    def is_expired(self, now: datetime, leeway: timedelta = LEEWAY) -> bool:
        """Whether the access token has ended, or is about to; one whose end is not known has not."""
        return self.expires_at is not None and self.expires_at <= (now + leeway).timestamp()

    def response(self, now: datetime) -> OAuthTokenResponseWithExpiry:
        """These tokens as a token response, with the seconds that the access token has left."""
        found: OAuthTokenResponseWithExpiry = {"access_token": self.access_token, "token_type": self.token_type}
        if self.refresh_token is not None:
            found["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            found["id_token"] = self.id_token
        if self.id_payload is not None:
            found["id_payload"] = self.id_payload
        if self.scope is not None:
            found["scope"] = self.scope
        if self.expires_at is not None:
            found["expires_at"] = self.expires_at
            found["expires_in"] = max(0, self.expires_at - int(now.timestamp()))
        return found

    def to_json(self) -> str:
        """All of it, tokens included, as text: to be encrypted before it is kept."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """What `to_json` made.

        Raises:
            ValueError: it is anything else.
        """
        try:
            found = read_object(text)
        except (ValueError, RecursionError):
            raise ValueError("no tokens") from None
        if not found.keys() <= _KINDS.keys() or not all(_is(found.get(n), n) for n in _KINDS if n in found):
            raise ValueError("no tokens")
        try:
            return cls(**found)
        except TypeError:
            raise ValueError("no tokens") from None


def is_final(error: str | None) -> bool:
    """Whether an error of a refresh says that the tokens are gone for good; after any other, trying again may help."""
    return error == "invalid_grant"


def _access_token(response: OAuthTokenResponse) -> str:
    token = response.get("access_token")
    if token is None or "error" in response:
        raise ValueError("there is no access token in the response")
    return token


def _expires_at(response: OAuthTokenResponse, now: datetime) -> int | None:
    # Zero seconds are an end, and not none.
    seconds = response.get("expires_in")
    return None if seconds is None else int(now.timestamp()) + seconds


def _is(value: object, name: str) -> bool:
    kinds = _KINDS[name]
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
