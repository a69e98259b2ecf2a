"""What a new password must be: long enough, and none that is tried first (NIST SP 800-63B-4 §3.1.1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final

from crossauth_backend.core.passwords import composed_password
from crossauth_backend.core.texts import mark

MIN_LENGTH = 8
MAX_LENGTH = 1024
TOO_COMMON: Final = mark("This password is too easy to guess. Choose a less common one.")
_LIST: Final = "common_passwords.txt"
_DECORATION: Final = "0123456789 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def default_password_validator(params: Mapping[str, Any]) -> list[str]:
    """What is wrong with `params["password"]`, as texts for the user; empty where nothing is.

    At least eight characters, and none of the common ones, whatever is put around them. What it is composed of does not matter: a
    few unrelated words are a good password. An application that demands more gives its own function as `validate_password_fn`.
    """
    password = params.get("password")
    if not isinstance(password, str) or not password:
        return [mark("Enter a password")]
    password = composed_password(password)
    if len(password) < MIN_LENGTH:
        return [mark("Password must be at least %(least)d characters", least=MIN_LENGTH)]
    if len(password) > MAX_LENGTH:
        return [mark("Password must be at most %(most)d characters", most=MAX_LENGTH)]
    return [TOO_COMMON] if _is_common(password.casefold()) else []


def _is_common(password: str) -> bool:
    if password in _common() or password.strip(_DECORATION) in _common():
        return True
    # The same over and over, whatever it is: `abcabcab`, `passwordpassword`.
    repeats = any(password == (password[:n] * len(password))[: len(password)] for n in range(1, len(password) // 2 + 1))
    steps = {ord(b) - ord(a) for a, b in pairwise(password)}
    return repeats or steps in ({1}, {-1})


@cache
def _common() -> frozenset[str]:
    text = files(__package__).joinpath(_LIST).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))
