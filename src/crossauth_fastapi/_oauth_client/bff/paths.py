"""Which paths are passed on. Pure.

What is allowed is decided by the path as it was sent, and it is sent on as it came. So this server, whatever is between, and the
API must all read the same in it: what some servers would decode, merge or resolve is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

# RFC 3986 §3.3: pchar, and the slash.
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
# RFC 3986 §3.4, and what browsers send besides; no space, no fragment, nothing that ends a line.
_QUERY: Final = re.compile(rb"[!\"$-~]*")
MAX_URL: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class AllowedPath:
    """One entry of `bff_endpoints`, as far as it is about paths.

    Parameters:
        url: a path of the API.
        below: whether the paths below it are meant too.
    """

    url: str
    below: bool

    @property
    def stem(self) -> str:
        """What the paths below it begin with, without the slash."""
        return self.url.removesuffix("/")

    def allows(self, path: str) -> bool:
        """Whether a path, which `is_plain`, is meant."""
        return path == self.url or (self.below and path.startswith(self.stem + "/"))


def is_allowed(path: str, allowed: Iterable[AllowedPath]) -> bool:
    """Whether a path of the API is one that is served, or below one."""
    return is_plain(path) and any(entry.allows(path) for entry in allowed)


def is_plain(path: str) -> bool:
    """Whether every server reads the same in a path: it has no dot segments, no empty ones but at the end, and nothing encoded
    that would separate segments, end the text, or decode again.
    """
    if len(path) > MAX_URL or not _PATH.fullmatch(path) or "//" in path:
        return False
    if "%" not in path and "/." not in path:
        return True
    return all(_is_plain_segment(segment) for segment in path.split("/"))


def is_query(query: bytes) -> bool:
    """Whether a query can be sent on as it came."""
    return len(query) <= MAX_URL and _QUERY.fullmatch(query) is not None


def tail_of(raw_path: bytes | None, path: str, prefix: str) -> str | None:
    """The path as it was sent, from `prefix` on and without it; `None` where `prefix` was sent in another form.

    Parameters:
        raw_path: as it was sent, where the server tells it; with the root path of the application, whatever that is.
        path: decoded, without the root path; it begins with `prefix`.
        prefix: without anything that has to be encoded, and without a slash at its end.
    """
    if raw_path is None:
        # What is decoded is sent on: it is what was matched.
        sent = path
    else:
        try:
            whole = raw_path.partition(b"?")[0].decode("ascii")
        except UnicodeDecodeError:
            return None
        sent = whole if whole == path else "/" + "/".join(whole.rsplit("/", path.count("/"))[1:])
    return sent[len(prefix) :] if sent.startswith(prefix + "/") else None


def _is_plain_segment(segment: str) -> bool:
    try:
        text = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        # Bytes that are no UTF-8: what they mean is decided by who decodes them.
        return False
    return _is_plain_text(text) and (text.isascii() or _is_plain_text(normalize("NFKC", text)))


def _is_plain_text(text: str) -> bool:
    if "/" in text or "\\" in text or _CONTROL.search(text) or _ENCODED.search(text):
        return False
    # Some servers cut off what follows a semicolon, some trailing dots and spaces.
    name = text.partition(";")[0]
    return not name.startswith(".") or name.strip(". ") != ""
