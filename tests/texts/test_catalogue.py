"""The catalogue is up to date, the translations that come with the package are complete, and what they fill in is there."""

import re
from io import BytesIO

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from scripts.update_texts import LANGUAGES, LOCALES, TEMPLATE, extracted, read, texts_of

FIELDS = re.compile(r"%\(\w+\)[sd]|(?<!%)%(?![(%])|\{\w+\}")


def catalogue(language: str) -> Catalog:
    return read(LOCALES / language / "LC_MESSAGES" / "crossauth.po")


def forms(texts: object) -> list[str]:
    """The forms of a text: one, or one for each number."""
    return [texts] if isinstance(texts, str) else list(texts)  # type: ignore[call-overload]


def test_the_catalogue_has_every_text_of_the_code() -> None:
    assert texts_of(read(TEMPLATE)) == texts_of(extracted()), "run make texts"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_is_complete(language: str) -> None:
    translated = catalogue(language)
    assert texts_of(translated) == texts_of(extracted()), "run make texts"
    missing = [m.id for m in translated if m.id and not all(forms(m.string) or [""])]
    assert missing == []
    assert [m.id for m in translated if m.id and m.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_fills_in_what_the_text_does(language: str) -> None:
    for message in catalogue(language):
        if message.id:
            expected = sorted(FIELDS.findall(forms(message.id)[-1]))
            for text in forms(message.string):
                assert sorted(FIELDS.findall(text)) == expected, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_ends_as_the_text_does(language: str) -> None:
    """A full stop or a colon that is lost in translation is a slip."""
    for message in catalogue(language):
        if message.id:
            last, translated = forms(message.id)[-1].rstrip()[-1], forms(message.string)[-1].rstrip()[-1]
            if last in ".:?":
                assert translated == last, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_can_be_compiled(language: str) -> None:
    write_mo(BytesIO(), catalogue(language))
