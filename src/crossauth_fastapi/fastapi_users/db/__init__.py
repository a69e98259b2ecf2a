"""Where users are."""

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

__all__ = [
    "BaseUserDatabase", "CrossauthUserDatabase", "SQLAlchemyBaseOAuthAccountTable",
    "SQLAlchemyBaseOAuthAccountTableUUID", "SQLAlchemyBaseUserTable", "SQLAlchemyBaseUserTableUUID",
    "SQLAlchemyUserDatabase", "UserDatabaseDependency",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("SQLAlchemy") and name in __all__:
        try:
            from crossauth_fastapi.fastapi_users.db import sqlalchemy
        except ModuleNotFoundError as e:
            raise ImportError(f"{name} needs {e.name}: install crossauth[sqlite] or crossauth[postgres]") from e
        return getattr(sqlalchemy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
