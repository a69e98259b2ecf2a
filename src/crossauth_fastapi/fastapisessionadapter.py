"""Door: what Crossauth needs of a cookie-based session, its own or somebody else's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from fastapi import Request

from crossauth_backend.keys.data import KeyDataEntry
from crossauth_backend.users.record import User


class FastApiSessionAdapter(ABC):
    """Implement this to let Crossauth work on sessions that are not its own, and pass it as `session_adapter`.

    `FastApiSessionServer` implements it too.
    """

    @abstractmethod
    def csrf_protection_enabled(self) -> bool:
        """Whether `get_csrf_token` says which requests are protected; `False` where the framework does so by itself."""

    @abstractmethod
    def get_csrf_token(self, request: Request) -> str | None:
        """The CSRF token of a request that carried a valid one, or that may be shown on its page; else `None`."""

    @abstractmethod
    def get_user(self, request: Request) -> User | None:
        """The user who is logged in."""

    @abstractmethod
    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        """Set one entry of the session data, leaving the others.

        Parameters:
            request: the request.
            name: the entry; dots address nested objects.
            value: a JSON value.

        Raises:
            CrossauthError: `InvalidSession` where the request has no session.
        """

    @abstractmethod
    async def update_many_session_data(self, request: Request, data_array: list[KeyDataEntry]) -> None:
        """As `update_session_data`, for several entries, all or none."""

    @abstractmethod
    async def delete_session_data(self, request: Request, name: str) -> None:
        """Remove one entry of the session data, leaving the others."""

    @abstractmethod
    async def get_session_data(self, request: Request, name: str) -> Any:
        """One entry of the session data, or `None`."""
