"""The languages of a site, as the options of a server say, and requests that are served in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from crossauth_backend.core.languages import Languages, read_languages
from crossauth_backend.core.texts import in_language


class SpeaksLanguages(Protocol):
    """Options of a server that say which languages the site has."""

    @property
    def languages(self) -> list[str] | None:
        """The tags."""
        ...

    @property
    def locale_dir(self) -> str | None:
        """The application's own catalogues."""
        ...

    @property
    def translate_json(self) -> bool:
        """Whether JSON is translated too."""
        ...


def languages_of(settings: SpeaksLanguages, component: str) -> dict[str, Languages]:
    """The languages that options ask for, for `set_site_facts`; nothing where they ask for none.

    Raises:
        CrossauthError: `Configuration`.
    """
    read = read_languages(settings.languages, settings.locale_dir, settings.translate_json, component)
    return {} if read is None else {"languages": read}


@dataclass(frozen=True, slots=True)
class SpokenApp:
    """Serves each request in the language that it asks for: its pages, and the mails that it causes.

    Parameters:
        app: what comes next.
        languages: those of the site.
    """

    app: ASGIApp
    languages: Languages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        with in_language(self.languages.choose(Headers(scope=scope).get("accept-language", ""))):
            await self.app(scope, receive, send)
