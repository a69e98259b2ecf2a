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
    """A router of routes whose path has at most one parameter, at its end: one look says whether any of them is meant."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: set[str] = set()
        self._beginnings: tuple[str, ...] = ()

    def add_api_route(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Add a route; a parameter of `path` must be its last part."""
        beginning, brace, rest = path.partition("{")
        assert rest.count("/") == 0
        if brace:
            self._beginnings = (*self._beginnings, beginning)
        else:
            self._paths.add(path)
        super().add_api_route(path, *args, **kwargs)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether one of the routes is meant."""
        path = route_path(scope)
        if path not in self._paths and not path.startswith(self._beginnings):
            return Match.NONE, {}
        return super().matches(scope)


def route_path(scope: Scope) -> str:
    """The path by which Starlette finds a route: without the root path, where the path begins with it."""
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    if root_path and path.startswith(root_path) and path[len(root_path) :][:1] in ("", "/"):
        return path[len(root_path) :]
    return path
