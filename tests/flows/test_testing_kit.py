"""What `crossauth_fastapi.testing` offers to the tests of an application."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from crossauth_backend import (
    CrossauthError,
    EmailAuthenticator,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Outbox,
    SmsAuthenticator,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TotpAuthenticator,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi import FastApiServer, current_user, optional_user, require_admin
from crossauth_fastapi.testing import (
    PASSWORD,
    aclient_for,
    acreate_user,
    adelete_user,
    alog_in_with,
    aset_up_totp,
    captured_mail,
    captured_texts,
    client_for,
    create_user,
    delete_user,
    fake_provider,
    frozen_clock,
    log_in_with,
    login_as,
    no_limits,
    set_up_totp,
    totp_code,
)
from tests.support import CHEAP, CSRF, make_server

LOGIN = {"username": "alice", "password": PASSWORD}


class NoSender:
    async def send(self, to: str, body: str) -> str:
        raise AssertionError("nothing is sent in these tests")


class NoMailer:
    async def send(self, mail: Any) -> None:
        raise AssertionError("nothing is sent in these tests")


def make_app(users: Any = None, keys: Any = None, **options: Any) -> FastAPI:
    users = users or InMemoryUserStorage({"user_editable_fields": ["email", "phone"]})
    server = make_server(
        users, keys,
        authenticators={
            "localpassword": LocalPasswordAuthenticator(users, CHEAP), "totp": TotpAuthenticator("Shop"),
            "email": EmailAuthenticator(), "sms": SmsAuthenticator({"sms_sender": NoSender()}),
        },
        **{
            "allowed_factor2": ["none", "totp", "email", "sms"], "enable_email_verification": True,
            "enable_password_reset": True, "mailer": NoMailer(), "site_url": "https://shop.example", **options,
        },
    )  # fmt: skip
    return server.app


@pytest.fixture
def app() -> FastAPI:
    return make_app()


def test_a_created_user_is_verified_and_logs_in_with_the_known_password(app: FastAPI) -> None:
    user = create_user(app, email="alice@example.com")
    assert (user.state, user.email_verified_at is not None) == ("active", True)
    with client_for(app) as client:
        assert client.post("/api/login", json=LOGIN).status_code == 200
        assert client.get("/me").json() == {"username": "alice"}


def test_the_rules_of_the_application_apply_to_created_users(app: FastAPI) -> None:
    with pytest.raises(CrossauthError) as caught:
        create_user(app, password="short", email="alice@example.com")
    assert caught.value.code is ErrorCode.PasswordFormat


def test_a_client_is_logged_in_and_sends_the_csrf_token(app: FastAPI) -> None:
    with client_for(app, create_user(app, email="alice@example.com")) as client:
        assert client.post("/change").json()["username"] == "alice"
        assert client.post("/change", headers={CSRF: "forged"}).status_code == 403
        assert client.post("/api/logout", json={}).status_code == 200
        assert client.post("/change").status_code == 401
        assert client.post("/api/login", json=LOGIN).status_code == 200
        assert client.post("/change").status_code == 200


@pytest.mark.parametrize("site_url", [None, "https://shop.example", "http://localhost:8000"])
def test_a_client_uses_the_origin_of_the_site(site_url: str | None) -> None:
    app = make_app(site_url=site_url, enable_email_verification=bool(site_url), enable_password_reset=bool(site_url))
    with client_for(app, create_user(app, email="alice@example.com")) as client:
        assert str(client.base_url) == (site_url or "https://testserver")
        assert client.post("/change").status_code == 200


def test_the_factor_and_the_age_of_a_login_can_be_chosen(app: FastAPI) -> None:
    user = create_user(app, email="alice@example.com")
    with client_for(app, user, factor2=True, minutes_ago=60) as client:
        assert client.get("/me").status_code == 200
    assert login_as(TestClient(app, base_url="https://shop.example"), user).keys() == {CSRF}


def test_a_deleted_user_is_gone(app: FastAPI) -> None:
    user = create_user(app, email="alice@example.com")
    with client_for(app, user) as client:
        delete_user(client, user)
        assert client.get("/me").status_code == 401
    assert create_user(app, email="alice@example.com").username == "alice"


@pytest.mark.parametrize("begun", [True, False])
def test_mail_is_there_when_the_response_is(app: FastAPI, begun: bool) -> None:
    create_user(app, email="alice@example.com")
    app.middleware_stack = app.build_middleware_stack() if begun else None
    before = app.middleware_stack
    with captured_mail(app) as mails:
        # Without a `with` block each request has an event loop of its own, which ends with it.
        client = TestClient(app, base_url="https://shop.example")
        token = client.get("/api/getcsrftoken").json()["csrfToken"]
        client.post("/api/requestpasswordreset", json={"email": "alice@example.com"}, headers={CSRF: token})
        assert [(mail.to, mail.html is not None) for mail in mails] == [("alice@example.com", True)]
        assert mails[0].link in mails[0].text
        assert "resetpassword" in mails[0].link
        with pytest.raises(LookupError, match="no code"):
            mails[0].code  # noqa: B018
    assert app.middleware_stack is before


@pytest.mark.parametrize("factor2", ["email", "sms"])
def test_codes_by_mail_and_by_text_message_are_caught_each_in_its_list(app: FastAPI, factor2: str) -> None:
    user = create_user(app, email="alice@example.com", phone="+441632960961")
    with captured_mail(app) as mails, captured_texts(app) as texts, client_for(app, user) as client:
        assert client.post("/api/changefactor2", json={"factor2": factor2}).status_code == 200
        found = [(message.to, message.code) for message in (*mails, *texts)]
        assert [to for to, _ in found] == ["alice@example.com" if factor2 == "email" else "+441632960961"]
        assert (len(mails), len(texts)) == ((1, 0) if factor2 == "email" else (0, 1))
        assert client.post("/api/configurefactor2", json={"otp": found[0][1]}).status_code == 200
        if texts:
            with pytest.raises(LookupError, match="no link"):
                texts[0].link  # noqa: B018


def test_an_authenticator_app_shows_a_code_that_the_login_takes(app: FastAPI) -> None:
    user = create_user(app, email="alice@example.com")
    secret = set_up_totp(app, user)
    with frozen_clock() as clock, client_for(app) as client:
        for _ in range(2):
            assert client.post("/api/login", json=LOGIN).json()["twoFactorRequired"] is True
            assert client.post("/api/loginfactor2", json={"otp": totp_code(secret, 5)}).json()["ok"] is False
            assert client.post("/api/loginfactor2", json={"otp": totp_code(secret)}).status_code == 200
            assert client.get("/me").status_code == 200
            clock.advance(seconds=30)


def test_an_application_without_authenticator_app_says_so() -> None:
    app = make_app(allowed_factor2=["none", "email"])
    with pytest.raises(CrossauthError, match="TotpAuthenticator"):
        set_up_totp(app, create_user(app, email="alice@example.com"))


def test_everything_expires_by_the_frozen_clock(app: FastAPI) -> None:
    user = create_user(app, email="alice@example.com")
    begin = datetime(2031, 5, 6, 7, 8, tzinfo=UTC)
    with captured_mail(app) as mails, frozen_clock(begin) as clock, client_for(app, user) as client:
        assert utc_now() == begin
        client.post("/api/requestpasswordreset", json={"email": "alice@example.com"})
        assert client.get(mails[0].link).status_code == 200
        clock.advance(days=2)
        assert client.get(mails[0].link).status_code != 200
        assert client.get("/me").status_code == 200
        clock.advance(days=400)
        assert client.get("/me").status_code == 401
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_limits_are_off_in_the_block_and_only_there(app: FastAPI) -> None:
    with client_for(app) as client:

        def tries() -> set[int]:
            return {client.post("/api/login", json={**LOGIN, "password": "x"}).status_code for _ in range(25)}

        with no_limits(), no_limits():
            pass
        with no_limits():
            assert 429 not in tries()
        assert 429 in tries()


def test_a_user_comes_in_by_the_provider() -> None:
    with fake_provider() as provider:
        app = FastAPI()
        FastApiServer(
            {"session": {"key_storage": InMemoryKeyStorage()}, "oauth_client": {"auth_server_base_url": provider.url}},
            {
                "app": app, **provider.client_options, "secret": "s" * 40, "site_url": "http://localhost:8000",
                "authorized_url": "me", "valid_flows": ["oidcAuthorizationCode"],
                "token_response_type": "save_in_session_and_redirect",
            },
        )  # fmt: skip
        with client_for(app) as client:
            assert log_in_with(client, provider, "bob").headers["location"] == "/me"
            with pytest.raises(ValueError, match="does not send the browser to the provider: 404"):
                log_in_with(client, provider, path="/elsewhere")


@pytest.mark.parametrize("database", ["sqlite_url", "memory"])
def test_the_helpers_work_with_a_database_on_any_event_loop(database: str, request: pytest.FixtureRequest) -> None:
    engine = open_engine("sqlite://" if database == "memory" else request.getfixturevalue(database))
    app = make_app(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    alice = create_user(app, email="alice@example.com")
    with client_for(app, alice) as client:
        bob = create_user(client, "bob", email="bob@example.com")
        assert client.get("/me").json() == {"username": "alice"}
        login_as(client, bob)
        assert client.get("/me").json() == {"username": "bob"}
        assert len(set_up_totp(app, alice)) >= 32
        delete_user(app, bob)
        assert client.get("/me").status_code == 401


def test_users_are_made_in_a_database_before_the_application_starts(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    app = make_app(SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine))
    alice = create_user(app, email="alice@example.com")
    assert len(set_up_totp(app, alice)) >= 32
    delete_user(app, alice)
    assert create_user(app, email="alice@example.com").id != alice.id


async def test_each_helper_has_an_async_twin(app: FastAPI) -> None:
    user = await acreate_user(app, email="alice@example.com")
    async with aclient_for(app, user) as client:
        assert (await client.post("/change")).status_code == 200
        secret = await aset_up_totp(client, user)
        assert (await client.get("/me")).status_code == 401
    with captured_mail(app) as mails:
        async with aclient_for(app) as client:
            await client.post("/api/requestpasswordreset", json={"email": "alice@example.com"})
            assert mails[0].to == "alice@example.com"
            answer = await client.post("/api/login", json=LOGIN)
            assert answer.json()["twoFactorRequired"] is True
            assert (await client.post("/api/loginfactor2", json={"otp": totp_code(secret)})).status_code == 200
            await adelete_user(app, user)
            assert (await client.get("/me")).status_code == 401
            with fake_provider() as provider, pytest.raises(ValueError, match="404"):
                await alog_in_with(client, provider)


def test_an_application_without_a_session_server_says_so() -> None:
    for work in (
        lambda app: create_user(app),
        lambda app: client_for(app).__enter__(),
        lambda app: captured_mail(app).__enter__(),
    ):
        with pytest.raises(CrossauthError, match="session server"):
            work(FastAPI())


def test_the_dependencies_of_a_route_can_be_overridden(app: FastAPI) -> None:
    alice = create_user(app, email="alice@example.com", admin=True)
    app.dependency_overrides |= dict.fromkeys((current_user, optional_user, require_admin), lambda: alice)
    for path in ("/me", "/maybe", "/admin-only"):
        assert TestClient(app).get(path).json() == {"username": "alice"}


def test_the_outbox_of_the_application_stays_empty_while_mail_is_caught() -> None:
    outbox = Outbox()
    app = make_app(mailer=outbox, site_url="http://localhost:8000")
    create_user(app, email="alice@example.com")
    with client_for(app) as client:
        with captured_mail(client) as mails:
            client.post("/api/requestpasswordreset", json={"email": "alice@example.com"})
        assert (len(mails), len(outbox.sent)) == (1, 0)
    with client_for(app) as client:
        client.post("/api/requestpasswordreset", json={"email": "alice@example.com"})
    assert (len(mails), len(outbox.sent)) == (1, 1)
