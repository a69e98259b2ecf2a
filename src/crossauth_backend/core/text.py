"""Text that comes from outside: what is acceptable, and how names are compared."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def is_storable(value: str) -> bool:
    """Whether every database and encoder takes `value`: no NUL (PostgreSQL) and no unpaired surrogate (UTF-8)."""
    return not _UNSAFE.search(value)


def has_control_characters(value: str) -> bool:
    """Whether `value` holds control characters or bidirectional overrides, which make two names look alike."""
    return bool(_CONTROL.search(value))


def with_slashes(path: str) -> str:
    """`path` with exactly one slash at its beginning and one at its end."""
    inner = path.strip("/")
    return f"/{inner}/" if inner else "/"


def normalize(value: str) -> str:
    """The form in which usernames and e-mail addresses are compared: NFKD, marks stripped, lower case.

    `"Zoë"`, `"zoe"` and `"ＺＯＥ"` are one name. Whether two addresses are one mailbox is for `same_mailbox` to say.
    """
    decomposed = unicodedata.normalize("NFKD", value.strip())
    return unicodedata.normalize("NFKD", "".join(c for c in decomposed if not unicodedata.combining(c)).casefold())


def normalize_address(address: str) -> str:
    """The form in which email addresses are compared: composed and in lower case, nothing else.

    Two addresses have the same form if and only if they are the same mailbox; look-alike domains are different mailboxes.
    """
    return folded(address.strip())


def folded(text: str) -> str:
    """`text` composed and in lower case; nothing is taken away or replaced."""
    return unicodedata.normalize("NFC", text).lower()


def same_mailbox(a: str, b: str) -> bool:
    """Whether two e-mail addresses are one mailbox, so that what was proven of one is proven of the other.

    Nothing but composition and case may differ. `normalize` is no answer to this question: two domains that it takes for one
    name, `bücher.example` and `bucher.example`, belong to two people.
    """
    return folded(a) == folded(b)
