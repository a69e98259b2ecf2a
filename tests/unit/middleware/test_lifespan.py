"""What an application opens is closed, also where it never gets as far as its first request."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._middleware.lifespan import Lifecycle


class Part:
    """Says what becomes of it, and refuses what it is told to."""

    def __init__(self, name: str, told: list[str], refuses: str = "") -> None:
        self.name, self.told, self.refuses = name, told, refuses

    async def start(self) -> None:
        await self._do("start")

    async def close(self) -> None:
        await self._do("close")

    async def _do(self, what: str) -> None:
        self.told.append(f"{what} {self.name}")
        if self.refuses == what:
            raise CrossauthError(ErrorCode.Configuration, f"{self.name} refuses to {what}")


def run(*parts: Part) -> None:
    """Start an application with these parts, and end it."""
    app, lifecycle = FastAPI(), Lifecycle(lambda: None)
    lifecycle.attach(app)
    lifecycle.add(parts)
    with TestClient(app):
        pass


def test_parts_are_closed_last_first() -> None:
    told: list[str] = []
    run(Part("a", told), Part("b", told))
    assert told == ["start a", "start b", "close b", "close a"]


def test_what_was_opened_before_a_refusal_is_closed() -> None:
    told: list[str] = []
    with pytest.raises(CrossauthError, match="b refuses to start"):
        run(Part("a", told), Part("b", told, "start"), Part("c", told))
    assert told[:2] == ["start a", "start b"]
    assert "close a" in told


def test_a_part_that_cannot_be_closed_keeps_no_other_open() -> None:
    told: list[str] = []
    with pytest.raises(CrossauthError, match="b refuses to close"):
        run(Part("a", told), Part("b", told, "close"))
    assert told[-2:] == ["close b", "close a"]
