"""Text that comes from outside: what is acceptable, and how names, addresses and codes are compared."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend.core.lookalikes import has_control_characters, has_invisible_characters, mixes_scripts
from crossauth_backend.core.text import (
    clean_code,
    folded,
    is_storable,
    masked,
    normalize,
    normalize_address,
    same_mailbox,
    with_slashes,
)

ANY = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "a\udc80"])
def test_what_some_database_would_not_take(text: str) -> None:
    assert not is_storable(text)


@given(ANY)
def test_what_is_storable_can_be_encoded(text: str) -> None:
    assert is_storable(text) is ("\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text))
    if is_storable(text):
        text.encode()


@pytest.mark.parametrize("char", ["\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"])
def test_control_characters(char: str) -> None:
    assert has_control_characters(f"a{char}b")
    assert not has_control_characters("añ日 -")


@pytest.mark.parametrize("char", ["\u00ad", "\u200b", "\u200d", "\ufeff", "\u3164", "\u2800", "\ue000", "\U000e0041"])
def test_invisible_characters(char: str) -> None:
    assert has_invisible_characters(f"a{char}b")
    assert not has_invisible_characters("añ日 -")


@pytest.mark.parametrize(
    ("text", "mixes"),
    [
        ("r\N{CYRILLIC SMALL LETTER O}ot", True), ("\N{GREEK SMALL LETTER ALPHA}lice", True),
        ("Иван ivan", False), ("Иван@example.com", False), ("日本go", False), ("ελληνικά", False), ("a1-b_c", False), ("", False),
    ],
)  # fmt: skip
def test_a_word_is_of_one_alphabet(text: str, mixes: bool) -> None:
    assert mixes_scripts(text) is mixes


@pytest.mark.parametrize(
    "text", ["123 456", "123-456", " 123456\n", "１２３４５６", "123\u2011456", "12\u200b3456", "123\u2212456"]
)
def test_a_code_is_read_as_it_was_meant(text: str) -> None:
    assert clean_code(text) == "123456"


def test_text_too_long_for_a_code_is_none() -> None:
    assert clean_code("1" * 64) == "1" * 64
    assert clean_code("1" * 65) == clean_code("\ufdfa" * 100_000) == ""


@pytest.mark.parametrize(
    ("path", "slashes"), [("", "/"), ("/", "/"), ("a", "/a/"), ("//a//b//", "/a//b/"), ("/a/", "/a/")]
)
def test_a_prefix_has_one_slash_on_each_side(path: str, slashes: str) -> None:
    assert with_slashes(path) == slashes


@pytest.mark.parametrize(
    ("a", "b"), [("Zoë", "zoe"), ("ＺＯＥ", "zoe"), (" alice ", "ALICE"), ("Straße", "STRASSE"), ("e\u0301", "é")]
)
def test_names_that_are_one(a: str, b: str) -> None:
    assert normalize(a) == normalize(b)


@given(ANY)
def test_the_form_of_a_name_is_its_own(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once.strip()
    assert not any(unicodedata.combining(c) for c in once)


def test_a_long_run_of_marks_takes_no_square_of_time() -> None:
    """Counted in CPU seconds, with much room: sorting the marks takes minutes."""
    before = time.process_time()
    normalize("a" + "\u0301\u0323" * 50_000)
    assert time.process_time() - before < 20


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("A@Example.com", "a@example.COM", True), ("e\u0301@x.example", "é@x.example", True),
        ("bücher@x.example", "bucher@x.example", False), ("a@bücher.example", "a@bucher.example", False),
        ("a@x.example", "a+b@x.example", False), ("ａ@x.example", "a@x.example", False),
    ],
)  # fmt: skip
def test_mailboxes_that_are_one(a: str, b: str, same: bool) -> None:
    assert same_mailbox(a, b) is same
    assert (normalize_address(a) == normalize_address(f" {b} ")) is same


def test_text_too_long_for_an_address_is_not_composed() -> None:
    assert folded("e\u0301") == "é"
    assert folded("E\u0301" * 500) == "e\u0301" * 500


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("alice@example.com", "a•••@example.com"), (" a@x.test ", "a•••@x.test"), ("+441632960961", "•••61"), ("", "•••"),
        ('"a@b"@example.com', '"•••@example.com'),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_most_of_its_name(address: str, shown: str) -> None:
    assert masked(address) == shown


@given(ANY)
def test_a_masked_address_is_short(text: str) -> None:
    assert len(masked(text + "@" + text)) <= 70
