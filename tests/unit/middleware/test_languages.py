"""Requests that are served in the language that they ask for."""

import asyncio
from typing import Any

from crossauth_backend.core.languages import Languages
from crossauth_backend.core.texts import language
from crossauth_fastapi._middleware.languages import SpokenApp, languages_of
from crossauth_fastapi._session.options import SessionServerSettings


def served(header: bytes | None) -> str:
    """The language in which the application sees a request."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(language())

    scope = {"type": "http", "headers": [] if header is None else [(b"accept-language", header)]}
    spoken: Any = SpokenApp(app, Languages(("en", "de")))
    asyncio.run(spoken(scope, None, None))
    return seen[0]


def test_the_application_runs_in_the_language_of_the_request() -> None:
    assert [served(header) for header in (b"de-AT", b"it", b"\xff\xfe", None)] == ["de", "en", "en", "en"]
    assert language() == "en"


def test_options_that_say_nothing_tell_the_site_nothing() -> None:
    assert languages_of(SessionServerSettings(), "Server") == {}
    assert languages_of(SessionServerSettings(translate_json=True), "Server") == {"languages": Languages(in_json=True)}
