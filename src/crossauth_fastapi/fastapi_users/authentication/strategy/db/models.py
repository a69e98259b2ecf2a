"""What a row of a token must have."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, TypeVar

from crossauth_fastapi.fastapi_users.models import ID


class AccessTokenProtocol(Protocol[ID]):
    """A stored token."""

    token: str
    user_id: ID
    created_at: datetime


AP = TypeVar("AP", bound="AccessTokenProtocol[Any]")
