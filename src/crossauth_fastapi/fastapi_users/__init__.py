"""The documented routes and Python API of FastAPI Users, on the library's own core.

`from crossauth_fastapi import fastapi_users` takes the place of `import fastapi_users`.
"""

from crossauth_fastapi.fastapi_users import models, schemas
from crossauth_fastapi.fastapi_users.exceptions import InvalidID, InvalidPasswordException
from crossauth_fastapi.fastapi_users.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.manager import BaseUserManager, IntegerIDMixin, UUIDIDMixin

__version__ = "15.0.5"

__all__ = [
    "BaseUserManager", "FastAPIUsers", "IntegerIDMixin", "InvalidID", "InvalidPasswordException", "UUIDIDMixin",
    "models", "schemas",
]  # fmt: skip
