"""What a type checker is to refuse: every line."""

from typing import Any

from crossauth_backend import (
    ApiKeyManager,
    DoubleSubmitCsrfToken,
    DummyFactor2Authenticator,
    EmailAuthenticator,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    OAuthTokenConsumer,
    RedisKeyStorage,
    SessionCookie,
    SessionManager,
    SqlAlchemyAuditStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TokenEmailer,
    TotpAuthenticator,
    TwilioAuthenticator,
)
from crossauth_fastapi import FastApiApiKeyServer, FastApiOAuthResourceServer, FastApiServer, require

engine: Any = None
users = InMemoryUserStorage()
keys = InMemoryKeyStorage()

require(credentials=["cookie"])
require(fresh="10")
require(int)
require("orders")
require(scopes="orders")
FastApiServer({}, {"login_paeg": "login.html"})
FastApiServer({}, {"token_prefix": 5})
FastApiServer({"sesion": {}})
FastApiServer({}, {"session_cookie_options": {"secur": True}})
FastApiApiKeyServer(engine, keys, {"scope": ["read"]})
FastApiOAuthResourceServer(engine, [], {"protected_endpoint": {}})
OAuthTokenConsumer("api", {"auth_server_url": "https://auth.example.com"})
SessionManager(keys, {}, {"secrets": "x"})
SessionCookie(keys, {"max_age": 5})
DoubleSubmitCsrfToken({"header": "X-CSRF"})
ApiKeyManager(keys, {"expiry": 60})
TokenEmailer(users, keys, {"site": "https://example.com"})
InMemoryUserStorage({"user_editable_field": ["email"]})
SqlAlchemyUserStorage(engine, {"records": users})
SqlAlchemyKeyStorage(engine, {"key_tables": "keys"})
SqlAlchemyAuditStorage(engine, {"audit_tables": "audit"})
RedisKeyStorage(engine, {"prefixes": "x:"})
LocalPasswordAuthenticator(users, {"pepper": "x"})
TotpAuthenticator("Shop", {"friendlyname": "Code"})
EmailAuthenticator({"smtp": "localhost"})
TwilioAuthenticator({"sender": "+49"})
DummyFactor2Authenticator("1234", {"name": "Dummy"})
