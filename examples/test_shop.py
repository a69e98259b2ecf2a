"""How an application with accounts is tested: `CROSSAUTH_SECRET=… python -m pytest examples/test_shop.py`."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from shop import create_app

from crossauth_backend import User
from crossauth_fastapi.testing import (
    PASSWORD,
    captured_mail,
    cheap_passwords,
    client_for,
    create_user,
    delete_user,
    frozen_clock,
    no_limits,
    set_up_totp,
    totp_code,
)

LOGIN = {"username": "alice", "password": PASSWORD}


@pytest.fixture(scope="module")
def app() -> Iterator[FastAPI]:
    """The shop, in which nothing is limited and passwords cost next to nothing."""
    with no_limits(), cheap_passwords():
        yield create_app()


@pytest.fixture
def alice(app: FastAPI) -> Iterator[User]:
    """A customer whose email address is verified."""
    user = create_user(app, "alice", email="alice@example.com", company="Acme")
    yield user
    delete_user(app, user)


def test_orders_need_a_login(app: FastAPI) -> None:
    with client_for(app) as client:
        assert client.get("/orders").status_code == 401
        assert client.post("/orders?article=tea").status_code == 401


def test_a_customer_sees_only_their_own_orders(app: FastAPI, alice: User) -> None:
    with client_for(app, alice) as client:
        assert client.post("/orders?article=tea").json() == "tea for Acme"
        assert client.get("/orders").json() == ["tea"]
    with client_for(app, create_user(app, "bob", email="bob@example.com")) as client:
        assert client.get("/orders").json() == []


def test_the_report_is_for_administrators(app: FastAPI, alice: User) -> None:
    with client_for(app, alice) as client:
        assert client.get("/report").status_code == 403
    with client_for(app, create_user(app, "boss", email="boss@example.com", admin=True)) as client:
        assert client.get("/report").status_code == 200


def test_a_new_customer_verifies_the_email_address(app: FastAPI) -> None:
    new = {"username": "carol", "password": PASSWORD, "repeat_password": PASSWORD, "user_email": "carol@example.com"}
    with captured_mail(app) as mails, client_for(app) as client:
        assert client.post("/api/signup", json=new).status_code == 200
        assert client.get("/orders").status_code == 401
        assert mails[0].to == "carol@example.com"
        token = mails[0].link.rpartition("/")[2]
        assert client.get(mails[0].link).status_code == 200
        assert client.post("/api/verifyemail", json={"token": token}).status_code == 200
        assert client.get("/orders").status_code == 200


def test_logging_in_takes_a_code_from_the_authenticator_app(app: FastAPI, alice: User) -> None:
    secret = set_up_totp(app, alice)
    with frozen_clock() as clock, client_for(app) as client:
        assert client.post("/api/login", json=LOGIN).json()["twoFactorRequired"] is True
        clock.advance(minutes=2)
        assert client.post("/api/loginfactor2", json={"otp": "000000"}).status_code == 401
        assert client.post("/api/loginfactor2", json={"otp": totp_code(secret)}).status_code == 200
        assert client.get("/orders").status_code == 200


def test_a_session_expires(app: FastAPI, alice: User) -> None:
    with frozen_clock() as clock, client_for(app, alice) as client:
        clock.advance(hours=1)
        assert client.get("/orders").status_code == 200
        clock.advance(days=365)
        assert client.get("/orders").status_code == 401
