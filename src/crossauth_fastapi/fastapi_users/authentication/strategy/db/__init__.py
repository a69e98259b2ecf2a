"""Tokens in a table of the application's own."""

from crossauth_fastapi.fastapi_users.authentication.strategy.db.adapter import AccessTokenDatabase
from crossauth_fastapi.fastapi_users.authentication.strategy.db.models import AP, AccessTokenProtocol
from crossauth_fastapi.fastapi_users.authentication.strategy.db.strategy import DatabaseStrategy

__all__ = ["AP", "AccessTokenDatabase", "AccessTokenProtocol", "DatabaseStrategy"]
