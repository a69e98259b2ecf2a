"""A second factor of the application's own: kept on every storage, asked for in its own words, its answers tried first."""

from typing import Any

import pytest

from crossauth_backend import (
    CrossauthError,
    EmailAuthenticator,
    ErrorCode,
    InMemoryKeyStorage,
    LocalPasswordAuthenticator,
    SmsAuthenticator,
)
from crossauth_backend.factors.base import Authenticator, CodeField
from crossauth_backend.sessions.device import KnownDevices
from crossauth_backend.sessions.manager import SessionCookie
from tests.accounts import Browser, World, name_of, storages
from tests.support import CHEAP, SECRET

WORD = "ABCDEFGH12345678"


class WordAuthenticator(Authenticator):
    """A word of sixteen letters and digits, chosen by the application."""

    default_friendly_name = "Word of the day"

    async def prepare_configuration(self, user: Any) -> dict[str, dict[str, Any]]:
        displayed = {"username": user["username"], "factor2": self.factor_name}
        return {"userData": displayed, "sessionData": {**displayed, "word": WORD}}

    async def authenticate_user(self, user: Any, secrets: Any, params: Any) -> None:
        if secrets.get("word") != str(params.get("otp", "")):
            raise CrossauthError(ErrorCode.InvalidToken)

    async def create_persistent_secrets(self, username: str, params: Any, repeat_params: Any = None) -> dict[str, Any]:
        return {}

    def secret_names(self) -> list[str]:
        return ["word"]

    def transient_secret_names(self) -> list[str]:
        return ["otp"]

    def validate_secrets(self, params: Any) -> list[str]:
        return []

    def code_field(self) -> CodeField:
        return CodeField("Word", "It is printed on your badge.")


def world_with_a_word(**kept: Any) -> World:
    world = World(**kept)
    factors = {"localpassword": LocalPasswordAuthenticator(world.users, CHEAP), "word": WordAuthenticator()}
    return World(world.users, world.keys, authenticators=factors, allowed_factor2=["none", "word"])


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_the_factors_of_the_library_can_be_kept(request: pytest.FixtureRequest, kind: str) -> None:
    World(**storages(request, kind))


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_an_answer_that_looks_like_a_recovery_code_is_tried_as_the_factors_own_first(
    request: pytest.FixtureRequest, kind: str
) -> None:
    world = world_with_a_word(**storages(request, kind))
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="word")
        done = browser.call("/api/configurefactor2", otp=WORD).json()
        assert done["ok"] is True
        browser.call("/api/logout")
        browser.asked()
        assert browser.give(WORD).json()["ok"] is True
        browser.call("/api/logout")
        browser.asked()
        assert name_of(browser.give("ABCDEFGH12345679")) == "InvalidToken"
        assert browser.give(done["recoveryCodes"][0]).json()["ok"] is True, "a recovery code works in the same field"
        browser.call("/api/logout")
        browser.asked()
        assert name_of(browser.give(done["recoveryCodes"][0])) == "InvalidToken", "once"


def test_pages_ask_in_the_factors_own_words() -> None:
    world = world_with_a_word()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        page = browser.submit("/changefactor2", factor2="word").text
        assert "It is printed on your badge." in page
        assert ">Word</label>" in page
        browser.submit("/configurefactor2", otp=WORD)
        browser.submit("/logout")
        page = browser.submit("/login", username="alice", password="Correct1horse").text
        assert "It is printed on your badge." in page
        assert "authenticator" not in page
        assert ">Word</label>" in page


def test_a_field_that_takes_a_recovery_code_can_be_typed_letters_into() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        setup = browser.submit("/changefactor2", factor2="totp").text
        assert 'inputmode="numeric"' in setup, "where only digits are taken, a telephone offers digits"
        secret = setup.split('class="key">')[1].split("<")[0]
        browser.submit("/configurefactor2", otp=world.code(secret))
        browser.submit("/logout")
        page = browser.submit("/login", username="alice", password="Correct1horse").text
        recovery = page.split('id="recovery_code"')[1].split(">")[0]
        assert "inputmode" not in recovery
        assert "pattern" not in recovery


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda n: SessionCookie(InMemoryKeyStorage(), {"secret": SECRET, "maxAge": n}), "maxAge"),
        (lambda n: SessionCookie(InMemoryKeyStorage(), {"secret": SECRET, "idle_timeout": n}), "idle_timeout"),
        (lambda n: KnownDevices({"maxAge": n}, SECRET), "maxAge"),
        (lambda n: World(password_reset_expires=n), "password_reset_expires"),
        (lambda n: World(verify_email_expires=n), "verify_email_expires"),
        (lambda n: World(smtp_port=n), "smtp_port"),
        (lambda n: World(reauthentication_seconds=n), "reauthentication_seconds"),
        (lambda n: World(session_cookie_options={"maxAge": n}), "maxAge"),
        (lambda n: EmailAuthenticator({"email_authenticator_token_expires": n}), "email_authenticator_token_expires"),
        (lambda n: SmsAuthenticator({"sms_authenticator_token_expires": n}), "sms_authenticator_token_expires"),
        (lambda n: LocalPasswordAuthenticator(World().users, {"hashing_threads": n}), "hashing_threads"),
        (lambda n: LocalPasswordAuthenticator(World().users, {"hashing_queue": n}), "hashing_queue"),
        (lambda n: World(audit_retention_days=n), "audit_retention_days"),
        (lambda n: World(session_max_per_user=n), "session_max_per_user"),
    ],
)
def test_a_number_that_cannot_be_stops_the_start(make: Any, name: str) -> None:
    with pytest.raises(CrossauthError, match=f"'{name}' must be at least [01]") as e:
        make(-5)
    assert e.value.code is ErrorCode.Configuration
    with pytest.raises(CrossauthError, match=f"'{name}' must be at most \\d"):
        make(10**12)


def test_a_number_from_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_SESSION_IDLE_TIMEOUT", "-5")
    with pytest.raises(CrossauthError, match="CROSSAUTH_SESSION_IDLE_TIMEOUT must be at least 0"):
        World()
    monkeypatch.setenv("CROSSAUTH_SESSION_IDLE_TIMEOUT", "0")
    monkeypatch.setenv("CROSSAUTH_REAUTHENTICATION_SECONDS", "null")
    world = World()
    assert world.server.session_server._ctx.settings.reauthentication_seconds is None  # type: ignore[union-attr]
