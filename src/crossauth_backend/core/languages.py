"""Which language a request is answered in: `Accept-Language` (RFC 9110 §12.5.4) against the languages that the site has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.texts import DEFAULT_LANGUAGE, Language, is_translated, unreadable_catalogue

# What browsers send is shorter by far. Longer ones are not read at all, so that nobody makes us work.
MAX_HEADER: Final = 512
MAX_RANGES: Final = 32
_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,7}")
_RANGE: Final = re.compile(
    r"(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7})[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


class Languages:
    """The languages of one site.

    Parameters:
        tags: the tags that it is shown in; the first one is its default.
        folder: the application's own catalogues; an empty text where it has none.
        in_json: whether texts in JSON are translated too.
    """

    def __init__(self, tags: Sequence[str] = (DEFAULT_LANGUAGE,), folder: str = "", in_json: bool = False) -> None:
        self.tags, self.folder, self.in_json = tuple(tags), folder, in_json
        self._chosen = lru_cache(256)(self._choose)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Languages) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def choose(self, header: str) -> Language:
        """Return the language for a request with the header `Accept-Language`: what suits it best, else the default."""
        if len(self.tags) == 1 or not header or len(header) > MAX_HEADER:
            return self._language(self.tags[0])
        return self._chosen(header)

    def _key(self) -> tuple[tuple[str, ...], str, bool]:
        return self.tags, self.folder, self.in_json

    def _choose(self, header: str) -> Language:
        requested = parse_accept_language(header)
        refused = {tag for tag, quality in requested if quality == 0}
        allowed = [tag for tag in self.tags if tag.lower() not in refused]
        for tag, quality in requested:
            found = _best(tag, allowed) if quality else None
            if found is not None:
                return self._language(found)
        return self._language(self.tags[0])

    def _language(self, tag: str) -> Language:
        return Language(tag, self.folder, len(self.tags) > 1, self.in_json)


def read_languages(
    tags: Sequence[str] | None, folder: str | None, in_json: bool | None, component: str
) -> Languages | None:
    """Return the languages that options ask for; `None` where they ask for nothing.

    Parameters:
        tags: the option `languages`.
        folder: the option `locale_dir`.
        in_json: the option `translate_json`.
        component: whose options they are, for messages.

    Raises:
        CrossauthError: `Configuration` for what is no language tag, is said twice, or has no catalogue, and for a folder that
            is not there.
    """
    if tags is None and folder is None and not in_json:
        return None
    if folder is not None and not Path(folder).is_dir():
        raise CrossauthError(
            ErrorCode.Configuration, f"{component}: option 'locale_dir': there is no folder {folder!r:.200}"
        )
    tags = [DEFAULT_LANGUAGE] if tags is None else list(tags)
    if len({tag.lower() for tag in tags}) != len(tags):
        raise _wrong(component, "a language is given twice")
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise _wrong(component, f"{tag!r} is not a language tag such as 'de' or 'pt-BR'")
        if why := unreadable_catalogue(tag, folder or ""):
            raise CrossauthError(
                ErrorCode.Configuration,
                f"{component}: option 'locale_dir': the texts in {tag!r} cannot be read ({why:.200})",
            )
        if not is_translated(tag, folder or ""):
            raise _wrong(
                component,
                f"there are no texts in {tag!r}: choose from 'en', 'de' and 'fr', or add "
                f"{tag.replace('-', '_')}/LC_MESSAGES/crossauth.mo to the folder that the option 'locale_dir' names",
            )
    return Languages(tags, folder or "", bool(in_json))


def parse_accept_language(header: str) -> list[tuple[str, float]]:
    """Return the language ranges of a header in lower case with their weights, the most wanted first.

    What is not well-formed is left out; of a header that is too long or has too many ranges, nothing is read.
    """
    if len(header) > MAX_HEADER:
        return []
    parts = header.split(",", MAX_RANGES)
    if len(parts) > MAX_RANGES:
        return []
    found = [_RANGE.fullmatch(part.strip(" \t")) for part in parts]
    ranges = [(match[1].lower(), float(match[2] or 1)) for match in found if match]
    # Sorting is stable: of equal weights, the first counts.
    return sorted(ranges, key=lambda one: -one[1])


def _best(wanted: str, tags: Sequence[str]) -> str | None:
    """The one of `tags` that fits a range: itself, a less specific one (RFC 4647 §3.4), or else a more specific one."""
    if wanted == "*":
        return tags[0] if tags else None
    known = {tag.lower(): tag for tag in reversed(tags)}
    shorter = wanted
    while shorter:
        if shorter in known:
            return known[shorter]
        shorter = shorter.rpartition("-")[0]
    return next((tag for tag in tags if tag.lower().startswith(f"{wanted}-")), None)


def _wrong(component: str, what: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"{component}: option 'languages': {what}")
