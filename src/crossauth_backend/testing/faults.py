"""What a server can do wrong with a document that is asked of it, on the socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from crossauth_backend.testing.wire import Reply


class Fault(Enum):
    """What the issuer does wrong with every document that is asked of it."""

    WRONG_ISSUER = auto()
    """Its metadata is another issuer's, by a slash."""
    INSECURE_KEYS = auto()
    """Its metadata names keys on plain http."""
    NO_KEYS_URL = auto()
    """Its metadata names no keys."""
    NO_KEYS = auto()
    """Its key set is empty."""
    SECRET_KEYS = auto()
    """Its key set holds a secret."""
    NOT_FOUND = auto()
    REDIRECT = auto()
    """It redirects to where the document is."""
    UNAVAILABLE = auto()
    """Status 503."""
    HUGE = auto()
    """The document is followed by blanks without end."""
    DEEP = auto()
    """JSON that is nested very deep."""
    NO_JSON = auto()
    NO_OBJECT = auto()
    HTML = auto()
    """The document, but with the content type of a page."""
    COMPRESSED = auto()
    """A content coding that nobody asked for."""
    DIES = auto()
    """The connection ends in the middle of the document."""
    HANGS = auto()
    """There is no response."""
    DRIPS = auto()
    """A byte now and then."""
    CHUNKS = auto()
    """Chunks without end (RFC 9112 §7.1), so that no length is known."""
    GARBAGE = auto()
    """What comes back is no HTTP."""


_BODIES: Final[Mapping[Enum | None, bytes]] = {
    Fault.DEEP: b"[" * 100_000,
    Fault.NO_JSON: b"{'issuer': 1}",
    Fault.NO_OBJECT: b"[]",
}
_STATUSES: Final[Mapping[Enum | None, int]] = {Fault.NOT_FOUND: 404, Fault.UNAVAILABLE: 503}


async def respond(writer: asyncio.StreamWriter, fault: Enum | None, path: str, reply: Reply) -> None:
    """Send a reply, or do wrong what the fault says.

    Parameters:
        writer: the connection.
        fault: what to do wrong, if anything; one that is no `Fault` is the business of whoever made the reply.
        path: that was asked for; below `/moved` nothing is redirected again.
        reply: the right one.
    """
    raw, status = _BODIES.get(fault) or reply.body(), _STATUSES.get(fault, reply.status)
    kind, headers = reply.kind, dict(reply.headers)
    if fault is Fault.REDIRECT and not path.startswith("/moved"):
        status, headers["Location"] = 302, f"/moved{path}"
    elif fault is Fault.HTML:
        kind = "text/html"
    elif fault is Fault.COMPRESSED:
        headers["Content-Encoding"] = "gzip"
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if fault in _NEVER_END:
        await _without_end(writer, *_NEVER_END[fault], raw)
    elif fault is Fault.GARBAGE:
        writer.write(b"\x00\xff nonsense\r\n\r\n")
    else:
        sent = raw[: len(raw) // 2] if fault is Fault.DIES else raw
        writer.write(_head(status, kind, len(raw), extra) + sent)
    await writer.drain()


async def _without_end(writer: asyncio.StreamWriter, head: bytes, chunk: bytes, pause: float, raw: bytes) -> None:
    """Send chunks until the other side has gone."""
    if head:
        writer.write(head + (b"" if b"chunked" in head else raw))
    while not writer.is_closing():
        writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(pause)


def _head(status: int, kind: str, length: int, extra: str = "") -> bytes:
    lines = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n"
    )
    return lines.encode()


_LONG: Final = _head(200, "application/json", 10**12)
# How a response begins, if it does, what is sent again and again, and how often.
_NEVER_END: Final[Mapping[Enum | None, tuple[bytes, bytes, float]]] = {
    Fault.HANGS: (b"", b"", 0.01),
    Fault.DRIPS: (_LONG, b" ", 0.01),
    Fault.HUGE: (_LONG, b" " * 65_536, 0),
    Fault.CHUNKS: (
        _LONG.replace(b"Content-Length: 1000000000000", b"Transfer-Encoding: chunked"),
        b"8\r\n{      }\r\n",
        0,
    ),
}
