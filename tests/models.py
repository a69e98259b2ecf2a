"""Models of answers are read once: FastAPI does it for every route of every application, and the tests make thousands."""

from functools import cache
from typing import Annotated, Any

from fastapi._compat import v2
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


@cache
def _of_model(model: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[model, FieldInfo()])


def share_models() -> None:
    """Let fields of answers that are nothing but a model of the package share what pydantic makes of it."""
    read = v2.ModelField.__post_init__

    def shared(field: v2.ModelField) -> None:
        info = field.field_info
        model, plain = info.annotation, FieldInfo(annotation=info.annotation, default=PydanticUndefined)
        ours = isinstance(model, type) and issubclass(model, BaseModel) and model.__module__.startswith("crossauth_")
        if ours and field.mode == "serialization" and field.config is None and repr(info) == repr(plain):
            field._type_adapter = _of_model(model)
        else:
            read(field)

    v2.ModelField.__post_init__ = shared
