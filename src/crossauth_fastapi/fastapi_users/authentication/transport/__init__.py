"""How tokens travel."""

from crossauth_fastapi.fastapi_users.authentication.transport.base import Transport, TransportLogoutNotSupportedError
from crossauth_fastapi.fastapi_users.authentication.transport.bearer import BearerTransport
from crossauth_fastapi.fastapi_users.authentication.transport.cookie import CookieTransport

__all__ = ["BearerTransport", "CookieTransport", "Transport", "TransportLogoutNotSupportedError"]
