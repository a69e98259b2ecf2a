"""The site's mail carries no message of a stranger's, who signs up with somebody else's address and a name of his choice."""

from typing import Any

import pytest

from crossauth_backend import DummySmsAuthenticator, InMemoryUserStorage, LocalPasswordAuthenticator
from crossauth_backend.users.rules import name_for_strangers
from tests.accounts import Browser, World
from tests.support import CHEAP

VICTIM = "victim@example.com"
SPAM = "You won! Claim it at https://evil.example/win"
MESSAGES = [
    SPAM, "https://evil.example", "evil.example", "www.evil.example", "evil.example/a", "call 0900 123456", "call-0900123456",
    "mailto:a@evil.example", "a@evil.example", "You have won a prize", "you-have-won-a-prize", "YouHaveWonOneMillionDollars",
    "恭喜您中奖请加微信领取奖金", "<a href=x>", "evil。example", "evil．example", "⒈evil", "a" * 25, "0900123456",
    "[win](evil)", "",
]  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_a_name_that_could_carry_a_message_is_not_sent_to_strangers(name: str) -> None:
    assert name_for_strangers(name) == ""


@pytest.mark.parametrize(
    "name", ["alice", "Zoë", "jean-luc", "alice_1990", "王小明", "अमित", "Ольга", "o_-x", "a" * 24]
)
def test_a_name_is(name: str) -> None:
    assert name_for_strangers(name) == name


def whole(mails: list[dict[str, Any]]) -> str:
    """All that was sent."""
    assert mails
    return "\n".join(f"{mail['subject']} {mail['text']} {mail['html']}" for mail in mails)


def check(mails: list[dict[str, Any]], count: int) -> None:
    response = whole(mails)
    assert len(mails) == count
    assert "evil" not in response
    assert "won" not in response.casefold()
    assert "localhost account" in response or "localhost:8000" in response


@pytest.mark.parametrize("factor2", ["none", "email"])
def test_a_sign_up_with_anothers_address_sends_no_name_that_is_a_message(factor2: str) -> None:
    """Neither with the link nor with the code, nor when either is asked for again."""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as stranger:
        assert stranger.sign_up(SPAM, user_email=VICTIM, factor2=factor2).status_code == 200
        again = {"email": "/api/resendcode", "none": "/api/requestemailverification"}[factor2]
        assert stranger.call(again, username=SPAM).status_code == 200
        check(stranger.mail(VICTIM), 2)


def test_a_change_of_address_sends_no_name_that_is_a_message() -> None:
    """Not to the new address, which is not verified; to the old one, which is, it says whose account it is."""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as stranger:
        stranger.sign_up(SPAM, user_email="mallory@example.com", factor2="none")
        token = stranger.link("mallory@example.com").rpartition("/")[2]
        assert stranger.call("/api/verifyemail", token=token).status_code == 200
        assert stranger.log_in(SPAM).status_code == 200
        assert stranger.call("/api/updateuser", user_email=VICTIM).status_code == 200
        check(stranger.mail(VICTIM), 1)
        assert SPAM in stranger.mail("mallory@example.com")[0]["text"]


def test_where_addresses_are_not_verified_no_mail_has_a_name_that_is_a_message() -> None:
    """A link to reset the password, and a code to set a second factor up."""
    world = World(enable_email_verification=False)
    with world.open() as url, Browser(url) as stranger:
        assert stranger.sign_up(SPAM, user_email=VICTIM, factor2="none").status_code == 200
        assert stranger.call("/api/requestpasswordreset", email=VICTIM).status_code == 200
        assert stranger.call("/api/changefactor2", factor2="email").status_code == 200
        check(stranger.mail(VICTIM), 2)


def test_an_account_from_before_addresses_were_verified_sends_none_either() -> None:
    """A note that somebody signed up with its address, and one that the address is to be another."""
    users = InMemoryUserStorage({"user_editable_fields": ["email", "phone"]})
    before = World(users, enable_email_verification=False)
    with before.open() as url, Browser(url) as stranger:
        assert stranger.sign_up(SPAM, user_email=VICTIM, factor2="none").status_code == 200
    world = World(users, enable_email_verification=True)
    with world.open() as url, Browser(url) as stranger, Browser(url) as other:
        assert other.sign_up("bob", user_email=VICTIM, factor2="none").status_code == 200
        assert stranger.log_in(SPAM).status_code == 200
        assert stranger.call("/api/updateuser", user_email="mallory@example.com").status_code == 200
        check(stranger.mail(VICTIM), 2)


def test_the_owner_of_a_verified_address_is_told_the_whole_name() -> None:
    """Also one that has a dot, or is an address."""
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as owner, Browser(url) as other:
        owner.sign_up("john.doe", user_email=VICTIM, factor2="none")
        assert "john.doe" not in whole(owner.mail(VICTIM))
        token = owner.link(VICTIM).rpartition("/")[2]
        assert owner.call("/api/verifyemail", token=token).status_code == 200
        owner.call("/api/requestpasswordreset", email=VICTIM)
        assert "your localhost account john.doe." in owner.mail(VICTIM)[0]["text"]
        assert "<strong>john.doe</strong>" in owner.mail(VICTIM)[0]["html"]
        other.sign_up("bob", user_email=VICTIM, factor2="none")
        assert "Username: john.doe\n" in whole(other.mail(VICTIM))


def test_an_applications_own_messages_have_the_variable_and_not_the_message() -> None:
    """By mail and by text message."""
    seen: list[dict[str, Any]] = []

    def render(template: str, data: dict[str, Any]) -> str:
        seen.append(data)
        return f"Hello {data['username']}"

    world = World(enable_email_verification=True, render=render)
    with world.open() as url, Browser(url) as stranger:
        stranger.sign_up(SPAM, user_email=VICTIM, factor2="none")
        stranger.mail()
    sms, users = (
        DummySmsAuthenticator({"render": render}),
        InMemoryUserStorage({"user_editable_fields": ["email", "phone"]}),
    )
    factors = {"localpassword": LocalPasswordAuthenticator(users, CHEAP), "sms": sms}
    world = World(users, authenticators=factors, allowed_factor2=["sms"])
    with world.open() as url, Browser(url) as stranger:
        for name in (SPAM, "alice"):
            stranger.cookies.clear()
            answer = stranger.sign_up(name, user_email=VICTIM, user_phone="+441632960961", factor2="sms")
            assert answer.status_code == 200, answer.text
        stranger.mail()
    assert [data["username"] for data in seen] == ["", "", "", "alice"]
    assert [text for _, text in sms.messages] == ["Hello", "Hello alice"]
