"""Mail about passwords: whoever changes one to take an account over is announced to its owner"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import InMemoryUserStorage, LocalPasswordAuthenticator
from tests.accounts import Browser, World
from tests.support import CHEAP, PASSWORD

EMAIL = "alice@example.com"
SUBJECT = "Your localhost password was changed"
NEW, THIRD = "Another1one", "Third1one"


def notices(person: Browser, to: str = EMAIL) -> list[dict[str, Any]]:
    return [mail for mail in person.mail(to) if mail["subject"] == SUBJECT]


def test_the_owner_is_told_of_every_new_password() -> None:
    """Changed, reset with a link, or set by an administrator: each is one mail to the account, without the password."""
    world = World()
    with world.open() as url, Browser(url) as alice, Browser(url) as root:
        alice.sign_up("alice", user_email=EMAIL, factor2="none")
        root.sign_up("root", user_email="root@example.com", factor2="none")
        asyncio.run(world.users.update_user({"id": 1, "email_verified_at": datetime.now(UTC)}))
        asyncio.run(world.users.update_user({"id": 2, "admin": True}))
        refused = alice.call("/api/changepassword", old_password="wrong", new_password=NEW, repeat_password=NEW)
        assert not refused.is_success
        assert notices(alice) == []
        done = alice.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
        assert done.is_success, done.text
        assert len(notices(alice)) == 1
        # Beyond the limit of the mailbox, too.
        for _ in range(12):
            root.call("/api/requestpasswordreset", email=EMAIL)
        token = alice.link(EMAIL).rpartition("=")[2]
        reset = alice.call("/api/resetpassword", token=token, new_password=THIRD, repeat_password=THIRD)
        assert reset.is_success, reset.text
        assert len(notices(alice)) == 2
        assert root.call("/admin/api/changepassword/1", new_password=NEW, repeat_password=NEW).is_success
        assert len(notices(alice)) == 3
        assert notices(root, "root@example.com") == []
        for mail in notices(alice):
            assert "http://localhost:8000/requestpasswordreset" in mail["text"]
            assert "alice" in mail["text"]
            assert not any(password in mail["text"] + mail["html"] for password in (PASSWORD, NEW, THIRD))


@pytest.mark.parametrize("mails", [True, False])
def test_without_a_reset_or_mail_passwords_change_all_the_same(mails: bool) -> None:
    """The mail links to no page that is not there, and nothing is lost where nobody can be told."""
    users = InMemoryUserStorage()
    factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}
    none: dict[str, Any] = {"users": users, "authenticators": factors, "mailer": None, "allowed_factor2": ["none"]}
    world = World(enable_password_reset=False, **({"enable_email_verification": True} if mails else none))
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", factor2="none", **({"user_email": EMAIL} if mails else {}))
        if mails:
            alice.call("/api/verifyemail", token=alice.link(EMAIL).rpartition("/")[2])
        done = alice.call("/api/changepassword", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
        assert done.is_success, done.text
        if mails:
            (mail,) = notices(alice)
            assert "contact the administrators" in mail["text"]
            assert "requestpasswordreset" not in mail["text"] + mail["html"]
