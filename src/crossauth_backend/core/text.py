"""Text that comes from outside: what is acceptable, and how names are compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSAFE = re.compile("[\x00\ud800-\udfff]")
MAX_ADDRESS: Final = 320
MAX_CODE: Final = 64
_DOTS: Final = "•••"
_DIGITS_SHOWN: Final = 2
_MOST_SHOWN: Final = 64
_MINUS: Final = "\u2212"
_IN_CODES: Final = ("Pd", "Cf", "Cc")


def is_storable(value: str) -> bool:
    """Whether every database and encoder takes `value`: no NUL (PostgreSQL) and no unpaired surrogate (UTF-8)."""
    return not _UNSAFE.search(value)


def clean_code(text: str) -> str:
    """A code as it was meant: no blanks of any kind, line ends or dashes, and ASCII for full-width letters and digits.

    Codes are pasted from mails, and typed as they are printed. Text too long for any code is no code.
    """
    if len(text) > MAX_CODE:
        return ""
    plain = unicodedata.normalize("NFKC", text)
    return "".join(c for c in plain if not c.isspace() and c != _MINUS and unicodedata.category(c) not in _IN_CODES)


def with_slashes(path: str) -> str:
    """`path` with exactly one slash at its beginning and one at its end."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def normalize(value: str) -> str:
    """The form in which usernames and email addresses are compared: NFKD, marks stripped, lower case.

    `"Zoë"`, `"zoe"` and `"ＺＯＥ"` are one name. Whether two addresses are one mailbox is for `same_mailbox` to say.
    Stored names were made by it, so it must give the same for them for ever; what a new name may be is judged by `users.rules`.
    """
    value = value.strip()
    if value.isascii():
        return value.lower()
    # One character at a time: sorting a long run of marks takes time that grows with its square, and they are stripped anyway.
    bases = "".join(c for char in value for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    return unicodedata.normalize("NFKD", bases.casefold())


def normalize_address(address: str) -> str:
    """The form in which email addresses are compared: composed and in lower case, nothing else.

    Two addresses have the same form if and only if they are the same mailbox; look-alike domains are different mailboxes.
    """
    return folded(address.strip())


def folded(text: str) -> str:
    """`text` composed and in lower case; nothing is taken away or replaced. Text too long for an address is not composed."""
    return (text if len(text) > MAX_ADDRESS else unicodedata.normalize("NFC", text)).lower()


def same_mailbox(a: str, b: str) -> bool:
    """Whether two email addresses are one mailbox, so that what was proven of one is proven of the other.

    Nothing but composition and case may differ. `normalize` is no answer to this question: two domains that it takes for one
    name, `bücher.example` and `bucher.example`, belong to two people.
    """
    return folded(a) == folded(b)


def masked(address: str) -> str:
    """Return an email address with the first letter of its name, or a phone number with its last two digits.

    `"alice@example.com"` becomes `"a•••@example.com"`, `"+441632960961"` becomes `"•••61"`.
    """
    name, at, domain = address.strip().rpartition("@")
    if at:
        return f"{name[:1]}{_DOTS}@{domain[-_MOST_SHOWN:]}"
    return f"{_DOTS}{address.strip()[-_DIGITS_SHOWN:]}"
