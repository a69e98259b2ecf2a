"""The public names of the backend, and nothing else.

What needs SQLAlchemy or Redis is imported when it is first asked for, so that the core works without it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from crossauth_backend.api_keys.manager import ApiKeyManager
from crossauth_backend.api_keys.options import ApiKeyManagerOptions
from crossauth_backend.api_keys.record import ApiKey, KeyReturn, VerifiedApiKey
from crossauth_backend.api_keys.rows import RequestedBy
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hash_cost import Argon2Parameters
from crossauth_backend.delivery.mailer import DeliveryRefused, Mail, Mailer
from crossauth_backend.delivery.outbox import Outbox
from crossauth_backend.delivery.sms import SmsSender
from crossauth_backend.delivery.smtp import SmtpMailer
from crossauth_backend.delivery.twilio import TwilioSender
from crossauth_backend.email_tokens.manager import TokenEmailer
from crossauth_backend.email_tokens.options import TokenEmailerOptions
from crossauth_backend.events.audit import AuditStorage
from crossauth_backend.events.listeners import LoggingListener
from crossauth_backend.events.record import Event, EventListener, EventName
from crossauth_backend.factors.base import (
    AuthenticationParameters,
    Authenticator,
    AuthenticatorCapabilities,
    AuthenticatorOptions,
    CodeField,
    PasswordAuthenticator,
    SetupField,
)
from crossauth_backend.factors.dummy.authenticator import DummyFactor2Authenticator
from crossauth_backend.factors.email_otp.authenticator import EmailAuthenticator, EmailAuthenticatorOptions
from crossauth_backend.factors.password.authenticator import LocalPasswordAuthenticator
from crossauth_backend.factors.password.options import LocalPasswordAuthenticatorOptions
from crossauth_backend.factors.password.rules import default_password_validator
from crossauth_backend.factors.sms_otp.authenticator import (
    DummySmsAuthenticator,
    SmsAuthenticator,
    SmsAuthenticatorOptions,
    TwilioAuthenticator,
)
from crossauth_backend.factors.totp.authenticator import TotpAuthenticator
from crossauth_backend.keys.data import KeyDataEntry, get_json_data
from crossauth_backend.keys.record import Consumed, Key, KeyPrefix
from crossauth_backend.keys.storage import KeyStorage
from crossauth_backend.limits.rules import DEFAULT_LIMITS, Limit
from crossauth_backend.oauth.client import (
    IdTokenReturn,
    LogoutToken,
    OAuthClientOptions,
    OAuthDeviceAuthorizationResponse,
    OAuthDeviceResponse,
    OAuthFlows,
    OAuthMfaAuthenticator,
    OAuthMfaAuthenticatorsResponse,
    OAuthMfaChallengeResponse,
    OAuthTokenResponse,
    OAuthTokenResponseWithExpiry,
    TokenSet,
)
from crossauth_backend.oauth.resserver import OAuthResourceServer, OAuthResourceServerOptions
from crossauth_backend.oauth.tokenconsumer import OAuthTokenConsumer, OAuthTokenConsumerOptions
from crossauth_backend.oauth.wellknown import (
    DEFAULT_OIDCCONFIG,
    AuthorizeQueryType,
    ClaimType,
    EncryptionKey,
    GrantType,
    Jwks,
    OpenIdConfiguration,
    ResponseMode,
    SubjectType,
    TokenBodyType,
    TokenEndpointAuthMethod,
)
from crossauth_backend.sessionmanager import (
    Csrf,
    SessionManager,
    SessionManagerOptions,
    SessionTokens,
    TokensSent,
    UserIdAndData,
)
from crossauth_backend.sessions.cookie import Cookie
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken
from crossauth_backend.sessions.manager import SessionCookie, UserAndKey
from crossauth_backend.sessions.options import (
    CookieOptions,
    DoubleSubmitCsrfTokenOptions,
    SessionCookieOptions,
    to_cookie_serialize_options,
)
from crossauth_backend.storages.memory.audit import InMemoryAuditStorage
from crossauth_backend.storages.memory.identities import InMemoryIdentityStorage
from crossauth_backend.storages.memory.keys import InMemoryKeyStorage
from crossauth_backend.storages.memory.users import InMemoryUserStorage
from crossauth_backend.users.identities import Identity, IdentityStorage
from crossauth_backend.users.options import UserStorageOptions
from crossauth_backend.users.reads import UserStorageGetOptions
from crossauth_backend.users.record import (
    User,
    UserAndSecrets,
    UserInputFields,
    UserSecrets,
    UserSecretsInputFields,
)
from crossauth_backend.users.rules import default_user_validator
from crossauth_backend.users.states import UserState
from crossauth_backend.users.storage import UserStorage

if TYPE_CHECKING:
    from crossauth_backend.storages.redis.client import open_redis
    from crossauth_backend.storages.redis.keys import RedisKeyStorage
    from crossauth_backend.storages.sqlalchemy.audit import SqlAlchemyAuditStorage
    from crossauth_backend.storages.sqlalchemy.engine import open_engine
    from crossauth_backend.storages.sqlalchemy.identities import SqlAlchemyIdentityStorage
    from crossauth_backend.storages.sqlalchemy.keys import SqlAlchemyKeyStorage
    from crossauth_backend.storages.sqlalchemy.metadata import (
        alembic_include_name,
        alembic_include_object,
        metadata,
        metadata_of,
    )
    from crossauth_backend.storages.sqlalchemy.users import SqlAlchemyUserStorage

_LAZY = {
    "RedisKeyStorage": "crossauth_backend.storages.redis.keys",
    "SqlAlchemyAuditStorage": "crossauth_backend.storages.sqlalchemy.audit",
    "SqlAlchemyIdentityStorage": "crossauth_backend.storages.sqlalchemy.identities",
    "SqlAlchemyKeyStorage": "crossauth_backend.storages.sqlalchemy.keys",
    "SqlAlchemyUserStorage": "crossauth_backend.storages.sqlalchemy.users",
    "alembic_include_name": "crossauth_backend.storages.sqlalchemy.metadata",
    "alembic_include_object": "crossauth_backend.storages.sqlalchemy.metadata",
    "metadata": "crossauth_backend.storages.sqlalchemy.metadata",
    "metadata_of": "crossauth_backend.storages.sqlalchemy.metadata",
    "open_engine": "crossauth_backend.storages.sqlalchemy.engine",
    "open_redis": "crossauth_backend.storages.redis.client",
}

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_OIDCCONFIG",
    "ApiKey",
    "ApiKeyManager",
    "ApiKeyManagerOptions",
    "Argon2Parameters",
    "AuditStorage",
    "AuthenticationParameters",
    "Authenticator",
    "AuthenticatorCapabilities",
    "AuthenticatorOptions",
    "AuthorizeQueryType",
    "ClaimType",
    "CodeField",
    "Consumed",
    "Cookie",
    "CookieOptions",
    "CrossauthError",
    "Csrf",
    "DeliveryRefused",
    "DoubleSubmitCsrfToken",
    "DoubleSubmitCsrfTokenOptions",
    "DummyFactor2Authenticator",
    "DummySmsAuthenticator",
    "EmailAuthenticator",
    "EmailAuthenticatorOptions",
    "EncryptionKey",
    "ErrorCode",
    "Event",
    "EventListener",
    "EventName",
    "GrantType",
    "IdTokenReturn",
    "Identity",
    "IdentityStorage",
    "InMemoryAuditStorage",
    "InMemoryIdentityStorage",
    "InMemoryKeyStorage",
    "InMemoryUserStorage",
    "Jwks",
    "Key",
    "KeyDataEntry",
    "KeyPrefix",
    "KeyReturn",
    "KeyStorage",
    "Limit",
    "LocalPasswordAuthenticator",
    "LocalPasswordAuthenticatorOptions",
    "LoggingListener",
    "LogoutToken",
    "Mail",
    "Mailer",
    "OAuthClientOptions",
    "OAuthDeviceAuthorizationResponse",
    "OAuthDeviceResponse",
    "OAuthFlows",
    "OAuthMfaAuthenticator",
    "OAuthMfaAuthenticatorsResponse",
    "OAuthMfaChallengeResponse",
    "OAuthResourceServer",
    "OAuthResourceServerOptions",
    "OAuthTokenConsumer",
    "OAuthTokenConsumerOptions",
    "OAuthTokenResponse",
    "OAuthTokenResponseWithExpiry",
    "OpenIdConfiguration",
    "Outbox",
    "PasswordAuthenticator",
    "RequestedBy",
    "ResponseMode",
    "SessionCookie",
    "SessionCookieOptions",
    "SessionManager",
    "SessionManagerOptions",
    "SessionTokens",
    "SetupField",
    "SmsAuthenticator",
    "SmsAuthenticatorOptions",
    "SmsSender",
    "SmtpMailer",
    "SubjectType",
    "TokenBodyType",
    "TokenEmailer",
    "TokenEmailerOptions",
    "TokenEndpointAuthMethod",
    "TokenSet",
    "TokensSent",
    "TotpAuthenticator",
    "TwilioAuthenticator",
    "TwilioSender",
    "User",
    "UserAndKey",
    "UserAndSecrets",
    "UserIdAndData",
    "UserInputFields",
    "UserSecrets",
    "UserSecretsInputFields",
    "UserState",
    "UserStorage",
    "UserStorageGetOptions",
    "UserStorageOptions",
    "VerifiedApiKey",
    "default_password_validator",
    "default_user_validator",
    "get_json_data",
    "to_cookie_serialize_options",
]
# Only what is installed: a star import is to bring what is here, not to fail over what is not.
if TYPE_CHECKING or find_spec("redis") is not None:
    __all__ += ["RedisKeyStorage", "open_redis"]
if TYPE_CHECKING or (find_spec("sqlalchemy") is not None and find_spec("greenlet") is not None):
    __all__ += [
        "SqlAlchemyAuditStorage",
        "SqlAlchemyIdentityStorage",
        "SqlAlchemyKeyStorage",
        "SqlAlchemyUserStorage",
        "alembic_include_name",
        "alembic_include_object",
        "metadata",
        "metadata_of",
        "open_engine",
    ]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        try:
            return getattr(import_module(_LAZY[name]), name)
        except ImportError as e:
            # SQLAlchemy without its extra `asyncio` says in an error of its own that greenlet is missing.
            package = e.name.partition(".")[0] if isinstance(e, ModuleNotFoundError) and e.name else "greenlet"
            extra = "crossauth[redis]" if package == "redis" else "crossauth[sqlite] or crossauth[postgres]"
            raise ImportError(f"{name} needs {package}: install {extra}") from e
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
