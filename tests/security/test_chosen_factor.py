"""A second factor whose secret the user chooses: stored on every storage, judged before it is taken, and refused at the start
where it could not work."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend import (
    Authenticator,
    CrossauthError,
    ErrorCode,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SetupField,
    TotpAuthenticator,
)
from crossauth_backend.core.secrets import hash_token
from tests.accounts import FIELDS, Browser, World, name_of, storages
from tests.support import CHEAP, PASSWORD

WORD = "marmalade"
PAGE = Path(__file__).parents[2] / "docs" / "second_factors.md"


class WordAuthenticator(Authenticator):
    """A word that the user chooses; kept as a hash."""

    default_friendly_name = "Backup word"
    amr = ("kba",)

    def setup_fields(self) -> list[SetupField]:
        return [SetupField("word", "Backup word", "At least 6 letters.")]

    def validate_secrets(self, params: Any) -> list[str]:
        return [] if len(params["word"]) >= 6 else ["The word needs at least 6 letters"]

    async def confirm_configuration(self, user: Any, prepared: Any, params: Any) -> dict[str, Any]:
        return await self.chosen_secrets(user, params)

    async def create_persistent_secrets(self, username: str, params: Any, repeat_params: Any = None) -> dict[str, Any]:
        return {"word": hash_token(params["word"])}

    async def authenticate_user(self, user: Any, secrets: Any, params: Any) -> None:
        if secrets.get("word") != hash_token(str(params.get("otp", ""))):
            raise CrossauthError(ErrorCode.InvalidToken)

    def secret_names(self) -> list[str]:
        return ["word"]

    def transient_secret_names(self) -> list[str]:
        return ["otp"]


def world_with(word: Authenticator, kept: dict[str, Any] | None = None, *allowed: str, **options: Any) -> World:
    users = (kept or {}).get("users") or InMemoryUserStorage({"user_editable_fields": FIELDS})
    factors = {
        "localpassword": LocalPasswordAuthenticator(users, CHEAP), "totp": TotpAuthenticator("Test"), "word": word,
    }  # fmt: skip
    offered = list(allowed) or ["none", "totp", "word"]
    return World(users, (kept or {}).get("keys"), authenticators=factors, allowed_factor2=offered, **options)


def stored(world: World) -> Any:
    return asyncio.run(world.users.get_user_by_username("alice")).secrets


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_a_chosen_secret_is_stored_and_asked_for(request: pytest.FixtureRequest, kind: str) -> None:
    world = world_with(WordAuthenticator(), storages(request, kind))
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        assert browser.call("/api/changefactor2", factor2="word").json()["factor2"] == "word"
        done = browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD).json()
        assert (done["ok"], len(done["recoveryCodes"])) == (True, 10)
        browser.call("/api/logout")
        browser.asked()
        assert name_of(browser.give("marmelade")) == "InvalidToken"
        assert browser.give(WORD).json()["ok"] is True
        # The next factor leaves nothing of this one.
        browser.call("/api/changefactor2", factor2="none")
        browser.call("/api/factor2", otp=WORD)
        browser.call("/api/logout")
        assert browser.log_in().json()["user"]["username"] == "alice"


def test_it_goes_with_the_factor_and_is_in_no_answer() -> None:
    world = world_with(WordAuthenticator())
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="word")
        answer = browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD)
        assert WORD not in answer.text
        assert stored(world)["word"] == hash_token(WORD)
        assert browser.call("/api/changefactor2", factor2="none").json()["factor2Required"] is True
        assert browser.call("/api/factor2", otp=WORD).json()["ok"] is True
        assert stored(world).get("word") is None


def test_one_that_cannot_be_taken_is_refused_in_the_factors_words_and_is_no_guess() -> None:
    world = world_with(WordAuthenticator())
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="word")
        for _ in range(8):
            short = browser.call("/api/configurefactor2", word="jam", repeat_word="jam")
            assert (short.status_code, short.json()["errorMessage"]) == (400, "The word needs at least 6 letters")
            differs = browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD + "s")
            assert name_of(differs) == "PasswordMatch"
            missing = browser.call("/api/configurefactor2", otp="123456")
            assert missing.json()["errorMessage"] == "Backup word is required"
        assert stored(world).get("word") is None
        for odd in (7, ["a"], {"a": 1}, None, "a\x00bcdef", "x" * 100_000):
            assert browser.call("/api/configurefactor2", word=odd).status_code < 500
        assert "attempts_limited" not in world.heard.names


def test_pages_ask_twice_and_hide_it() -> None:
    world = world_with(WordAuthenticator())
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        page = browser.submit("/changefactor2", factor2="word").text
        assert '<input type="password" id="word" name="word"' in page
        assert 'name="repeat_word"' in page
        assert "At least 6 letters." in page
        assert 'name="otp"' not in page
        again = browser.submit("/configurefactor2", word="jam", repeat_word="jam").text
        assert "The word needs at least 6 letters" in again
        assert 'name="repeat_word"' in again
        assert "jam" not in again
        assert "Two-factor authentication is set up." in browser.submit(
            "/configurefactor2", word=WORD, repeat_word=WORD
        ).text  # fmt: skip


def test_a_sign_up_chooses_it_too() -> None:
    world = world_with(WordAuthenticator(), None, "word")
    with world.open() as url, Browser(url) as browser:
        assert browser.sign_up(factor2="word").json()["factor2"] == "word"
        assert browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD).json()["ok"] is True
        browser.call("/api/logout")
        browser.asked()
        assert browser.give(WORD).json()["ok"] is True


def test_somebody_with_a_copy_of_the_cookie_cannot_choose_it() -> None:
    """A code would prove that its sender has seen the secret; a word of one's own proves nothing."""
    world = world_with(WordAuthenticator())
    with world.open() as url, Browser(url) as browser, Browser(url) as thief:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="word")
        for cookie in browser.cookies.jar:
            if "CLAIM" not in cookie.name:
                thief.cookies.set(cookie.name, str(cookie.value), domain="127.0.0.1")
        assert thief.who() == "alice"
        refused = thief.call("/api/configurefactor2", word="thiefsword", repeat_word="thiefsword")
        assert (refused.status_code, name_of(refused)) == (401, "Unauthorized")
        assert stored(world).get("word") is None
        assert browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD).json()["ok"] is True


class Unconfirmed(WordAuthenticator):
    confirm_configuration = Authenticator.confirm_configuration


class Unmade(Unconfirmed):
    def setup_fields(self) -> list[SetupField]:
        return []


class Colliding(WordAuthenticator):
    def setup_fields(self) -> list[SetupField]:
        return [SetupField("otp", "Word")]


class Forgetful(InMemoryUserStorage):
    def can_keep_secret(self, name: str) -> bool:
        return name in ("password", "totpsecret")


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (Unconfirmed(), "'word' lets users choose 'word' in setup_fields.*override confirm_configuration"),
        (Unmade(), "'word' stores 'word' and never makes it: return it as 'sessionData' of prepare_configuration"),
        (Colliding(), "'word' names 'otp' in setup_fields.*name it otherwise"),
    ],
)
def test_a_factor_that_could_store_nothing_stops_the_start(factor: Authenticator, text: str) -> None:
    with pytest.raises(CrossauthError, match=text) as e:
        world_with(factor)
    assert e.value.code is ErrorCode.Configuration
    world_with(factor, None, "none", "totp")


def test_a_storage_without_a_place_for_the_secret_stops_the_start() -> None:
    with pytest.raises(CrossauthError, match="'word' stores 'word', which Forgetful has no place for; give the secret"):
        world_with(WordAuthenticator(), {"users": Forgetful({"user_editable_fields": FIELDS})})


def test_the_password_is_no_second_factor() -> None:
    """Setting it up as one would empty the password."""
    with pytest.raises(CrossauthError, match="'localpassword' stores 'password', which is the first factor's"):
        world_with(WordAuthenticator(), None, "none", "localpassword")


def test_a_form_for_the_first_factor_reads_no_field_of_the_second() -> None:
    world = world_with(WordAuthenticator())
    with world.open() as url, Browser(url) as browser:
        # Text would be a secret; anything else in the field would be refused if it were read.
        assert browser.call("/api/signup", username="alice", password=PASSWORD, word=["a"]).json()["ok"] is True


def test_the_factor_in_the_documentation_works() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(next(block for block in blocks if "BackupWordAuthenticator" in block), scope)
    world = world_with(scope["BackupWordAuthenticator"]())
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        browser.call("/api/changefactor2", factor2="word")
        assert browser.call("/api/configurefactor2", word="jam", repeat_word="jam").status_code == 400
        assert browser.call("/api/configurefactor2", word=WORD, repeat_word=WORD).json()["ok"] is True
        browser.call("/api/logout")
        browser.asked()
        assert name_of(browser.give("marmelade")) == "InvalidToken"
        assert browser.give(WORD).json()["ok"] is True
