"""Options of parts that are switched off, and values that are no such thing: each is an error that says what would be right."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from crossauth_backend import (
    ApiKeyManager,
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    OAuthTokenConsumer,
    Outbox,
    TotpAuthenticator,
)
from crossauth_fastapi import (
    FastApiApiKeyServer,
    FastApiOAuthResourceServer,
    FastApiServer,
    current_user,
)
from tests.support import SECRET, make_server

CONSUMER = OAuthTokenConsumer("api", {"auth_server_base_url": "https://auth.example.com"})
USERS: Any = InMemoryUserStorage
ANYTHING: Any = None


def started(**options: Any) -> None:
    with TestClient(make_server(**options).app):
        pass


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        ({"admin_select_user_page": "mine.html"}, "'admin/selectuser'"),
        ({"audit_page": "mine.html"}, "'admin/audit'"),
        ({"verify_email_page": "mine.html"}, "'verifyemail'"),
        ({"reset_password_page": "mine.html"}, "'resetpassword'"),
        ({"change_factor2_page": "mine.html"}, "'changefactor2'"),
        ({"factor2_page": "mine.html"}, "'factor2'"),
        ({"sessions_page": "mine.html", "endpoints": ["login"]}, "'sessions'"),
        ({"verify_email_expires": 60}, "'enable_email_verification'"),
        ({"password_reset_subject": "mine"}, "'enable_password_reset'"),
        ({"admin_allowed_factor1": []}, "must not be empty"),
        ({"user_search_fn": print}, "'enable_admin_endpoints'"),
        ({"known_device_cookie_options": {"maxAge": 60}}, "'enable_known_devices'"),
        ({"edit_user_scope": "profile"}, "a server for API keys or a resource server"),
        ({"smtp_port": 25}, "'smtp_host'"),
        ({"smtp_username": "mine"}, "'smtp_host'"),
    ],
)
def test_an_option_of_a_part_that_is_switched_off_is_refused(options: dict[str, Any], needs: str) -> None:
    with pytest.raises(CrossauthError, match=f"option '{next(iter(options))}'") as refused:
        started(**options)
    assert refused.value.code is ErrorCode.Configuration
    assert needs in refused.value.message


def test_where_the_part_is_switched_on_its_options_count() -> None:
    users = InMemoryUserStorage({"user_editable_fields": ["email"]})
    factors = {"localpassword": LocalPasswordAuthenticator(users), "totp": TotpAuthenticator("Shop")}
    started(
        users=users, authenticators=factors, allowed_factor2=["none", "totp"], factor2_page="form.jinja2",
        enable_admin_endpoints=True, admin_select_user_page="form.jinja2", user_search_fn=print, mailer=Outbox(),
        enable_email_verification=True, verify_email_expires=60, enable_password_reset=True, password_reset_subject="x",
        site_url="http://localhost", enable_known_devices=True, known_device_cookie_options={"maxAge": 60},
        api_key={"scopes": ["profile"]}, edit_user_scope="profile",
    )  # fmt: skip


def test_the_default_and_the_environment_are_no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_VERIFY_EMAIL_EXPIRES", "60")
    started(verify_email_page="verifyemail.njk", admin_allowed_factor1=["localpassword"], password_reset_subject=None)


def test_endpoints_that_are_added_later_count() -> None:
    server = make_server(endpoints=["signup"], login_page="form.jinja2")
    assert server.session_server is not None
    server.session_server.add_login_endpoints()
    with TestClient(server.app):
        pass


def make_keys(app: Any, storage: Any) -> FastApiApiKeyServer:
    return FastApiApiKeyServer(app, storage, {"secret": SECRET, "user_storage": InMemoryUserStorage()})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: make_server(user_storage=USERS), "'user_storage' must be UserStorage, not the class InMemoryUserStorage"),
        (lambda: make_server(authenticators={"localpassword": TotpAuthenticator}), "'localpassword' must be an Authenticator"),
        (lambda: make_server(authenticators={"localpassword": TotpAuthenticator}), "the class TotpAuthenticator: create one"),
        (lambda: FastApiServer({"secret": SECRET, "app": FastAPI()}), "'secret', 'app': these are options"),
        (lambda: make_keys(FastAPI(), None), "key_storage must be a KeyStorage, not NoneType"),
        (lambda: make_keys(InMemoryKeyStorage(), FastAPI()), "must be a KeyStorage, not FastAPI"),
        (lambda: make_keys(None, InMemoryKeyStorage()), "must be a FastAPI, not NoneType"),
        (lambda: ApiKeyManager(InMemoryKeyStorage, {"secret": SECRET}), "must be a KeyStorage, not"),
        (lambda: FastApiOAuthResourceServer(ANYTHING, [CONSUMER]), "must be a FastAPI, not NoneType"),
        (lambda: FastApiOAuthResourceServer(FastAPI(), CONSUMER), "a list of OAuthTokenConsumer, not OAuthTokenConsumer"),
        (lambda: FastApiOAuthResourceServer(FastAPI(), ANYTHING), "a list of OAuthTokenConsumer, not NoneType"),
        (lambda: FastApiOAuthResourceServer(FastAPI(), [CONSUMER], {"session_data_name": "x"}), "'token_locations'"),
        (lambda: OAuthTokenConsumer("a", {"auth_server_base_url": "https://a.example", "introspection_cache_seconds": 5}),
         "'introspection_cache_seconds' has no effect without option 'introspection_client_id'"),
    ],
)  # fmt: skip
def test_what_is_given_by_mistake_is_said_by_name(make: Any, text: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        make()
    assert refused.value.code is ErrorCode.Configuration
    assert text in refused.value.message


def test_an_application_without_a_server_is_told_what_it_lacks() -> None:
    app = FastAPI()

    @app.get("/me", dependencies=[Depends(current_user)])
    async def me(request: Request) -> None: ...

    with TestClient(app) as client, pytest.raises(CrossauthError) as failed:
        client.get("/me")
    assert "create a FastApiServer with it as option 'app'" in str(failed.value.detail)
