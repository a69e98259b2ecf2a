"""Random codes for people to read and type."""

from __future__ import annotations

import secrets
from typing import Final

_BASE32: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no I, O, 0, 1: codes are read aloud and typed


def random_base32(length: int, dash_every: int | None = None) -> str:
    """A code of `length` characters for people to type, with a dash after every `dash_every`."""
    code = "".join(secrets.choice(_BASE32) for _ in range(length))
    if not dash_every:
        return code
    return "-".join(code[i : i + dash_every] for i in range(0, length, dash_every))


def random_digits(length: int) -> str:
    """A uniform code of `length` decimal digits."""
    return "".join(secrets.choice("0123456789") for _ in range(length))
