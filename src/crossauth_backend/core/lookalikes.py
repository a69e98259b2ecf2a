"""Text that is not what it looks like: characters that show nothing or change how others are shown, and mixed alphabets."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Characters that show nothing: Default_Ignorable_Code_Point of the Unicode Character Database (DerivedCoreProperties.txt),
# format characters and private use besides, and the Braille pattern without a dot.
_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ALIKE: Final = {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}


def has_control_characters(value: str) -> bool:
    """Whether `value` holds control characters or bidirectional overrides, which make two names look alike."""
    return bool(_CONTROL.search(value))


def has_invisible_characters(value: str) -> bool:
    """Whether `value` holds characters that show nothing, so that two names look the same and are not."""
    return bool(_IGNORABLE.search(value)) or any(unicodedata.category(c) in ("Cf", "Co") for c in value)


def mixes_scripts(value: str) -> bool:
    """Whether a word of `value` mixes alphabets that share letter shapes, as "r\N{CYRILLIC SMALL LETTER O}ot" does.

    Latin, Greek, Cyrillic, Armenian, Cherokee, Coptic and Lisu are told apart by the names of their letters; other scripts
    mix with Latin freely. It is part of what UTS 39 §5.2 calls moderately restrictive. A word that is wholly of another
    alphabet is not found: that takes the table of confusables, which Python does not have.
    """
    words = re.split(r"[\s@.]+", unicodedata.normalize("NFKC", value))
    return any(len({script for c in word if (script := _script(c)) in _ALIKE}) > 1 for word in words)


def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0] if char.isalpha() else ""
