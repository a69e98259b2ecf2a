"""Models of answers are read once: FastAPI does it for every route of every application, and the tests make thousands."""

from functools import cache
from typing import Annotated, Any

from fastapi._compat import v2
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

# What FastAPI gives every field of an answer, where there is nothing in it.
_PLAIN = {"annotation", "default", "alias"}


@cache
def _of_model(model: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[model, FieldInfo()])


def share_models() -> None:
    """Let fields of answers that are nothing but a model of the package share what pydantic makes of it."""
    read = v2.ModelField.__post_init__

    def shared(field: v2.ModelField) -> None:
        info = field.field_info
        model = info.annotation
        ours = isinstance(model, type) and issubclass(model, BaseModel) and model.__module__.startswith("crossauth_")
        says_more = (
            info.metadata or info.alias or info.default is not PydanticUndefined or info._attributes_set.keys() - _PLAIN
        )
        if ours and not says_more and field.mode == "serialization" and field.config is None:
            field._type_adapter = _of_model(model)
        else:
            read(field)

    v2.ModelField.__post_init__ = shared
