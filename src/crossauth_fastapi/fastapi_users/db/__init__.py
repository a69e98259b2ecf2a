"""Where users are."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from crossauth_fastapi.fastapi_users.db.base import BaseUserDatabase, UserDatabaseDependency
from crossauth_fastapi.fastapi_users.db.crossauth import CrossauthUserDatabase

if TYPE_CHECKING:
    from crossauth_fastapi.fastapi_users.db.sqlalchemy import (
        SQLAlchemyBaseOAuthAccountTable,
        SQLAlchemyBaseOAuthAccountTableUUID,
        SQLAlchemyBaseUserTable,
        SQLAlchemyBaseUserTableUUID,
        SQLAlchemyUserDatabase,
    )

__all__ = ["BaseUserDatabase", "CrossauthUserDatabase", "UserDatabaseDependency"]
if find_spec("sqlalchemy") is not None:
    __all__ += [
        "SQLAlchemyBaseOAuthAccountTable", "SQLAlchemyBaseOAuthAccountTableUUID", "SQLAlchemyBaseUserTable",
        "SQLAlchemyBaseUserTableUUID", "SQLAlchemyUserDatabase",
    ]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("SQLAlchemy"):
        try:
            from crossauth_fastapi.fastapi_users.db import sqlalchemy
        except ModuleNotFoundError as e:
            raise ImportError(f"{name} needs {e.name}: install crossauth[sqlite] or crossauth[postgres]") from e
        if hasattr(sqlalchemy, name):
            return getattr(sqlalchemy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
