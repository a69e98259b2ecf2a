"""A server with everything of the session server switched on, and browsers that use it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from crossauth_backend import (
    DummySmsAuthenticator,
    EmailAuthenticator,
    Event,
    InMemoryAuditStorage,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    KeyStorage,
    LocalPasswordAuthenticator,
    Outbox,
    RedisKeyStorage,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    TotpAuthenticator,
    UserStorage,
    UserStorageOptions,
    open_engine,
    open_redis,
)
from crossauth_backend.core.clock import utc_now
from crossauth_fastapi import FastApiServer
from tests.services.uvicorn import serve
from tests.support import CHEAP, PASSWORD, Client, make_server

NEW = "Another1one"
FIELDS = ["email", "phone"]


class RecordingListener:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name.value for event in self.events]


def storages(request: pytest.FixtureRequest, kind: str) -> dict[str, Any]:
    """A user and a key storage of this kind: memory, sqlite, postgres, or redis for keys with users in memory."""
    options: UserStorageOptions = {"user_editable_fields": FIELDS}
    if kind == "memory":
        return {"users": InMemoryUserStorage(options), "keys": InMemoryKeyStorage()}
    if kind == "redis":
        keys = RedisKeyStorage(open_redis(request.getfixturevalue("redis_url")))
        return {"users": InMemoryUserStorage(options), "keys": keys}
    engine = open_engine(request.getfixturevalue(f"{kind}_url"))
    return {"users": SqlAlchemyUserStorage(engine, options), "keys": SqlAlchemyKeyStorage(engine)}


class World:
    """A server, its storages and its clock. Passwords are cheap, limits are the defaults, mail goes to the outbox."""

    def __init__(self, users: UserStorage | None = None, keys: KeyStorage | None = None, **options: Any) -> None:
        self.users = users or InMemoryUserStorage({"user_editable_fields": FIELDS})
        self.keys = keys or InMemoryKeyStorage()
        self.sms, self.heard, self.outbox = DummySmsAuthenticator(), RecordingListener(), Outbox()
        # The clock begins at a full hour, so that no window of a limit ends while a test counts.
        self.ahead = timedelta(seconds=3600 - utc_now().timestamp() % 3600)
        provided = {
            "authenticators": {
                "localpassword": LocalPasswordAuthenticator(self.users, CHEAP),
                "totp": TotpAuthenticator("Test"),
                "email": EmailAuthenticator(),
                "sms": self.sms,
            },
            "allowed_factor2": ["none", "totp", "email", "sms"],
            "factor2_in_signup_form": True,
            "enable_admin_endpoints": True,
            "enable_password_reset": True,
            "mailer": self.outbox,
            "site_url": "http://localhost:8000",
            "event_listeners": [self.heard],
            "audit_storage": InMemoryAuditStorage(),
        }
        provided |= options
        if not provided["allowed_factor2"]:
            del provided["factor2_in_signup_form"]
        self.server: FastApiServer = make_server(self.users, self.keys, **provided)
        assert self.server.session_server is not None
        self.manager = self.server.session_server.session_manager
        self.manager.session.clock = lambda: utc_now() + self.ahead

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(**time)

    def code(self, secret: str) -> str:
        """The next code of an authenticator application; each call moves to the next step, for each counts once."""
        self.later(seconds=30)
        return pyotp.TOTP(secret).at(utc_now() + self.ahead)

    @contextmanager
    def open(self) -> Iterator[str]:
        """Serve it; yields its URL."""
        with serve(self.server.app) as url:
            yield url


class Browser(Client):
    """One browser."""

    def mail(self, to: str | None = None) -> list[dict[str, Any]]:
        """What was sent, newest first."""
        sent: list[dict[str, Any]] = self.get("/api/outbox").json()
        return [m for m in sent if to is None or m["to"] == to]

    def link(self, to: str | None = None) -> str:
        """The path of the link in the newest mail; a notice of a new password, which may have overtaken it, is none."""
        mails = [mail for mail in self.mail(to) if "password was changed" not in mail["subject"]]
        found = re.search(r"http://localhost:8000(\S+)", mails[0]["text"])
        assert found is not None
        return found.group(1)

    def mailed_code(self, to: str | None = None) -> str:
        """The code in the newest mail that has one; a notice may have overtaken it."""
        codes = (re.search(r"\b(\d{6})\b", mail["text"]) for mail in self.mail(to))
        return next(found.group(1) for found in codes if found is not None)

    def add_totp(self, world: World) -> tuple[str, list[str]]:
        """Set a TOTP factor up for whoever is logged in; its secret and the recovery codes."""
        displayed = self.call("/api/changefactor2", factor2="totp").json()
        done = self.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"]))
        assert done.status_code == 200, done.text
        return displayed["totpsecret"], done.json()["recoveryCodes"]

    def asked(self, username: str = "alice", password: str = PASSWORD) -> None:
        """Log in as far as the question for the second factor."""
        answer = self.log_in(username, password).json()
        assert answer["twoFactorRequired"] is True, answer
        assert self.who() is None

    def give(self, code: str, **fields: Any) -> Any:
        """Answer that question."""
        return self.call("/api/loginfactor2", otp=code, **fields)


def name_of(answer: Any) -> str:
    """The name of a refusal; empty where it is none."""
    return str(answer.json().get("errorCodeName", ""))
