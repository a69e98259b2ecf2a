"""HTTP as the authorization servers for tests speak it: one request on a connection, read whole, and one reply."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

MAX_REQUEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came.

    Parameters:
        endpoint: what was asked, as `requests` names it.
        method: of HTTP.
        path: without the query.
        query: its parameters; of one that comes twice, the last.
        headers: names in lower case.
        fields: of a form, or of a JSON object.
    """

    endpoint: str = ""
    method: str = "GET"
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """Those of the query and of the form."""
        return {**self.query, **self.fields}

    @property
    def bearer(self) -> str | None:
        """The token of its `Authorization` header (RFC 6750 §2.1)."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """Client and secret of its `Authorization` header (RFC 6749 §2.3.1)."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        client, _, secret = base64.b64decode(value).decode("ascii").partition(":")
        return unquote_plus(client), unquote_plus(secret)


class Reply(NamedTuple):
    """What is sent back.

    Parameters:
        status: of HTTP.
        document: sent as JSON; a text is sent as a page.
        headers: besides those that every reply has.
        content_type: where it is neither JSON nor a page.
    """

    status: int
    document: Any
    headers: Mapping[str, str] = {}
    content_type: str | None = None

    @property
    def kind(self) -> str:
        """Its content type."""
        if self.content_type is not None:
            return self.content_type
        return "text/html; charset=utf-8" if isinstance(self.document, str) else "application/json"

    def body(self) -> bytes:
        """Its bytes."""
        return (self.document if isinstance(self.document, str) else json.dumps(self.document)).encode()


async def receive(reader: asyncio.StreamReader) -> Received:
    """Read a request.

    Raises:
        asyncio.IncompleteReadError: where it ends too early.
        asyncio.LimitOverrunError: where its head is too long.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(min(int(headers.get("content-length", "0")), MAX_REQUEST))
    method, target = lines[0].split(" ")[:2]
    path, _, query = target.partition("?")
    return Received(
        method=method, path=path, query=dict(parse_qsl(query, keep_blank_values=True)), headers=headers,
        fields=_fields(headers.get("content-type", ""), body),
    )  # fmt: skip


def _fields(kind: str, body: bytes) -> dict[str, str]:
    if kind.startswith("application/json"):
        document = json.loads(body)
        return {name: str(value) for name, value in document.items()} if isinstance(document, dict) else {}
    return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
