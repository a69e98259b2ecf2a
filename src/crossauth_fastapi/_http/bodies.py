"""Request bodies: JSON or form, one field at most once, text that can be stored, and nothing larger than it must be.

Whatever is wrong with a body is the client's mistake and answered as one; no garbage reaches a handler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.text import is_storable
from crossauth_fastapi._http.jsonbody import MAX_BODY_BYTES, MAX_FIELDS, BadFields, no_repeats, parse_fields
from crossauth_fastapi._http.multipart import multipart_fields

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
MULTIPART_TYPE: Final = "multipart/form-data"
_TRUE: Final = ("true", "t", "on", "1", "yes", "y")
Scalar = str | int | float | bool | None


def bad_request(message: str, status: int | None = None) -> CrossauthError:
    """The refusal of a body, with public text."""
    return CrossauthError(ErrorCode.BadRequest, message, status=status)


def content_type(raw: str) -> str:
    """The media type of a Content-Type header, without parameters, in lower case."""
    return raw.partition(";")[0].strip().lower()


async def read_limited(receive: Receive, limit: int = MAX_BODY_BYTES) -> tuple[bytes, bool]:
    """The body as far as `limit` bytes, and whether that is all of it.

    Raises:
        ClientDisconnect: where the client went away.
    """
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks), size <= limit
        if size > limit:
            return b"".join(chunks), False


async def parse_body(request: Request, body: bytes) -> dict[str, Any]:
    """The fields of a JSON or form body.

    Raises:
        CrossauthError: `BadRequest`, with status 415 for any other content type.
    """
    kind = content_type(request.headers.get("content-type", ""))
    if not body and kind in ("", JSON_TYPE, FORM_TYPE, MULTIPART_TYPE):
        return {}
    try:
        if kind == JSON_TYPE:
            fields = parse_fields(body)
        elif kind == FORM_TYPE:
            fields = _form_fields(body)
        elif kind == MULTIPART_TYPE:
            fields = await multipart_fields(request, body)
        else:
            raise bad_request(f"Send the body as {JSON_TYPE}, {FORM_TYPE} or {MULTIPART_TYPE}", 415)
    except BadFields as e:
        raise bad_request(str(e)) from None
    for name, value in fields.items():
        _check_text(name, name)
        _check_text(name, value)
    return fields


class JsonOrFormData:
    """The fields of a request, read once.

    Parameters:
        request: the request.
        body: the fields, where they have been read already.
    """

    def __init__(self, request: Request, body: Mapping[str, Any] | None = None) -> None:
        self.request = request
        self._fields: dict[str, Any] = dict(body or {})
        self.loaded = body is not None

    async def load(self) -> None:
        """Read the body.

        Raises:
            CrossauthError: `BadRequest` (400, 413 or 415), saying what is wrong with it.
        """
        if self.loaded:
            return
        self._fields = await parse_body(self.request, await get_body(self.request))
        self.loaded = True

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        return dict(self._fields)

    def get(self, name: str, default: Any = None) -> Any:
        """A field as it was sent."""
        return self._fields.get(name, default)

    def has(self, name: str) -> bool:
        """Whether a field was sent."""
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def getAsStr(self, name: str, default: str | None = None) -> str | None:
        """A field as text; `BadRequest` where it is anything else."""
        value = self._fields.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise bad_request(f"{name} must be text")
        return value

    def getAsBool(self, name: str, default: bool | None = None) -> bool | None:
        """A field as true or false: `true t on 1 yes y` in any case are true."""
        value = self._fields.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            return value.lower() in _TRUE
        if isinstance(value, (bool, int, float)):
            return bool(value)
        raise bad_request(f"{name} must be true or false")

    def getAsInt(self, name: str, default: int | None = None) -> int | None:
        """A field as a whole number; `BadRequest` where it is none."""
        number = self.getAsFloat(name)
        if number is None:
            return default
        if number != int(number):
            raise bad_request(f"{name} must be a whole number")
        return int(number)

    def getAsFloat(self, name: str, default: float | None = None) -> float | None:
        """A field as a number; `BadRequest` where it is none."""
        value = self._fields.get(name)
        if value is None:
            return default
        try:
            number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or number != number or number in (float("inf"), float("-inf")):
            raise bad_request(f"{name} must be a number")
        return number


async def get_body(request: Request) -> bytes:
    """The raw body, at most 64 KiB; it may be read again afterwards.

    Raises:
        CrossauthError: `BadRequest` with status 413 for a larger one.
    """
    if not hasattr(request, "_body"):
        body, complete = await read_limited(request.receive)
        if not complete:
            raise bad_request(f"The body is larger than {MAX_BODY_BYTES // 1024} KiB", 413)
        request._body = body
    return request._body


def _form_fields(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise bad_request("The body is not a valid form") from None
    return no_repeats(pairs)


def _check_text(field: str, value: object) -> None:
    if isinstance(value, str):
        if not is_storable(value):
            raise bad_request(f"Field {field[:50]!a} holds characters that are not text")
    elif isinstance(value, dict):
        for inner in value.items():
            _check_text(field, list(inner))
    elif isinstance(value, list):
        for item in value:
            _check_text(field, item)
