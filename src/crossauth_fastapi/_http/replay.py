"""Bodies that are handed out again, or in the place of what was sent."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Receive

from crossauth_fastapi._http.bodies import JsonOrFormData


def replay(body: bytes, complete: bool, receive: Receive) -> Receive:
    """A `receive` that hands out `body` again and then goes on with the original one."""
    handed_out = False

    async def again() -> Message:
        nonlocal handed_out
        if handed_out:
            return await receive()
        handed_out = True
        return {"type": "http.request", "body": body, "more_body": not complete}

    return again


async def set_body(request: Request, body: bytes) -> None:
    """Make `body` what the request's handlers read."""
    request._body = body
    request._receive = replay(body, True, request.receive)


async def create_body(request: Request) -> MutableMapping[str, Any]:
    """The fields of the body, as a dictionary; see `JsonOrFormData`."""
    form = JsonOrFormData(request)
    await form.load()
    return form.to_dict()
