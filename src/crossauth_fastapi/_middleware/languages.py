"""The languages of a site, as the options of a server say."""

from __future__ import annotations

from typing import Protocol

from crossauth_backend.core.languages import Languages, read_languages


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
    """The languages that options ask for, for `tell_site`; nothing where they ask for none.

    Raises:
        CrossauthError: `Configuration`.
    """
    read = read_languages(settings.languages, settings.locale_dir, settings.translate_json, component)
    return {} if read is None else {"languages": read}
