"""What `FastApiServer` is told reaches the server that it is for; what would reach none stops the start."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from crossauth_backend import (
    Argon2Parameters,
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    Limit,
    LocalPasswordAuthenticator,
    OAuthTokenConsumer,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.core.options import option_names, overridden, read_options
from crossauth_backend.limits.rules import read_limits
from crossauth_backend.oauth.resource.options import TokenConsumerSettings
from crossauth_fastapi import FastApiApiKeyServer, FastApiOAuthResourceServer, FastApiServer
from crossauth_fastapi._assembly.components import (
    API_KEY,
    COMPONENTS,
    OAUTH_CLIENT,
    OAUTH_CLIENTS,
    RESOURCE_SERVER,
    SESSION,
    Component,
)
from crossauth_fastapi._assembly.options import ServerSettings
from crossauth_fastapi._session.options import SessionServerSettings
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from tests.support import CHEAP, SECRET

ISSUER = "https://as.example.com"
CONSUMER = {"auth_server_base_url": ISSUER, "audience": "https://api.example.com"}
OPTIONS = [(row, name) for row in COMPONENTS for name in sorted(row.shared_names())]
OWN = set(option_names(ServerSettings)) - {"authenticators"}
ELSEWHERE = [(row, name) for row, name in OPTIONS if name not in OWN]
# Each of these may stand beside any of the others, and is read by one server only.
EXAMPLES: dict[str, tuple[Component, Any]] = {
    "login_redirect": (SESSION, "/home"), "allowed_factor2": (SESSION, ["none"]), "enable_endpoints": (API_KEY, False),
    "token_prefix": (API_KEY, "shop_"), "default_expiry": (API_KEY, None), "scopes": (API_KEY, ["read"]),
    "protected_endpoints": (RESOURCE_SERVER, {}), "clock_tolerance": (RESOURCE_SERVER, 3), "key_storage": (RESOURCE_SERVER, 1),
}  # fmt: skip


def params_of(*rows: Component, **own: dict[str, Any]) -> dict[str, Any]:
    """Parameters that create these servers."""
    all_of = {
        "session": {"key_storage": InMemoryKeyStorage(), "options": own.get("session", {})},
        "api_key": {"key_storage": InMemoryKeyStorage(), "options": own.get("api_key", {})},
        "oauth_resserver": {"options": own.get("oauth_resserver", {})},
        "oauth_client": {"auth_server_base_url": ISSUER, "options": own.get("oauth_client", {})},
        "oauth_clients": [{"auth_server_base_url": ISSUER, "options": own.get("oauth_clients", {})}],
    }
    return {row.param: all_of[row.param] for row in rows}


def enough(*rows: Component) -> dict[str, Any]:
    """Options with which these servers start."""
    users = InMemoryUserStorage()
    needs: dict[str, Any] = {}
    if SESSION in rows:
        needs["authenticators"] = {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}
    if SESSION in rows or API_KEY in rows:
        needs |= {"user_storage": users, "secret": SECRET}
    if OAUTH_CLIENT in rows or OAUTH_CLIENTS in rows:
        needs |= {"secret": SECRET, "site_url": "https://shop.example.com", "client_id": "shop"}
    return needs | (CONSUMER if RESOURCE_SERVER in rows else {})


def refused(make: Callable[[], Any], code: ErrorCode = ErrorCode.Configuration) -> str:
    with pytest.raises(CrossauthError) as caught:
        make()
    assert caught.value.code is code
    return caught.value.message


@pytest.mark.parametrize(("row", "name"), OPTIONS, ids=lambda v: v if isinstance(v, str) else v.param)
def test_an_option_of_a_wrong_type_is_refused_by_name(row: Component, name: str) -> None:
    """For every option of every server: so each of them is read."""
    provided = {**enough(row), name: object()}
    if name == "siteUrl":
        provided.pop("site_url", None)
    message = refused(lambda: FastApiServer(params_of(row), provided))
    assert f"option {name!r} must be " in message
    assert "not object" in message


@pytest.mark.parametrize(("row", "name"), ELSEWHERE, ids=lambda v: v if isinstance(v, str) else v.param)
def test_an_option_without_its_server_is_refused_and_says_what_creates_it(row: Component, name: str) -> None:
    readers = [other for other in COMPONENTS if name in other.shared_names()]
    there = [other for other in (SESSION, API_KEY, RESOURCE_SERVER) if other not in readers][:1]
    value = {} if name == "authenticators" else object()
    message = refused(lambda: FastApiServer(params_of(*there), {**enough(*there), name: value}))
    assert repr(name) in message
    for reader in readers:
        assert reader.example in message or name == "key_storage"


def test_all_that_is_unread_is_named_at_once_with_what_is_read() -> None:
    message = refused(lambda: FastApiServer({}, {"token_prefix": "a_", "audience": "x", "login_page": "x"}))
    for text in (
        "'token_prefix'",
        "'audience'",
        "'login_page'",
        "'api_key'",
        "'oauth_resserver'",
        "'session'",
        "'app'",
    ):
        assert text in message


def test_a_typing_mistake_is_said_before_what_is_unread() -> None:
    message = refused(lambda: FastApiServer({}, {"token_prefxi": "a_"}))
    assert "did you mean 'token_prefix'" in message


def test_what_only_an_oauth_client_reads_says_so() -> None:
    message = refused(lambda: FastApiServer({}, {"client_id": "x"}))
    assert "'client_id' has no effect without an OAuth client" in message
    assert "{'oauth_client': {'auth_server_base_url': …}}" in message


def test_options_of_all_servers_reach_the_one_that_they_are_for() -> None:
    every = (SESSION, API_KEY, RESOURCE_SERVER)
    options = {name: value for name, (_, value) in EXAMPLES.items() if name != "key_storage"}
    server = FastApiServer(params_of(*every), {**enough(*every), **options, "prefix": "/auth/"})
    assert server.session_server is not None
    assert server.api_key_server is not None
    assert server.oauth_resserver is not None
    assert server.session_server.login_redirect == "/home"
    keys = server.api_key_server.manager.settings
    assert (keys.token_prefix, keys.default_expiry) == ("shop_", None)
    assert keys.prefix == "api:", "the prefix of URLs is another one"
    (consumer,) = server.oauth_resserver.token_consumers
    assert consumer.auth_server_base_url == ISSUER


def test_a_server_s_own_options_override_the_shared_ones_in_any_spelling() -> None:
    params = params_of(
        SESSION, API_KEY, session={"site_url": "https://own.example.com"}, api_key={"token_prefix": "own_"}
    )
    shared = {**enough(SESSION, API_KEY), "siteUrl": "https://all.example.com", "token_prefix": "all_"}
    server = FastApiServer({**params, "options": {"login_redirect": "/params"}}, {**shared, "login_redirect": None})
    assert server.session_server is not None
    assert server.api_key_server is not None
    assert server.session_server.session_manager.settings.site_url == "https://own.example.com"
    assert server.session_server.login_redirect == "/params", "None says nothing"
    assert server.api_key_server.manager.settings.token_prefix == "own_"


def test_two_spellings_that_say_two_things_are_refused() -> None:
    both = {"siteUrl": "https://a.example.com", "site_url": "https://b.example.com"}
    message = refused(lambda: FastApiServer(params_of(SESSION), {**enough(SESSION), **both}))
    assert "'site_url' and 'siteUrl'" in message
    FastApiServer(params_of(SESSION), {**enough(SESSION), **dict.fromkeys(both, "https://a.example.com")})


def test_none_is_a_value_where_the_option_says_so() -> None:
    tables = [SessionServerSettings]
    assert overridden(tables, {"reauthentication_seconds": 5}, {"reauthentication_seconds": None}) == {
        "reauthentication_seconds": None
    }
    assert overridden(tables, {"login_redirect": "/a"}, {"login_redirect": None}) == {"login_redirect": "/a"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
@pytest.mark.parametrize("first", ["keys", "tokens"])
def test_one_scheme_of_the_header_has_one_reader(scheme: str, first: str) -> None:
    """Whichever server is created first, and by whom."""
    every = (SESSION, API_KEY, RESOURCE_SERVER)
    message = refused(lambda: FastApiServer(params_of(*every), {**enough(*every), "auth_scheme": scheme}))
    assert "'auth_scheme'" in message
    app, keys = FastAPI(), InMemoryKeyStorage()
    options = {"user_storage": InMemoryUserStorage(), "secret": SECRET, "auth_scheme": scheme}
    makes: list[Callable[[], Any]] = [
        lambda: FastApiApiKeyServer(app, keys, options),
        lambda: FastApiOAuthResourceServer(app, [OAuthTokenConsumer(None, CONSUMER)]),  # type: ignore[arg-type]
    ]
    one, two = makes if first == "keys" else reversed(makes)
    one()
    assert "'auth_scheme'" in refused(two)


def test_api_keys_may_be_bearer_tokens_where_nobody_else_reads_them() -> None:
    FastApiServer(params_of(API_KEY), {**enough(API_KEY), "auth_scheme": "Bearer"})
    every = (SESSION, API_KEY, RESOURCE_SERVER)
    FastApiServer(params_of(*every), {**enough(*every), "auth_scheme": "Bearer", "token_locations": ["session"]})


def test_nothing_beside_token_consumers_is_left_unread() -> None:
    consumer = OAuthTokenConsumer(None, CONSUMER)  # type: ignore[arg-type]
    params = params_of(RESOURCE_SERVER, oauth_resserver={"token_consumers": [consumer]})
    assert "'audience'" in refused(lambda: FastApiServer(params, {"audience": "x"}))
    FastApiServer(params, {})


def test_users_that_no_token_would_be_looked_up_in_are_refused() -> None:
    options = {**CONSUMER, "user_storage": InMemoryUserStorage()}
    assert "'oauth_issuer'" in refused(lambda: FastApiServer(params_of(RESOURCE_SERVER), options))
    FastApiServer(params_of(RESOURCE_SERVER), {**options, "oauth_issuer": ISSUER})


def test_an_environment_that_says_null_gives_no_required_option() -> None:
    environ = {"CROSSAUTH_AUTH_SERVER_BASE_URL": "null"}
    message = refused(lambda: read_options(TokenConsumerSettings, {}, component="It", environ=environ))
    assert "option 'auth_server_base_url' is required" in message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800", "nul", "[1", "\x00"])
def test_garbage_in_the_environment_is_a_configuration_error(text: str) -> None:
    environ = {"CROSSAUTH_ALLOWED_FACTOR2": text}
    message = refused(lambda: read_options(SessionServerSettings, {}, component="It", environ=environ))
    assert "CROSSAUTH_ALLOWED_FACTOR2 must be list of text written as JSON" in message


@pytest.mark.parametrize(
    "given", [{1: 2}, {None: 1}, {("a",): 1}, {"a" * 100_000: 1}, {"\ud800": 1}, {"login_page\x00": "x"}]
)
def test_a_name_that_is_none_is_unknown(given: dict[Any, Any]) -> None:
    assert "unknown option" in refused(lambda: FastApiServer({}, given))


@pytest.mark.parametrize("given", ["x", 1, [("a", 1)]])
def test_options_that_are_no_mapping(given: Any) -> None:
    assert "must be a mapping" in refused(lambda: FastApiServer({}, given))
    assert "must be a mapping" in refused(lambda: FastApiServer(given, {}))


@pytest.mark.parametrize("row", [SESSION, API_KEY, RESOURCE_SERVER], ids=lambda row: row.param)
@pytest.mark.parametrize("given", ["x", 1, [("a", 1)]])
def test_a_server_s_own_options_that_are_no_mapping(row: Component, given: Any) -> None:
    params = {row.param: {**params_of(row)[row.param], "options": given}}
    assert "'options' must be mapping" in refused(lambda: FastApiServer(params, enough(row)))


@pytest.mark.parametrize("row", [SESSION, API_KEY], ids=lambda row: row.param)
@pytest.mark.parametrize("storage", [None, "sqlite", 1])
def test_a_server_needs_its_storage_of_keys(row: Component, storage: Any) -> None:
    message = refused(lambda: FastApiServer({row.param: {"key_storage": storage}}, enough(row)))
    assert "'key_storage'" in message
    assert row.param in message


@pytest.mark.parametrize(
    "limit",
    [(0, 1), (1, -1), (1.0, 60), (True, 60), (1, float("inf")), (10**12, 60), (1, 10**12), (1,), "ab", Limit(1, 0)],
)
def test_a_limit_that_cannot_be(limit: Any) -> None:
    assert "'login_account' must be" in refused(lambda: read_limits({"login_account": limit}))


@pytest.mark.parametrize(
    "cost", [{"time_cost": 0}, {"memory_cost": 7}, {"parallelism": 0}, {"time_cost": True}, {"time_cost": 2.5},
             {"memory_cost": 2**32}, {"parallelism": 4, "memory_cost": 31}, {"parallelism": "1"}]
)  # fmt: skip
def test_a_cost_that_no_hash_can_have(cost: Any) -> None:
    assert "must be a whole number" in refused(lambda: Argon2Parameters(**cost))


@pytest.mark.parametrize("seconds", [0, -1, True, 1.5, float("inf"), float("nan"), 10**12, "1"])
def test_a_lifetime_that_is_none(seconds: Any) -> None:
    assert "'lifetime_seconds' must be" in refused(lambda: JWTStrategy(SECRET, seconds))


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("session_manager", 5, "SessionManager"), ("key_storage", "redis", "KeyStorage"), ("attempt_limits", [1], "mapping"),
        ("event_listeners", [print], "list of objects with a method `on_event`"), ("trusted_proxies", "10.0.0.1", "list of text"),
        ("site_url", 1, "text"),
    ],
)  # fmt: skip
def test_the_routes_for_users_read_their_options_as_the_servers_do(option: str, value: Any, right: str) -> None:
    backend: Any = AuthenticationBackend("jwt", BearerTransport("login"), lambda: JWTStrategy(SECRET, 60))
    provided: Any = {option: value}
    message = refused(lambda: FastAPIUsers(lambda: None, [backend], **provided))  # type: ignore[arg-type, return-value]
    assert f"FastAPIUsers: option {option!r} must be {right}" in message


@pytest.mark.parametrize(
    ("make", "options", "text"),
    [
        (SqlAlchemyUserStorage, {"record": dict}, "'record' must be User or a subclass of it"),
        (SqlAlchemyUserStorage, {"extra_columns": ["nickname"]}, "'extra_columns' must be list of Column"),
        (SqlAlchemyUserStorage, {"table": "people"}, "sqlalchemy.Table"),
        (SqlAlchemyKeyStorage, {"extra_columns": [sa.String]}, "'extra_columns' must be list of Column"),
        (SqlAlchemyKeyStorage, {"userid_type": "uuid"}, "'userid_type' must be a SQLAlchemy type"),
        (SqlAlchemyKeyStorage, {"migrate": 1}, "'migrate' must be true or false"),
    ],
)
def test_what_a_storage_is_told_is_checked(make: Any, options: dict[str, Any], text: str) -> None:
    assert text in refused(lambda: make(open_engine("sqlite+aiosqlite://"), options))
