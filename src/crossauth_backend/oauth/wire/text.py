"""The characters that OAuth allows in its values (RFC 6749 appendix A, RFC 6750 §2.1 and §3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_SCOPE: Final = 4096
_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_NOT_IN_TEXT: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]+")
_URL: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def is_scope_token(text: str) -> bool:
    """Whether `text` is one scope (RFC 6749 §3.3)."""
    return _SCOPE_TOKEN.fullmatch(text) is not None


def parse_scope(text: str) -> tuple[str, ...]:
    """The scopes in a `scope` parameter (RFC 6749 §3.3), each once, in their order; what is no scope is left out."""
    if len(text) > MAX_SCOPE:
        return ()
    return tuple(dict.fromkeys(part for part in text.split(" ") if is_scope_token(part)))


def join_scopes(scopes: Iterable[str]) -> str:
    """A `scope` parameter (RFC 6749 §3.3).

    Raises:
        ValueError: for anything that is no scope.
    """
    found = tuple(dict.fromkeys(scopes))
    if not all(is_scope_token(scope) for scope in found):
        raise ValueError("a scope has a character that RFC 6749 §3.3 does not allow")
    return " ".join(found)


def as_description(text: str) -> str:
    """`text` as an `error_description` (RFC 6749 §5.2): what is not allowed there becomes a blank."""
    return _NOT_IN_TEXT.sub(" ", text.replace('"', "'")).strip()


def is_quotable_url(text: str) -> bool:
    """Whether a URL can stand between quotes in a header as it is (RFC 6750 §3)."""
    return _URL.fullmatch(text) is not None


def is_b64token(text: str) -> bool:
    """Whether `text` has the form of a bearer token (RFC 6750 §2.1)."""
    return _B64TOKEN.fullmatch(text) is not None
