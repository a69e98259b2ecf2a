"""The fields of a form: what an action declares for OpenAPI is what is read.

Reading is as lenient as forms need it: `"true"`, `"on"` and `"1"` are true, undeclared fields are left alone, and one of
the wrong type is refused by name. Fields that a hook of the application or a factor defines are asked of `JsonOrFormData`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from crossauth_fastapi._http.bodies import JsonOrFormData
from crossauth_fastapi._http.openapi import TITLED

B = TypeVar("B", bound=BaseModel)
Reader: TypeAlias = Callable[[JsonOrFormData, str], object]


class Reading(Enum):
    """How a field is read, other than as its type says."""

    CHECKED_LATER = "empty where it is missing"
    AS_SENT = "not at all"


# Text that has to be sent; whoever uses it says what is wrong where it is missing, here it is empty then.
CheckedLater: TypeAlias = Annotated[str, Reading.CHECKED_LATER]
# What stays in the form as it was sent, for a hook of the application or the middleware. Here it is always `None`.
AsSent: TypeAlias = Annotated[str | None, Reading.AS_SENT]

_READERS: Final[dict[Any, Reader]] = {
    str: JsonOrFormData.getAsStr,
    bool: JsonOrFormData.getAsBool,
    int: JsonOrFormData.getAsInt,
    float: JsonOrFormData.getAsFloat,
}


class CsrfBody(BaseModel):
    """Every form carries a CSRF token, unless the header `X-CROSSAUTH-CSRF` does."""

    model_config = TITLED
    csrfToken: AsSent = Field(None, description="CSRF token, where the header does not carry it.")


class Ok(BaseModel):
    """It was done."""

    model_config = TITLED | ConfigDict(extra="allow")
    ok: bool
    csrfToken: str | None = Field(
        None, description="The CSRF token to use from now on, where this answer replaces it, as logging in or out does."
    )


class Readable(NamedTuple):
    """A field that is read."""

    name: str
    read: Reader
    required: bool
    checked_later: bool


@cache
def readable_fields(model: type[BaseModel]) -> tuple[Readable, ...]:
    """The fields of a body, and how each is read.

    Raises:
        TypeError: for a field of a type that a form cannot have.
    """
    found = []
    for name, field in model.model_fields.items():
        if Reading.AS_SENT not in field.metadata:
            later = Reading.CHECKED_LATER in field.metadata
            found.append(Readable(name, _reader(model, name, field), field.is_required(), later))
    return tuple(found)


def _reader(model: type[BaseModel], name: str, field: FieldInfo) -> Reader:
    union = get_origin(field.annotation) in (Union, UnionType)
    types = [t for t in (get_args(field.annotation) if union else (field.annotation,)) if t is not type(None)]
    if len(types) != 1 or types[0] not in _READERS:
        raise TypeError(f"{model.__name__}.{name}: a form has text, numbers and booleans, not {field.annotation}")
    return _READERS[types[0]]
