"""What a username and an email address must be. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from email_validator import EmailNotValidError
from email_validator import validate_email as check_email

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.lookalikes import has_control_characters, has_invisible_characters, mixes_scripts
from crossauth_backend.core.text import MAX_ADDRESS, is_storable, normalize
from crossauth_backend.core.texts import mark
from crossauth_backend.users.record import User

MIN_USERNAME: Final = 2
MAX_USERNAME: Final = 254
# One character may become eighteen (U+FDFA); the column takes this many.
MAX_NORMALIZED: Final = 1024
# Of a username in a message to somebody who may not have chosen it, see `name_for_strangers`.
_MOST_SHOWN: Final = 24
_MOST_DIGITS: Final = 4
_MOST_DASHES: Final = 2
# Letters of scripts that need few of them for a sentence.
_LETTERS_OF_A_WORD: Final = 3


def username_problems(username: object) -> list[str]:
    """What is wrong with a username whatever an application's own rules are, as texts for the user.

    For new names and changed ones: a stored name that breaks a rule keeps working.
    """
    # The length first: what follows takes time.
    if isinstance(username, str) and len(username) > MAX_USERNAME:
        return [mark("Username must be at most %(most)d characters", most=MAX_USERNAME)]
    if not isinstance(username, str) or len(username.strip()) < MIN_USERNAME:
        return [mark("Username must be at least %(least)d characters", least=MIN_USERNAME)]
    if not is_storable(username) or has_control_characters(username):
        return [mark("Username must not contain control characters")]
    if username != username.strip():
        return [mark("Username must not begin or end with a space")]
    if has_invisible_characters(username):
        return [mark("Username must not contain invisible characters")]
    normalized = normalize(username)
    # Some signs are a blank and a mark.
    if not normalized.strip():
        return [mark("Username must contain letters or digits")]
    if len(normalized) > MAX_NORMALIZED:
        return [mark("Username is too long")]
    if mixes_scripts(username):
        return [mark("Username must not mix letters of different alphabets in one word")]
    return []


def default_user_validator(user: Mapping[str, Any]) -> list[str]:
    """What is wrong with a user to be created, as texts; empty where nothing is. Passwords are judged by their factor."""
    return username_problems(user.get("username"))


def name_for_strangers(username: str) -> str:
    """`username` where it can be sent to somebody who may never have heard of it; empty where it could carry a message.

    Anybody can sign up with somebody else's address, and any name. So the name is a word: of letters, a few digits and dashes,
    for mail programs make links of what has a dot, a colon, a slash or an `@`, and no longer than names are. Letters of scripts
    that are not in capitals and small ones count three times.
    """
    kinds = [unicodedata.category(char) for char in username[: _MOST_SHOWN + 1]]
    size = sum(_LETTERS_OF_A_WORD if kind == "Lo" else 1 for kind in kinds)
    dashes = sum(char in "-_" for char in username)
    plain = all(char in "-_" or kind[0] in "LM" or kind == "Nd" for char, kind in zip(username, kinds, strict=False))
    harmless = plain and size <= _MOST_SHOWN and kinds.count("Nd") <= _MOST_DIGITS and dashes <= _MOST_DASHES
    return username if harmless else ""


def valid_email(address: str) -> str:
    """`address` in its normal form (domain in lower case, Unicode composed).

    Raises:
        CrossauthError: `InvalidEmail`. No DNS look-up is made.
    """
    if len(address) > MAX_ADDRESS:
        raise CrossauthError(ErrorCode.InvalidEmail)
    try:
        return check_email(address, check_deliverability=False).normalized
    except (EmailNotValidError, UnicodeError) as e:
        raise CrossauthError(ErrorCode.InvalidEmail) from e


def is_address(text: str) -> bool:
    """Whether `text` could be an email address."""
    try:
        valid_email(text)
    except CrossauthError:
        return False
    return True


def default_is_admin_fn(user: User | Mapping[str, Any]) -> bool:
    """Whether `user`, a record or the dictionary of one, is an administrator: its `admin` is true."""
    return user.get("admin") is True
