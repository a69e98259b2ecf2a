"""Finding one field in the body of somebody else's form, without judging the rest of it.

The body is the application's: it may hold files of any size, repeated fields, texts in another encoding, or no form at all. It is
read only until the field is found, at most a bounded part of it, and every byte read is handed on as it came. A form should have
the field first, so that this part is short.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from crossauth_fastapi._http.bodies import FORM_TYPE, JSON_TYPE, MULTIPART_TYPE, content_type
from crossauth_fastapi._http.jsonbody import MAX_BODY_BYTES, lenient_fields
from crossauth_fastapi._http.multipart import new_parser

# How far the field is looked for: bytes in all; and parts of a multipart form, whose headers are parsed in Python.
MAX_PREFIX: Final = 1024 * 1024
MAX_PARTS: Final = 500
_MAX_VALUE: Final = 1024
_MAX_TRIES: Final = 8

Accept = Callable[[str], bool]


class _Search(Protocol):
    """Looks for values of the field in a body that comes piece by piece."""

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The values that end in the next piece."""
        ...

    def finish(self) -> Iterable[bytes]:
        """The values that end with the body."""
        ...


async def find_field(
    content_type_header: str, length: str, receive: Receive, names: Sequence[str], accept: Accept
) -> Receive:
    """Look in a body for a field with a value that is accepted.

    Parameters:
        content_type_header: the request's Content-Type.
        length: its Content-Length, empty where it has none.
        receive: where the body comes from.
        names: what the field may be called.
        accept: whether a value is the one that is looked for; asked for a few values at most.

    Returns:
        A `receive` that hands out the whole body, whether or not the field was found.

    Raises:
        ClientDisconnect: where the client went away.
    """
    kind = content_type(content_type_header)
    encoded = [name.encode("ascii") for name in names]
    search: _Search
    if kind == MULTIPART_TYPE:
        search = _MultipartSearch(content_type_header, encoded)
    elif kind == FORM_TYPE:
        search = _FormSearch(encoded)
    elif kind == JSON_TYPE and not (length.isdecimal() and int(length[:18]) > MAX_BODY_BYTES):
        search = _JsonSearch(names)
    else:
        return receive
    return await _read_until(receive, search, accept)


async def _read_until(receive: Receive, search: _Search, accept: Accept) -> Receive:
    messages: list[Message] = []
    size, tries = 0, _MAX_TRIES
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        messages.append(message)
        data = message.get("body", b"")
        size += len(data)
        more = message.get("more_body", False)
        for value in _values(search, data, more):
            tries -= 1
            if accept(value.decode("latin-1")) or not tries:
                return _again(messages, receive)
        if not more or size >= MAX_PREFIX:
            return _again(messages, receive)


def _values(search: _Search, data: bytes, more: bool) -> Iterator[bytes]:
    yield from search.feed(data)
    if not more:
        yield from search.finish()


def _again(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that hands out `messages` again, letting go of each, and then goes on with the original one."""
    messages.reverse()

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


class _FormSearch:
    """`application/x-www-form-urlencoded`. Browsers write the letters of these names as they are."""

    def __init__(self, names: Sequence[bytes]) -> None:
        self._field = re.compile(rb"(?:^|&)(?:" + b"|".join(names) + rb")=([^&]{1,%d})(?=&|$)" % _MAX_VALUE)
        self._rest = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See `_Search`. Each byte is looked at twice: for the end of its field, and with its field."""
        if self._size >= MAX_PREFIX:
            return
        self._size += len(data)
        end = data.rfind(b"&")
        if end < 0:
            self._rest += data
            return
        fields = bytes(self._rest) + data[:end]
        self._rest = bytearray(data[end + 1 :])
        yield from self._found(fields)

    def finish(self) -> Iterable[bytes]:
        """See `_Search`."""
        yield from self._found(bytes(self._rest))

    def _found(self, fields: bytes) -> Iterator[bytes]:
        for match in self._field.finditer(fields):
            yield unquote_to_bytes(match.group(1))


class _MultipartSearch:
    """`multipart/form-data`; the content of files is passed over."""

    def __init__(self, content_type_header: str, names: Sequence[bytes]) -> None:
        self._names = names
        self._parser = self._make_parser(content_type_header)
        self._parts = 0
        self._header = [b"", b""]
        self._wanted = False
        self._value = bytearray()
        self._found: list[bytes] = []

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See `_Search`. What is no multipart form is left to the application."""
        if self._parser is None:
            return []
        try:
            self._parser.write(data)
        except (FormParserError, _TooMany):
            self._parser = None
        found, self._found = self._found, []
        return found

    def finish(self) -> Iterable[bytes]:
        """See `_Search`."""
        return []

    def _make_parser(self, header: str) -> MultipartParser | None:
        boundary = parse_options_header(header)[1].get(b"boundary", b"")
        try:
            return new_parser(
                boundary,
                {
                    "on_part_begin": self._on_part,
                    "on_header_field": lambda data, start, end: self._on_header(0, data[start:end]),
                    "on_header_value": lambda data, start, end: self._on_header(1, data[start:end]),
                    "on_header_end": self._on_header_end,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part_end,
                },
            )
        except (FormParserError, ValueError):
            return None

    def _on_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _TooMany
        self._wanted, self._value = False, bytearray()

    def _on_header(self, place: int, data: bytes) -> None:
        self._header[place] += data

    def _on_header_end(self) -> None:
        name, value = self._header
        self._header = [b"", b""]
        if name.lower() == b"content-disposition":
            options = parse_options_header(value)[1]
            self._wanted = options.get(b"name") in self._names and b"filename" not in options

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted and len(self._value) <= _MAX_VALUE:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._wanted and 0 < len(self._value) <= _MAX_VALUE:
            self._found.append(bytes(self._value))


class _TooMany(Exception):
    """More parts than a form has before its token."""


class _JsonSearch:
    """`application/json`, as far as our own endpoints take it; no HTML page sends it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See `_Search`."""
        if len(self._body) <= MAX_BODY_BYTES:
            self._body += data
        return []

    def finish(self) -> Iterable[bytes]:
        """See `_Search`."""
        if len(self._body) > MAX_BODY_BYTES:
            return
        fields = lenient_fields(bytes(self._body))
        for name in self._names:
            value = fields.get(name)
            if isinstance(value, str) and value.isascii():
                yield value.encode("ascii")
