"""The endpoints of an OAuth client as records, and the routes that are made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from crossauth_backend.events.record import EventName
from crossauth_fastapi._actions.forms import CsrfBody
from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._oauth_client.context import ClientContext

Handler: TypeAlias = Callable[[ClientContext, Request, JsonOrFormData], Awaitable[Response]]
Refused: TypeAlias = Callable[[ClientContext, Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEndpoint:
    """One URL of the client.

    Parameters:
        name: its path after `prefix`. Where `option` names it, what it is by default, for the docs.
        method: `GET` or `POST`. A URL that has both is two endpoints.
        handler: answers it. It is given the fields of the body, or of the query of a GET: each once, bounded, text that can be
            stored. What it raises is answered by `refused`.
        summary: what it does, for OpenAPI and the docs.
        operation_id: its name in clients that are made from OpenAPI; for pages, in logs.
        option: the option that names its path; `None` where it has a fixed one. Where the option has no value the endpoint has the
            names of `name` and `also`, or, with `only_named`, is not there.
        only_named: whether it is there only where its option is given.
        api: whether it is `api/` and the path.
        also: further paths where the option has no value.
        flows: it is there where one of these is on; empty where it needs none.
        enabled: what else must be the case for it to be there.
        csrf: whether a POST needs a CSRF token.
        needs_login: whether it asks for a user where one of its flows is in `login_protected_flows`; the callback of a flow asks
            itself.
        refused: answers an exception; by default as `error_response_type` says.
        page: whether it is for browsers, and not in OpenAPI.
        body: the fields that it reads, for OpenAPI.
        answer: what its JSON says, for OpenAPI.
        templates: options that name the templates that it shows; they are checked at the start.
        events: what it tells the listeners of events.
        limits: the limits of attempts that count it.
    """

    name: str
    method: Literal["GET", "POST"]
    handler: Handler
    summary: str
    operation_id: str
    option: str | None = None
    only_named: bool = False
    api: bool = False
    also: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    enabled: Callable[[ClientContext], bool] = lambda ctx: True
    csrf: bool = True
    needs_login: bool = True
    refused: Refused | None = None
    page: bool = False
    body: type[BaseModel] = CsrfBody
    answer: type[BaseModel] | None = None
    templates: tuple[str, ...] = ()
    events: tuple[EventName, ...] = ()
    limits: tuple[str, ...] = ()

    def names(self, ctx: ClientContext) -> tuple[str, ...]:
        """Its paths after `prefix`; none where the options do not switch it on."""
        ...


def add(router: APIRouter, ctx: ClientContext, endpoints: Iterable[ClientEndpoint]) -> None:
    """Add those of the endpoints that the options switch on."""
    ...
