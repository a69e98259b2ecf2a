"""Mail about API keys: what a stolen login makes is told to whoever owns the account"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import InMemoryUserStorage, LocalPasswordAuthenticator
from tests.accounts import Browser, World
from tests.support import CHEAP

EMAIL = "alice@example.com"
SUBJECTS = ["A new API key was created for your localhost account", "An API key of your localhost account was replaced"]


def a_world(**options: Any) -> World:
    return World(api_key={"scopes": ["read"]}, **options)


def verify(world: World, id: int = 1) -> None:
    asyncio.run(world.users.update_user({"id": id, "email_verified_at": datetime.now(UTC)}))


def test_the_owner_is_told_of_a_key_that_is_created_or_replaced() -> None:
    """A key outlives the login that made it, so its owner gets a mail, with no text of the key in it."""
    world = a_world()
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        verify(world)
        made = alice.call("/api/apikeys", name="deploy http://evil.example").json()
        rotated = alice.call("/api/rotateapikey", key=made["apiKey"]["id"]).json()
        told = [mail for mail in alice.mail(EMAIL) if mail["subject"] in SUBJECTS]
        assert sorted(mail["subject"] for mail in told) == SUBJECTS
        for mail in told:
            assert "deploy http://evil.example" in mail["text"]
            assert "http://localhost:8000/apikeys" in mail["text"]
            assert made["token"] not in mail["text"]
            assert rotated["token"] not in mail["text"]
            assert "alice" in mail["text"]
        # Nothing else is told, nor anything that was refused.
        alice.call("/api/updateapikey", key=made["apiKey"]["id"], name="other")
        alice.call("/api/apikeys", name="")
        alice.call("/api/revokeapikey", key=made["apiKey"]["id"])
        assert len([mail for mail in alice.mail(EMAIL) if "API key" in mail["subject"]]) == 2


def test_the_owner_is_told_of_a_key_that_an_administrator_creates() -> None:
    """The user learns of it, and the administrator gets no mail."""
    world = a_world()
    with world.open() as url, Browser(url) as alice, Browser(url) as root:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        root.sign_up("root", user_email="root@example.com", factor2="none")
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        assert root.call("/admin/api/apikeys/1", name="made for you").is_success
        assert [m["to"] for m in alice.mail() if "API key" in m["subject"]] == [EMAIL]


def test_keys_send_no_messages_to_strangers() -> None:
    """Whoever signs up with somebody else's address cannot have mail with a message of his own sent there, nor much of any."""
    world = a_world()
    with world.open() as url, Browser(url) as thief:
        thief.sign_up("thief", user_email=EMAIL, factor2="none")
        before = len(thief.mail(EMAIL))
        for _ in range(30):
            made = thief.call("/api/apikeys", name="win at http://evil.example").json()
            assert thief.call("/api/revokeapikey", key=made["apiKey"]["id"]).is_success
        told = thief.mail(EMAIL)[: len(thief.mail(EMAIL)) - before]
        assert 0 < len(told) < 30
        assert not any("evil" in mail["text"] for mail in told)


def test_the_limit_of_a_mailbox_keeps_no_warning_from_its_owner() -> None:
    """A thief who has the limit of a mailbox reached first is told of all the same, where the address is verified."""
    world = a_world()
    with world.open() as url, Browser(url) as alice, Browser(url) as thief:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        verify(world)
        for _ in range(30):
            thief.call("/api/requestpasswordreset", email=EMAIL)
        alice.call("/api/apikeys", name="mole")
        assert any(mail["subject"] in SUBJECTS for mail in alice.mail(EMAIL))


@pytest.mark.parametrize("mails", [True, False])
def test_without_mail_or_an_address_keys_are_made_all_the_same(mails: bool) -> None:
    """Nothing is lost where nobody can be told."""
    none: dict[str, Any] = {"mailer": None, "enable_password_reset": False, "allowed_factor2": ["none"]}
    users = InMemoryUserStorage()
    factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}
    world = a_world(users=users, **({} if mails else {**none, "authenticators": factors}))
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", factor2="none")
        assert alice.call("/api/apikeys", name="script").is_success
