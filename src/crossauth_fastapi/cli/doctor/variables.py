"""The environment variables that the library reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Final

from crossauth_backend.api_keys.options import ApiKeySettings
from crossauth_backend.core.options import ENV_PREFIX, describe
from crossauth_backend.factors.email_otp.authenticator import EmailAuthenticatorSettings
from crossauth_backend.factors.password.options import LocalPasswordSettings
from crossauth_backend.factors.sms_otp.authenticator import SmsAuthenticatorSettings
from crossauth_backend.oauth.client.options import ClientSettings
from crossauth_backend.oauth.resource.options import ResourceServerSettings, TokenConsumerSettings
from crossauth_backend.sessions.options import CsrfSettings, KnownDeviceSettings, SessionCookieSettings
from crossauth_backend.storages.memory.options import InMemoryUserStorageSettings
from crossauth_backend.users.options import UserStorageSettings
from crossauth_fastapi._api_keys.options import ApiKeyServerSettings
from crossauth_fastapi._assembly.options import ServerParams, ServerSettings
from crossauth_fastapi._oauth_client.options import ClientServerSettings
from crossauth_fastapi._oauth_resource.options import FastApiResourceServerSettings
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi.fastapi_users._options import FastAPIUsersSettings

TABLES: Final = (
    ApiKeyServerSettings, ApiKeySettings, ClientServerSettings, ClientSettings, CsrfSettings, EmailAuthenticatorSettings,
    FastAPIUsersSettings, FastApiResourceServerSettings, InMemoryUserStorageSettings, KnownDeviceSettings,
    LocalPasswordSettings, ResourceServerSettings, ServerParams, ServerSettings, SessionCookieSettings,
    SessionServerSettings, SmsAuthenticatorSettings, TokenConsumerSettings, UserStorageSettings,
)  # fmt: skip
# Storages whose packages may not be installed.
_STORAGES: Final = {
    "redis.keys": "RedisKeySettings", "sqlalchemy.audit": "SqlAuditSettings", "sqlalchemy.keys": "SqlKeySettings",
    "sqlalchemy.identities": "SqlIdentitySettings", "sqlalchemy.users": "SqlUserSettings",
}  # fmt: skip
# What is read elsewhere: by commands, and by `crossauth_fastapi.development`.
_BESIDES: Final = ("SUPERUSER_PASSWORD", "ADMIN", "DATABASE_URL")


def known_variables() -> frozenset[str]:
    """The names of every variable that an option, a command or the samples read."""
    rows = (row for table in (*TABLES, *_of_storages()) for row in describe(table))
    options = {name for row in rows for name in row["env"].split(", ") if name.startswith(ENV_PREFIX)}
    return frozenset(options | {ENV_PREFIX + name for name in _BESIDES})


def _of_storages() -> Iterator[type]:
    for module, name in _STORAGES.items():
        with suppress(ImportError):
            yield getattr(import_module(f"crossauth_backend.storages.{module}"), name)
