"""Extracts the texts for people from code and templates into the catalogue, and updates the translations.

With --check it only says whether the catalogue is up to date.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parent.parent
LOCALES: Final = ROOT / "src" / "crossauth_backend" / "locale"
TEMPLATE: Final = LOCALES / "crossauth.pot"
LANGUAGES: Final = ("de", "fr")
# Dates and the name of the tool would change for nothing; the rest says nothing.
CHANGING: Final = (
    '"POT-Creation', '"PO-Revision', '"Generated-By', '"Report-Msgid', '"Last-Translator', '"Language-Team',
    "# Copyright", "# FIRST", "#, fuzzy",
)  # fmt: skip
KEYWORDS: Final = {"_": None, "gettext": None, "mark": None, "ngettext": (1, 2), "mark_plural": (1, 2)}


def extracted() -> Catalog:
    """The texts that are in the code now."""
    catalogue = Catalog(domain="crossauth", project="crossauth", version="1", charset="utf-8", fuzzy=False)
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(
        ROOT / "src",
        methods,
        options,
        KEYWORDS,
        comment_tags=("Translators:",),
        strip_comment_tags=True,
        directory_filter=lambda folder: True,
    )
    for name, _line, message, comments, context in found:
        # Without the number of the line, which changes for nothing.
        catalogue.add(message, None, [(f"src/{name}", None)], auto_comments=comments, context=context)
    return catalogue


def read(path: Path) -> Catalog:
    """A catalogue as it is stored."""
    with path.open("rb") as file:
        return read_po(file, locale=None if path == TEMPLATE else path.parent.parent.name, domain="crossauth")


def texts_of(catalogue: Catalog) -> set[object]:
    """What a catalogue is to translate."""
    return {message.id for message in catalogue if message.id}


def main() -> int:
    """Write the catalogue and the translations; or say that they are not up to date."""
    found = extracted()
    if "--check" in sys.argv[1:]:
        stored = [TEMPLATE, *(_source(language) for language in LANGUAGES)]
        old = [path for path in stored if not path.is_file() or texts_of(read(path)) != texts_of(found)]
        for path in old:
            print(f"{path.relative_to(ROOT)} is not up to date: run make texts")
        return bool(old)
    _write(TEMPLATE, found)
    for language in LANGUAGES:
        path = _source(language)
        translated = (
            read(path) if path.is_file() else Catalog(locale=language, domain="crossauth", charset="utf-8", fuzzy=False)
        )
        translated.update(found, no_fuzzy_matching=True)
        translated.obsolete.clear()
        _write(path, translated)
        missing = sum(1 for message in translated if message.id and not message.string)
        print(f"{language}: {len(texts_of(translated))} texts, {missing} without a translation")
    return 0


def _source(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / "crossauth.po"


def _write(path: Path, catalogue: Catalog) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = BytesIO()
    write_po(written, catalogue, width=120, omit_header=False, sort_output=True)
    lines = written.getvalue().decode().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(CHANGING)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
