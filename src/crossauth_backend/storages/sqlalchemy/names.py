"""Names that a database can keep apart, made of names that an application chose."""

from __future__ import annotations

from typing import Final

from crossauth_backend.core.secrets import hash_token

# Of PostgreSQL, which cuts a longer one off.
MAX_NAME: Final = 63
_DIGEST: Final = 12


def bounded_name(begin: str, middle: str, end: str, most: int = MAX_NAME) -> str:
    """`begin`, `middle` and `end` as one name.

    Where that is too long, a digest takes the place of a part of `middle`, so that two long names stay two.

    Parameters:
        begin: kept as it is.
        middle: what an application chose.
        end: kept as it is.
        most: how many characters it may have.
    """
    name = f"{begin}{middle}{end}"
    if len(name) <= most:
        return name
    digest = "".join(c for c in hash_token(middle) if c.isalnum())[:_DIGEST]
    room = most - len(begin) - len(end) - len(digest) - 1
    return f"{begin}{middle[:room]}_{digest}{end}"
