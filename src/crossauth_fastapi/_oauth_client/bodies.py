"""The fields of requests and answers of the OAuth client, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from crossauth_fastapi._actions.forms import CheckedLater, CsrfBody
from crossauth_fastapi._http.openapi import TITLED

_SCOPE = "Scopes to ask for, separated by blanks (RFC 6749 §3.3); left out, `default_scope`."


class ScopeBody(CsrfBody):
    """Beginning a flow."""

    scope: str | None = Field(None, description=_SCOPE)


class RefreshBody(CsrfBody):
    """Renewing tokens."""

    refresh_token: str | None = Field(None, description="Left out, the one of the session.")


class PasswordBody(ScopeBody):
    """Logging in at the authorization server with username and password."""

    username: CheckedLater = Field(description="The user's name there.")
    password: CheckedLater = Field(description="The user's password there.")


class OtpBody(ScopeBody):
    """The one-time code of the password flow."""

    mfa_token: CheckedLater = Field(description="As the page before has it.")
    otp: CheckedLater = Field(description="The code.")
    challenge_type: str | None = Field(None, description="`otp`.")


class OobBody(ScopeBody):
    """The out-of-band code of the password flow."""

    mfa_token: CheckedLater = Field(description="As the page before has it.")
    oob_code: CheckedLater = Field(description="As the page before has it.")
    binding_code: str | None = Field(None, description="The code that was sent, where `binding_method` is `prompt`.")
    oob: str | None = Field(None, description="Another name for `binding_code`.")
    binding_method: str | None = Field(None, description="As the page before has it.")
    challenge_type: str | None = Field(None, description="As the page before has it.")
    oob_channel: str | None = Field(None, description="As the page before has it.")
    name: str | None = Field(None, description="As the page before has it.")


class DeviceCodeBodyType(ScopeBody):
    """Beginning the device code flow."""


class DeviceCodePollBodyType(CsrfBody):
    """Asking whether the device code flow is complete."""

    device_code: CheckedLater = Field(description="As the answer has it with which the flow began.")


class DeviceCodeFlowResponse(BaseModel):
    """What the user needs to go on at another device (RFC 8628 §3.2)."""

    model_config = TITLED | ConfigDict(extra="allow")
    device_code: str | None = Field(
        None, description="To ask with whether the flow is complete. It is of use here alone, in this browser."
    )
    user_code: str | None = Field(None, description="What the user enters.")
    verification_uri: str | None = Field(None, description="Where the user enters it.")
    verification_uri_complete: str | None = Field(None, description="The same with the code in it.")
    verification_uri_qrdata: str | None = Field(None, description="A QR code of that, as a PNG in a `data:` URI.")
    expires_in: int | None = Field(None, description="Seconds until the code ends.")
    interval: int | None = Field(None, description="Seconds to wait between two questions.")
    error: str | None = Field(None, description="Why there is none, by its name in OAuth.")
    error_description: str | None = Field(None, description="The same for people.")


class TokensGiven(BaseModel):
    """The answer of a token endpoint; what of it is sent, `token_response_type` says."""

    model_config = TITLED | ConfigDict(extra="allow")
    ok: bool = Field(True, description="Whether there are tokens.")
    access_token: str | None = None
    refresh_token: str | None = None
    id_token: str | None = None
    id_payload: dict[str, Any] | None = Field(None, description="The claims of the ID token.")
    token_type: str | None = None
    scope: str | None = None
    expires_in: int | None = Field(None, description="Seconds until the access token ends.")
    error: str | None = Field(None, description="`authorization_pending` or `slow_down`, where asking again helps.")
    error_description: str | None = None
    interval: int | None = Field(None, description="Seconds to wait before asking again.")


class RefreshAnswer(BaseModel):
    """The tokens of the session are good."""

    model_config = TITLED
    ok: bool
    expires_at: int | None = Field(None, description="When the access token ends, in seconds since the epoch.")


class DecodeBody(CsrfBody):
    """Looking at tokens in the session."""

    decode: bool | None = Field(
        None, description="Whether the claims are shown, by default; otherwise the token itself, where it may be given."
    )


class HaveAnswer(BaseModel):
    """Whether there is such a token."""

    model_config = TITLED
    ok: bool


class ShownTokens(BaseModel):
    """Tokens of the session, by their names."""

    model_config = TITLED | ConfigDict(extra="allow")


class OwnClaims(BaseModel):
    """The claims of a token, or in `token` the token itself."""

    model_config = TITLED | ConfigDict(extra="allow")
