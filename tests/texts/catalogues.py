"""Catalogues that tests write: an application's own, and pseudo-locales of every text."""

import re
from collections.abc import Mapping
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from scripts.update_texts import extracted, texts_of


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


ACCENTS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "áƀçđéƒğĥíĵķłɱñóþǫŕšŧúṽŵẋýžÁɃÇĐÉƑĞĤÍĴĶŁṀÑÓÞǪŔŠŦÚṼŴẊÝŽ"
)
FIELD = re.compile(r"(%\(\w+\)[sd]|\{\w+\})")


def accented(text: str) -> str:
    """A text that can be read and has no letter of the English alphabet, but for what is filled in."""
    return "".join(part if FIELD.fullmatch(part) else part.translate(ACCENTS) for part in FIELD.split(text))


def pseudo_locale(folder: Path, tag: str) -> str:
    """A catalogue in which every text is accented."""
    ids = texts_of(extracted())
    pairs = {i: accented(i) if isinstance(i, str) else tuple(map(accented, i)) for i in ids}  # type: ignore[call-overload]
    return write(folder, tag, pairs)
