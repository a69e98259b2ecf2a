"""Multipart forms that anybody may send, broken ones too, without a line in the log for each."""

from __future__ import annotations

import logging
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from crossauth_fastapi._http.jsonbody import MAX_BODY_BYTES, MAX_FIELDS, BadFields, no_repeats

# Known to no registry, so that no configuration of the application's loggers turns it on.
_SILENT: Final = logging.Logger("crossauth.multipart")
_SILENT.disabled = True


def new_parser(boundary: bytes, callbacks: Any = None) -> MultipartParser:
    """A parser that raises what is wrong with a form, and logs nothing: by itself it warns of each one.

    Raises:
        FormParserError: for a boundary that is too long (RFC 2046 §5.1.1).
    """
    parser = MultipartParser(boundary, callbacks)
    parser.logger = _SILENT
    return parser


def read_boundary(content_type_header: str) -> bytes | None:
    """The boundary that a Content-Type names, empty where it names none; `None` for what no parser would take as multipart form.

    Read as Starlette reads it, which decides by it what to parse.
    """
    try:
        kind, parameters = parse_options_header(content_type_header)
    except (ValueError, LookupError, AttributeError, TypeError):
        return None
    return parameters.get(b"boundary", b"") if kind == b"multipart/form-data" else None


def can_be_parsed(body: bytes, boundary: bytes) -> bool:
    """Whether the parser of Starlette, which logs, will find nothing wrong with a body, given to it in one piece."""
    try:
        new_parser(boundary).write(body)
    except FormParserError:
        return False
    return True


async def multipart_fields(request: Request, body: bytes) -> dict[str, Any]:
    """The text fields of a multipart form; files are left out.

    Raises:
        BadFields: for what is no complete form; for a repeated field, and for too many.
    """

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    boundary = read_boundary(request.headers["content-type"])
    if not boundary or b"--" + boundary + b"--" not in body:
        raise BadFields("The body is not a complete multipart form")
    if not can_be_parsed(body, boundary):
        raise BadFields("The body is not a valid multipart form of text fields")
    copy = Request(dict(request.scope), receive)
    try:
        async with copy.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY_BYTES) as form:
            pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    except (HTTPException, MultiPartException, ValueError, LookupError, AttributeError):
        raise BadFields("The body is not a valid multipart form of text fields") from None
    return no_repeats(pairs)
