"""Colors of pages and mails that follow from one accent color, with the contrast that WCAG 2.2 asks of text (1.4.3, level AA)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from crossauth_backend.core.errors import CrossauthError, ErrorCode

AA_TEXT: Final = 4.5
_HEX: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


class Color(NamedTuple):
    """A color of sRGB, each part from 0 to 255."""

    red: int
    green: int
    blue: int

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


WHITE: Final = Color(255, 255, 255)
BLACK: Final = Color(0, 0, 0)
# What text stands on in the stylesheet: `--page` and `--card`, in light and in dark.
LIGHT_GROUNDS: Final = (Color(0xF4, 0xF5, 0xF8), WHITE)
DARK_GROUNDS: Final = (Color(0x0F, 0x11, 0x17), Color(0x18, 0x1B, 0x24))


@dataclass(frozen=True, slots=True)
class Accent:
    """The accent of one color scheme.

    Parameters:
        text: for links and outlines; readable on what they stand on.
        text_strong: the same while the pointer is over it.
        fill: what buttons are filled with.
        fill_strong: the same while the pointer is over it.
        on_fill: for text on both fills.
    """

    text: Color
    text_strong: Color
    fill: Color
    fill_strong: Color
    on_fill: Color


def parse_color(text: str) -> Color | None:
    """Return the color that `#rgb` or `#rrggbb` says; `None` where it says none."""
    if not _HEX.fullmatch(text):
        return None
    digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
    return Color(*(int(digits[at : at + 2], 16) for at in (0, 2, 4)))


def parse_accent(text: str, component: str) -> Color:
    """Return the color that the option `accent_color` says.

    Parameters:
        text: its value.
        component: the class to which it was given, named in the message.

    Raises:
        CrossauthError: `Configuration` where it says none.
    """
    found = parse_color(text)
    if found is None:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{component}: option 'accent_color' must be a color such as '#2946c8' or '#24c', not {text!r:.40}",
        )
    return found


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colors (WCAG 2.2), from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def accents(color: Color) -> tuple[Accent, Accent]:
    """Return the accent that `color` makes on light pages and on dark ones.

    Buttons keep the color as it is on light pages; links are darkened, and on dark pages lightened, until they can be read.
    """
    return _accent(color, LIGHT_GROUNDS, BLACK, keep=True), _accent(color, DARK_GROUNDS, WHITE, keep=False)


def _accent(color: Color, grounds: tuple[Color, ...], towards: Color, keep: bool) -> Accent:
    text = _readable(color, grounds, towards)
    fill = color if keep else text
    on_fill = max((WHITE, BLACK), key=lambda on: contrast(on, fill))
    # Away from the text on it, so that this only gets easier to read.
    fill_strong = _mix(fill, BLACK if on_fill is WHITE else WHITE, 0.2)
    return Accent(text, _mix(text, towards, 0.25), fill, fill_strong, on_fill)


def _readable(color: Color, grounds: tuple[Color, ...], towards: Color) -> Color:
    """Return `color`, moved towards another as far as it takes to be readable on all grounds."""
    steps = (_mix(color, towards, step / 50) for step in range(51))
    return next((c for c in steps if all(contrast(c, ground) >= AA_TEXT for ground in grounds)), towards)


def _mix(color: Color, other: Color, share: float) -> Color:
    return Color(*(round(a + (b - a) * share) for a, b in zip(color, other, strict=True)))


def _luminance(color: Color) -> float:
    red, green, blue = (_linear(part / 255) for part in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
