"""Values in messages: one line each, and bounded."""

from __future__ import annotations

import unicodedata
from typing import Final

# Line ends, and what changes the order or the look of the text around it.
_NOT_IN_A_LINE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")


def one_line(text: str, most: int) -> str:
    """Return `text` as one line of at most `most` characters, without control and formatting characters."""
    cut = text[: 4 * most]
    plain = "".join(" " if unicodedata.category(c) in _NOT_IN_A_LINE else c for c in cut)
    line = " ".join(plain.split())
    return line if len(line) <= most and len(cut) == len(text) else line[: most - 1] + "\u2026"
