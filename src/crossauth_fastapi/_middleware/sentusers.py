"""Routes that would believe a request about who sends it.

FastAPI reads a parameter whose type is a dataclass from the request's body, and `Depends()` without a function fills it from the
query. Where a route forgot `require`, anybody could be anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.users.record import User
from crossauth_fastapi._http.openapi import Guarded
from crossauth_fastapi._middleware.protection import all_targets


class NeverSent:
    """A class of values that say who is asking: none of them is read from a request."""

    __slots__ = ()


def check_parameters(app: FastAPI) -> None:
    """Stop the start where a route takes a user, or a principal, from what the client sends, or never asks what it requires.

    Raises:
        CrossauthError: `Configuration`, naming the route and the parameter.
    """
    for target in all_targets(app.routes):
        dependant = getattr(target.served, "dependant", None)
        for name, text in _mistakes(dependant) if dependant is not None else ():
            raise CrossauthError(ErrorCode.Configuration, f"{target.path}: parameter {name!r} {text}")


def _mistakes(dependant: Dependant) -> Iterator[tuple[str, str]]:
    """The parameters that say who somebody is, and are not what they seem; and what is wrong with each."""
    for field in (*dependant.body_params, *dependant.query_params):
        if isinstance(field.field_info.default, Guarded):
            yield field.name, "has a requirement as its default, which nobody asks: write Depends(require(...))"
        elif (kind := _somebody(field.field_info.annotation)) is not None:
            yield field.name, _sent(kind)
    for inner in dependant.dependencies:
        if (kind := _somebody(inner.call)) is not None:
            yield str(inner.name), _sent(kind)
        yield from _mistakes(inner)


def _sent(kind: Any) -> str:
    name = getattr(kind, "__name__", str(kind))
    return (
        f"is a {name}, which FastAPI would read from what the client sends, so that anybody could be anybody. For who is asking "
        f"write Annotated[{name}, Depends(require({name}))]; for what is sent, a Pydantic model of the fields that may be sent"
    )


def _somebody(kind: Any) -> Any:
    """The class of users, or of principals, that a type is or may be; `None` for any other."""
    origin = get_origin(kind)
    if origin is Union or origin is UnionType:
        return next((found for one in get_args(kind) if (found := _somebody(one)) is not None), None)
    named = origin or kind
    return named if isinstance(named, type) and issubclass(named, (User, NeverSent)) else None
