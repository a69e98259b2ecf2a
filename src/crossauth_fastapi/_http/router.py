"""A router whose routes cost other routes nothing.

FastAPI tries the routes of an application one after the other. Ours come before the application's own, so without this every
request would pay for all of them.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class ExactRouter(APIRouter):
    """A router of routes without path parameters: one look into a set says whether any of them is meant."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: set[str] = set()

    def add_api_route(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Add a route; `path` must have no parameters."""
        assert "{" not in path
        self._paths.add(path)
        super().add_api_route(path, *args, **kwargs)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether one of the routes is meant."""
        if scope["path"] not in self._paths and not scope.get("root_path"):
            return Match.NONE, {}
        return super().matches(scope)
