"""What a new password must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossauth_backend.core.passwords import composed_password

MIN_LENGTH = 8
MAX_LENGTH = 1024


def default_password_validator(params: Mapping[str, Any]) -> list[str]:
    """What is wrong with `params["password"]`, as texts for the user; empty where nothing is.

    At least eight characters, with a small letter, a capital and a digit. An application that prefers long passphrases or a
    list of known passwords gives its own function as `validate_password_fn`.
    """
    password = params.get("password")
    if not isinstance(password, str) or not password:
        return ["Password not provided"]
    password = composed_password(password)
    problems = []
    if len(password) < MIN_LENGTH:
        problems.append(f"Password must be at least {MIN_LENGTH} characters")
    if len(password) > MAX_LENGTH:
        problems.append(f"Password must be at most {MAX_LENGTH} characters")
    if not any(c.islower() for c in password):
        problems.append("Password must contain at least one small letter")
    if not any(c.isupper() for c in password):
        problems.append("Password must contain at least one capital letter")
    if not any(c.isdigit() for c in password):
        problems.append("Password must contain at least one digit")
    return problems
