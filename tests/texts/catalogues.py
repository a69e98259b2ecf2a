"""Catalogues that tests write: an application's own, and pseudo-locales of every text."""

from collections.abc import Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo


def write(folder: Path, tag: str, texts: Mapping[str | tuple[str, ...], str | tuple[str, ...]]) -> str:
    """Write a compiled catalogue of an application's own, and return its folder."""
    catalogue = Catalog(locale="en", charset="utf-8", fuzzy=False)
    for text, translation in texts.items():
        catalogue.add(text, translation)
    path = folder / tag.replace("-", "_") / "LC_MESSAGES" / "crossauth.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_mo(file, catalogue)
    return str(folder)
