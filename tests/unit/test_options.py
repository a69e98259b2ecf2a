"""What is wrong with a configuration is said at start-up: the key, the nearest valid one, what was expected."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import (
    CrossauthError,
    DummyFactor2Authenticator,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Outbox,
)
from crossauth_backend.core.options import describe
from crossauth_fastapi import FastApiServer, FastApiServerOptions, FastApiSessionAdapter
from crossauth_fastapi._assembly.options import ServerSettings
from crossauth_fastapi._session.options import FastApiSessionServerOptions, SessionServerSettings
from tests.support import SECRET, make_server

ROOT = Path(__file__).parents[2]


def refused(code: ErrorCode = ErrorCode.Configuration, **options: Any) -> str:
    with pytest.raises(CrossauthError) as e:
        make_server(**options)
    assert e.value.code is code
    return e.value.message


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"login_paeg": "x"}, ["'login_paeg'", "'login_page'", "text"]),
        ({"sesion_cookie_options": {}}, ["'sesion_cookie_options'", "'session_cookie_options'"]),
        ({"enable_email_verificaton": True}, ["'enable_email_verification'"]),
        ({"completely_other": 1}, ["unknown option 'completely_other'"]),
        ({"prefix": 7}, ["'prefix' must be text, not int"]),
        ({"login_redirect": True}, ["'login_redirect' must be text, not bool"]),
        ({"endpoints": "login"}, ["'endpoints' must be list of text, not str"]),
        ({"user_allowed_factor1": [1]}, ["'user_allowed_factor1' must be list of text"]),
        ({"create_user_fn": "f"}, ["'create_user_fn' must be function, not str"]),
        ({"user_storage": "sqlite"}, ["'user_storage' must be UserStorage, not str"]),
        ({"session_cookie_options": {"maxage": 1}}, ["'maxage'", "'maxAge'", "whole number"]),
        ({"session_cookie_options": {"maxAge": "1"}}, ["'maxAge' must be whole number, not str"]),
        ({"double_submit_cookie_options": {"header": "x"}}, ["'header'", "'header_name'"]),
        ({"endpoints": ["login", "logn"]}, ["'logn' is no endpoint"]),
        ({"user_allowed_factor1": ["ldap"]}, ["'ldap'", "localpassword"]),
        ({"login_page": "missing.html", "endpoints": ["login"]}, ["'login_page'", "missing.html"]),
    ],
)
def test_a_mistake_names_the_key_and_what_would_be_right(options: dict[str, Any], texts: list[str]) -> None:
    message = refused(**options)
    for text in texts:
        assert text in message


def test_all_mistakes_are_named_at_once() -> None:
    message = refused(prefix=1, login_redirect=2)
    assert "prefix" in message
    assert "login_redirect" in message


def test_a_secret_under_a_wrong_name_is_not_repeated() -> None:
    assert "hunter2" not in refused(secrit="hunter2hunter2", prefix=["hunter2"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"enable_oauth_client_management": True}, "enable_oauth_client_management"),
        ({"endpoints": ["all"]}, "admin/createclient"),
        ({"endpoints": ["selectclient"]}, "selectclient"),
    ],
)
def test_what_is_not_built_is_never_ignored(options: dict[str, Any], text: str) -> None:
    assert text in refused(ErrorCode.NotImplemented, **options)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("CROSSAUTH_USER_ALLOWED_FACTOR1", "localpassword", "written as JSON"),
        ("CROSSAUTH_SESSION_IDLE_TIMEOUT", "soon", "whole number"),
        ("CROSSAUTH_PERSIST_SESSION_ID", "perhaps", "true or false"),
        ("CROSSAUTH_SESSION_COOKIE_SAMESITE", "lex", "'lax' or 'strict' or 'none'"),
    ],
)
def test_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, text: str) -> None:
    monkeypatch.setenv(variable, value)
    message = refused()
    assert variable in message
    assert text in message


def test_component_over_server_over_environment_over_default(monkeypatch: pytest.MonkeyPatch) -> None:
    users = InMemoryUserStorage()
    base = {
        "user_storage": users, "secret": SECRET, "authenticators": {"localpassword": LocalPasswordAuthenticator(users)},
    }  # fmt: skip

    def redirect(server: dict[str, Any], component: dict[str, Any], params: dict[str, Any]) -> str:
        session = {"key_storage": InMemoryKeyStorage(), "options": component}
        built = FastApiServer({"session": session, "options": params}, {**base, **server})
        assert built.session_server is not None
        return built.session_server.login_redirect

    assert redirect({}, {}, {}) == "/"
    monkeypatch.setenv("CROSSAUTH_LOGIN_REDIRECT", "/environment")
    assert redirect({}, {}, {}) == "/environment"
    assert redirect({}, {}, {"login_redirect": "/params"}) == "/params"
    assert redirect({"login_redirect": "/server"}, {}, {"login_redirect": "/params"}) == "/server"
    assert redirect({"login_redirect": "/server"}, {"login_redirect": "/component"}, {}) == "/component"


def test_the_secret_may_come_from_the_environment_and_must_come_from_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CROSSAUTH_SECRET" in refused(secret=None)
    monkeypatch.setenv("CROSSAUTH_SECRET", "short")
    assert "at least 32" in refused(secret=None)
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    make_server(secret=None)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"session_cookie_options": {"expires": datetime.now(UTC)}}, ["'expires'", "'maxAge'"]),
        ({"double_submit_cookie_options": {"expires": datetime.now(UTC)}}, ["'expires'", "as long as the browser"]),
        ({"double_submit_cookie_options": {"maxAge": 60}}, ["'maxAge'", "as long as the browser"]),
        ({"audit_retention_days": 30}, ["'audit_retention_days'", "'audit_storage'"]),
        ({"audit_retention_days": -1}, ["'audit_retention_days'", "at least 0"]),
        ({"enable_known_devices": True}, ["'enable_known_devices'", "'allowed_factor2'"]),
        ({"mailer": Outbox(), "smtp_host": "mail"}, ["'smtp_host'", "'mailer'"]),
        ({"mailer": Outbox(), "smtp_port": 25}, ["'smtp_port'", "'mailer'"]),
    ],
)
def test_an_option_that_cannot_take_effect_is_refused(options: dict[str, Any], texts: list[str]) -> None:
    message = refused(**options)
    for text in texts:
        assert text in message


def test_a_mailer_that_is_given_overrides_the_mail_server_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_SMTP_HOST", "mail.example.com")
    make_server(mailer=Outbox(), site_url="http://localhost:8000")


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("CREATE_CLIENT_PAGE", "x.html", ErrorCode.NotImplemented),
        ("DELETE_CLIENT_PAGE", "x.html", ErrorCode.NotImplemented),
        ("ENABLE_OAUTH_CLIENT_MANAGEMENT", "1", ErrorCode.NotImplemented),
        ("OAUTH_CLIENT_ID", "shop", ErrorCode.Configuration), ("CLIENT_ID", "shop", ErrorCode.Configuration),
        ("OAUTH_AUDIENCE", "api", ErrorCode.Configuration), ("JWT_PUBLIC_KEY", "k", ErrorCode.Configuration),
        ("AUTH_SERVER_BASE_URL", "https://x", ErrorCode.Configuration),
        ("ENABLE_KNOWN_DEVICES", "1", ErrorCode.Configuration), ("AUDIT_RETENTION_DAYS", "30", ErrorCode.Configuration),
    ],
)  # fmt: skip
def test_a_variable_that_nothing_reads_is_refused_as_the_option_is(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, code: ErrorCode
) -> None:
    monkeypatch.setenv(f"CROSSAUTH_{variable}", value)
    assert variable.lower() in refused(code).lower()


@pytest.mark.parametrize("with_adapter", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"factor2_protected_page_endpoints": ["/pay"]}, {"factor2_protected_api_endpoints": ["/api/pay"]},
        {"validate_session": print}, {"trusted_proxies": ["10.0.0.1"]}, {"site_url": "http://example.com"},
        {"secret": SECRET}, {"user_storage": InMemoryUserStorage()}, {"authenticators": {"x": 1}},
    ],
)  # fmt: skip
def test_without_a_session_server_its_options_are_refused(with_adapter: bool, options: dict[str, Any]) -> None:
    class Adapter(FastApiSessionAdapter):
        csrf_protection_enabled = get_csrf_token = get_user = None  # type: ignore[assignment]
        update_session_data = update_many_session_data = None  # type: ignore[assignment]
        delete_session_data = get_session_data = None  # type: ignore[assignment]

    with pytest.raises(CrossauthError) as caught:
        FastApiServer({"session_adapter": Adapter()} if with_adapter else {}, options)
    assert caught.value.code is ErrorCode.Configuration
    for text in (repr(next(iter(options))), "'session'", "'is_admin_fn'"):
        assert text in caught.value.message
    FastApiServer({}, {"is_admin_fn": bool, "template_dir": "t", "error_page": "error.jinja2"})


def test_both_documented_spellings_count() -> None:
    make_server(siteUrl="https://example.com")
    make_server(request_password_reset_page="a.html")
    make_server(request_reset_password_page="a.html")


def test_a_factor_for_tests_starts_on_localhost_only() -> None:
    users = InMemoryUserStorage()
    factors = {"localpassword": LocalPasswordAuthenticator(users), "dummy": DummyFactor2Authenticator("0000")}
    make_server(users, authenticators=factors, site_url="http://localhost:8000")
    assert "dummy" in refused(users=users, authenticators=factors, site_url="https://example.com")
    assert "dummy" in refused(users=users, authenticators=factors)


def test_the_table_and_the_documented_shape_agree() -> None:
    table = {row["name"] for row in describe(SessionServerSettings)}
    also = {name for row in describe(SessionServerSettings) for name in row["names"].split(", ") if name}
    assert set(FastApiSessionServerOptions.__annotations__) - {"template_dir"} <= table | also
    assert table - set(FastApiServerOptions.__annotations__) == set()
    assert {row["name"] for row in describe(ServerSettings)} <= set(FastApiServerOptions.__annotations__)


def test_the_reference_page_is_up_to_date() -> None:
    assert (
        subprocess.run([sys.executable, ROOT / "scripts" / "generate_docs.py", "--check"], check=False).returncode == 0
    )
