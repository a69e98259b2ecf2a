"""What a user and an OAuth account of the application must have."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

ID = TypeVar("ID")


class UserProtocol(Protocol[ID]):
    """A user: any object with these attributes."""

    id: ID
    email: str
    hashed_password: str
    is_active: bool
    is_superuser: bool
    is_verified: bool


class OAuthAccountProtocol(Protocol[ID]):
    """An account at a provider that a user logs in with."""

    id: ID
    oauth_name: str
    access_token: str
    expires_at: int | None
    refresh_token: str | None
    account_id: str
    account_email: str


UP = TypeVar("UP", bound="UserProtocol[Any]")
OAP = TypeVar("OAP", bound="OAuthAccountProtocol[Any]")


class UserOAuthProtocol(UserProtocol[ID], Generic[ID, OAP]):
    """A user with accounts at providers."""

    oauth_accounts: list[OAP]


UOAP = TypeVar("UOAP", bound="UserOAuthProtocol[Any, Any]")

__all__ = ["ID", "OAP", "UOAP", "UP", "OAuthAccountProtocol", "UserOAuthProtocol", "UserProtocol"]
