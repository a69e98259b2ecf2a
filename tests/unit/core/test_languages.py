"""`Accept-Language` against the languages of a site."""

import pytest

from crossauth_backend.core.errors import CrossauthError
from crossauth_backend.core.languages import MAX_HEADER, MAX_RANGES, Languages, parse_accept_language, read_languages


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("de", [("de", 1)]),
        ("en;q=0.5, de-AT , fr;q=0.8", [("de-at", 1), ("fr", 0.8), ("en", 0.5)]),
        ("DE ; Q=0.3,*;q=0", [("de", 0.3), ("*", 0)]),
        ("fr;q=1.000,de;q=1.", [("fr", 1), ("de", 1)]),
        (" \t,,de,", [("de", 1)]),
        ("", []),
        ("de;q=2, fr;q=-1, it;q=0.1234, es;q=nan, pt;x=1", []),
        ("d\u00e9, de_DE, 1-x, de--at, " + "a" * 9, []),
        ("de" + ",de" * MAX_RANGES, []),
        ("de," + " " * MAX_HEADER, []),
    ],
)
def test_what_is_well_formed_is_read_the_most_wanted_first(header: str, ranges: list[tuple[str, float]]) -> None:
    assert parse_accept_language(header) == ranges


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de", "de"),
        ("de-CH-1996", "de"),
        ("fr;q=0.2, de;q=0.9", "de"),
        ("pt", "pt-BR"),
        ("pt-PT", "en"),
        ("*", "en"),
        ("it, *;q=0.1", "en"),
        ("en;q=0, *", "de"),
        ("en;q=0", "en"),
        ("", "en"),
        ("nonsense;;;", "en"),
        ("x" * 100_000, "en"),
        ("de," * 10_000, "en"),
    ],
)
def test_the_language_that_suits_best_is_chosen(header: str, tag: str) -> None:
    chosen = Languages(("en", "de", "fr", "pt-BR")).choose(header)
    assert (chosen.tag, chosen.negotiated) == (tag, True)


def test_one_language_is_not_negotiated() -> None:
    chosen = Languages(("de",)).choose("fr")
    assert (chosen.tag, chosen.negotiated) == ("de", False)


def test_languages_are_the_same_where_the_options_are() -> None:
    assert Languages(("de", "en")) == Languages(["de", "en"])
    assert Languages(("de", "en")) != Languages(("en", "de"))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["german"], "there are no texts in 'german'"),
        (["en", "../../etc"], "'../../etc' is not a language tag"),
        (["de_DE"], "'de_DE' is not a language tag"),
        (["en", "EN"], "a language is given twice"),
        (["en", "xx"], "add xx/LC_MESSAGES/crossauth.mo"),
    ],
)
def test_a_wrong_option_says_what_is_right(tags: list[str], message: str) -> None:
    with pytest.raises(CrossauthError, match=message) as caught:
        read_languages(tags, None, False, "Server")
    assert str(caught.value).startswith("Server: option 'languages': ")


def test_without_options_there_is_nothing_to_choose() -> None:
    assert read_languages(None, None, False, "Server") is None
    assert read_languages(None, None, True, "Server") == Languages(in_json=True)
