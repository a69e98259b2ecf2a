"""The fields of requests and answers about API keys, as OpenAPI shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from crossauth_fastapi._actions.forms import AsSent, CheckedLater, CsrfBody, Ok
from crossauth_fastapi._http.openapi import TITLED

_PASSWORD = "Your own, where you logged in some time ago."
_KEY = "The key, by the `id` that the list gives it."


class CreateApiKeyBody(CsrfBody):
    """Creating an API key. A page sends each scope as a box to tick, `scope_` and its name."""

    model_config = ConfigDict(extra="allow")
    name: CheckedLater = Field(description="What the key is for, to tell keys apart.")
    scope: str | None = Field(None, description="Its scopes, separated by blanks (RFC 6749 §3.3).")
    expiry: int | None = Field(
        None,
        description="Seconds after which it ends; 0 for never, where that is allowed. Left out, the server decides.",
    )
    password: AsSent = Field(None, description=_PASSWORD)


class AdminCreateApiKeyBody(CreateApiKeyBody):
    """Creating an API key for a user."""

    limit_requests: int | None = Field(None, description="How many requests it may make in `limit_seconds`.")
    limit_seconds: int | None = None


class RenameApiKeyBody(CsrfBody):
    """Giving an API key another name."""

    key: CheckedLater = Field(description=_KEY)
    name: CheckedLater = Field(description="What the key is for.")
    password: AsSent = Field(None, description=_PASSWORD)


class RotateApiKeyBody(CsrfBody):
    """Replacing the text of an API key."""

    key: CheckedLater = Field(description=_KEY)
    overlap: int | None = Field(None, description="Seconds that the old text still works; 0 ends it at once.")
    password: AsSent = Field(None, description=_PASSWORD)


class RevokeApiKeyBody(CsrfBody):
    """Revoking an API key, or all of them."""

    key: str | None = Field(None, description=_KEY)
    all: bool | None = Field(None, description="Revoke every key of the user.")
    password: AsSent = Field(None, description=_PASSWORD)


class ApiKeyLimit(BaseModel):
    """How many requests a key may make in how many seconds."""

    model_config = TITLED
    requests: int
    seconds: int


class ApiKeyView(BaseModel):
    """One API key. Its text is not stored, so it cannot be shown again."""

    model_config = TITLED
    id: str
    name: str
    hint: str = Field(description="How the text of the key begins.")
    scope: list[str] | None
    created: str
    expires: str | None = Field(description="When it ends; `null` for never.")
    lastUsed: str | None
    limit: ApiKeyLimit | None = Field(description="Its own limit of requests, where it has one.")
    replacedUntil: str | None = Field(description="Until when this text, which was rotated, still works.")


class ApiKeysAnswer(Ok):
    """A user's keys, newest first; after a rotation both texts of one are there for a while."""

    apiKeys: list[ApiKeyView]
    message: str | None = None


class NewApiKeyAnswer(Ok):
    """The key, and its text: it is shown only now, and stored nowhere."""

    apiKey: ApiKeyView
    token: str


class ApiKeyAnswer(Ok):
    """The key as it is now."""

    apiKey: ApiKeyView
    message: str | None = None
