"""How email addresses and names are looked for, and which address can be one. Pure."""

from __future__ import annotations

import itertools
from typing import Final

from pydantic import EmailStr, TypeAdapter, ValidationError

from crossauth_backend.core.text import folded

# The column of the documented table; nothing longer is anybody's.
MAX_ADDRESS: Final = 320
# What is typed to log in may have blanks around it, or a name before the address.
MAX_LOGIN: Final = 2 * MAX_ADDRESS
_MOST_CHOICES: Final = 5
_ADDRESS: Final = TypeAdapter(EmailStr)


def spellings(text: str) -> list[str]:
    """What a database may make of the lower case of texts that are the same as `text`.

    Some databases (SQLite, PostgreSQL with the locale C) lower the letters of ASCII only; for the others each is tried in
    both cases, as long as there are few.
    """
    lower = folded(text)
    choices = [{c, *_other_case(c)} for c in lower]
    if sum(len(c) > 1 for c in choices) > _MOST_CHOICES:
        return list({lower, text.lower(), "".join(_other_case(c) or c for c in lower)})
    return list({text.lower(), *("".join(letters) for letters in itertools.product(*choices))})


def _other_case(letter: str) -> str:
    """The upper case of a letter that a database may leave as it is, where it is one letter that goes back."""
    upper = "" if letter.isascii() else letter.upper()
    return upper if len(upper) == 1 and upper != letter and upper.lower() == letter else ""


def valid_address(text: object) -> str | None:
    """The address in the form in which it is stored, as registering makes it; `None` for what is none."""
    try:
        return _ADDRESS.validate_python(text) if isinstance(text, str) and len(text) <= MAX_ADDRESS else None
    except (ValidationError, UnicodeError):
        return None


def login_spellings(typed: str) -> list[str]:
    """What an address that was typed to log in may be stored as: as registering makes it first, then as it was typed."""
    stripped = typed.strip()
    address = valid_address(stripped)
    return list(dict.fromkeys((address, stripped) if address is not None else (stripped,)))
