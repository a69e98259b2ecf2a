"""The public names of the backend, and nothing else.

What needs SQLAlchemy is imported when it is first asked for, so that the core works without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.passwords import Argon2Parameters
from crossauth_backend.factors.base import (
    AuthenticationParameters,
    Authenticator,
    AuthenticatorCapabilities,
    AuthenticatorOptions,
    PasswordAuthenticator,
)
from crossauth_backend.factors.dummy.authenticator import DummyFactor2Authenticator
from crossauth_backend.factors.password.authenticator import (
    LocalPasswordAuthenticator,
    LocalPasswordAuthenticatorOptions,
)
from crossauth_backend.factors.password.rules import default_password_validator
from crossauth_backend.keys.record import Key, KeyDataEntry, KeyPrefix, get_json_data
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.sessionmanager import Csrf, SessionManager, SessionManagerOptions, SessionTokens
from crossauth_backend.sessions.cookie import Cookie, CookieOptions, to_cookie_serialize_options
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken, DoubleSubmitCsrfTokenOptions
from crossauth_backend.sessions.manager import SessionCookie, SessionCookieOptions, UserAndKey
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.storages.memory.users import InMemoryUserStorage
from crossauth_backend.users.record import (
    User,
    UserAndSecrets,
    UserInputFields,
    UserSecrets,
    UserSecretsInputFields,
)
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.states import UserState
from crossauth_backend.users.storage import UserStorage, UserStorageGetOptions, UserStorageOptions

if TYPE_CHECKING:
    from crossauth_backend.storages.sqlalchemy.engine import open_engine
    from crossauth_backend.storages.sqlalchemy.keys import SqlAlchemyKeyStorage
    from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage

_LAZY = {
    "SqlAlchemyKeyStorage": "crossauth_backend.storages.sqlalchemy.keys",
    "SqlAlchemyUserStorage": "crossauth_backend.storages.sqlalchemy.users",
    "open_engine": "crossauth_backend.storages.sqlalchemy.engine",
}

__all__ = [
    "Argon2Parameters",
    "AuthenticationParameters",
    "Authenticator",
    "AuthenticatorCapabilities",
    "AuthenticatorOptions",
    "Cookie",
    "CookieOptions",
    "CrossauthError",
    "Csrf",
    "DoubleSubmitCsrfToken",
    "DoubleSubmitCsrfTokenOptions",
    "DummyFactor2Authenticator",
    "ErrorCode",
    "InMemoryKeyStorage",
    "InMemoryUserStorage",
    "Key",
    "KeyDataEntry",
    "KeyPrefix",
    "KeyStorage",
    "LocalPasswordAuthenticator",
    "LocalPasswordAuthenticatorOptions",
    "PasswordAuthenticator",
    "SessionCookie",
    "SessionCookieOptions",
    "SessionManager",
    "SessionManagerOptions",
    "SessionTokens",
    "SqlAlchemyKeyStorage",
    "SqlAlchemyUserStorage",
    "User",
    "UserAndKey",
    "UserAndSecrets",
    "UserInputFields",
    "UserSecrets",
    "UserSecretsInputFields",
    "UserState",
    "UserStorage",
    "UserStorageGetOptions",
    "UserStorageOptions",
    "default_password_validator",
    "default_user_validator",
    "get_json_data",
    "open_engine",
    "to_cookie_serialize_options",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        try:
            return getattr(import_module(_LAZY[name]), name)
        except ModuleNotFoundError as e:
            raise ImportError(f"{name} needs {e.name}: install crossauth[sqlite] or crossauth[postgres]") from e
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
