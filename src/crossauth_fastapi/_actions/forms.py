"""What every form and every JSON answer of an action has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CsrfBody(BaseModel):
    """Every form carries a CSRF token, unless the header `X-CROSSAUTH-CSRF` does."""

    csrfToken: str | None = Field(None, description="CSRF token, where the header does not carry it.")


class Ok(BaseModel):
    """It was done."""

    model_config = ConfigDict(extra="allow")
    ok: bool
    csrfToken: str | None = Field(
        None, description="The CSRF token to use from now on, where this answer replaces it, as logging in or out does."
    )
