"""What is wrong with a configuration is said at start-up: the key, the nearest valid one, what was expected."""

import subprocess
import sys
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
)
from crossauth_backend.core.options import describe
from crossauth_fastapi import FastApiServer, FastApiServerOptions
from crossauth_fastapi._serveroptions import ServerSettings
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
