"""Colors that follow from an accent color can be read, whatever it is."""

import re
from importlib.resources import files
from itertools import product

import pytest

from crossauth_backend.core.colors import (
    AA_TEXT,
    DARK_GROUNDS,
    LIGHT_GROUNDS,
    WHITE,
    Color,
    accents,
    contrast,
    parse_color,
)

GRID = [Color(*parts) for parts in product((0, 51, 102, 153, 204, 255), repeat=3)]


def test_every_accent_can_be_read_in_light_and_in_dark() -> None:
    for color in GRID:
        for accent, grounds in zip(accents(color), (LIGHT_GROUNDS, DARK_GROUNDS), strict=True):
            for text, ground in product((accent.text, accent.text_strong), grounds):
                assert contrast(text, ground) >= AA_TEXT, (color, accent)
            for fill in (accent.fill, accent.fill_strong):
                assert contrast(accent.on_fill, fill) >= AA_TEXT, (color, accent)


def test_a_color_that_can_be_read_is_kept() -> None:
    light, _ = accents(Color(0x29, 0x46, 0xC8))
    assert str(light.text) == str(light.fill) == "#2946c8"
    assert light.on_fill == WHITE


def test_a_button_keeps_a_light_color_and_a_link_does_not() -> None:
    light, dark = accents(Color(0xFF, 0xD4, 0x00))
    assert str(light.fill) == "#ffd400"
    assert light.text != light.fill
    assert str(dark.text) == "#ffd400"


@pytest.mark.parametrize(("text", "color"), [("#2946c8", (41, 70, 200)), ("#FA0", (255, 170, 0)), ("#000", (0, 0, 0))])
def test_hexadecimal_colors(text: str, color: tuple[int, int, int]) -> None:
    assert parse_color(text) == color


@pytest.mark.parametrize("text", ["", "#", "2946c8", "#29", "#2946c", "#2946c8ff", "red", "#ggg", "#fff\n", "#٣٣٣"])
def test_what_is_no_hexadecimal_color(text: str) -> None:
    assert parse_color(text) is None


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(Color(0, 0, 0), WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast(Color(0x77, 0x77, 0x77), WHITE) == pytest.approx(4.48, abs=0.01)


def test_the_grounds_are_those_of_the_stylesheet() -> None:
    text = (files("crossauth_fastapi") / "_pages" / "static" / "crossauth.css").read_text()
    pages, cards = (re.findall(rf"--{name}: (#[0-9a-f]{{6}})", text) for name in ("page", "card"))
    assert [str(c) for c in (*LIGHT_GROUNDS, *DARK_GROUNDS)] == [pages[0], cards[0], pages[1], cards[1]]
