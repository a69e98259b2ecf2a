"""What mails and text messages say: values of users become neither headers nor markup, and codes are in no log."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryUserStorage
from tests.accounts import Browser, World
from tests.services.smtp import smtp_server

TO = "alice@example.com"
HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: mallory@example.com\r\n\r\n<b>{{ 7 * 7 }}</b>\u202e" + "x" * 300


def with_mail(port: int, **options: Any) -> World:
    return World(
        mailer=None, smtp_host="localhost", smtp_port=port, smtp_security="none", email_from="shop@example.com", **options
    )  # fmt: skip


def test_a_name_from_before_the_rules_is_neither_header_nor_markup() -> None:
    """A stored name that breaks a rule keeps working, so it may be in a mail to its owner."""
    users = InMemoryUserStorage({"user_editable_fields": ["email", "phone"]})
    with smtp_server() as (mailbox, port):
        world = with_mail(port, users=users)
        with world.open() as url, Browser(url) as alice:
            alice.sign_up("alice", user_email=TO, factor2="none")
            changed = {"id": 1, "username": HOSTILE, "email_verified_at": datetime.now(UTC)}
            asyncio.run(users.update_user(changed))
            assert alice.call("/api/requestpasswordreset", email=TO).status_code == 200
    (message,) = mailbox.messages
    assert message.get_all("subject") == ["Reset your localhost password"]
    assert message["bcc"] is None
    assert [recipients for _, recipients in mailbox.tried] == [[TO]]
    text, html = (part.get_content() for part in message.iter_parts())
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; Bcc: mallory@example.com" in html
    for body in (text, html):
        assert "\u202e" not in body
        assert "x" * 100 not in body
        assert "49" not in body.replace("490", "").replace(body[body.find("token=") : body.find("token=") + 60], "")
    assert "Bcc: mallory" not in [line[:12] for line in text.splitlines()]


def test_the_name_of_an_api_key_is_neither_header_nor_markup() -> None:
    """Whoever has stolen a login chooses it."""
    world = World(api_key={"scopes": ["read"]})
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", user_email=TO, factor2="none")
        asyncio.run(world.users.update_user({"id": 1, "email_verified_at": datetime.now(UTC)}))
        assert alice.call("/api/apikeys", name="<a href=//evil.example>Verify</a>").is_success
        mail = next(mail for mail in alice.mail(TO) if "API key" in mail["subject"])
        assert "<a href=//evil" not in mail["html"]
        assert "&lt;a href=//evil.example&gt;Verify&lt;/a&gt;" in mail["html"]
        assert "evil" not in mail["subject"]


def test_a_code_in_a_subject_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither where it is sent nor where it is given up."""
    caplog.set_level(logging.DEBUG)
    with smtp_server() as (mailbox, port):
        world = with_mail(port)
        mailbox.refusals = ["550 no"]
        with world.open() as url, Browser(url) as alice:
            alice.sign_up("alice", user_email=TO, factor2="email")
            alice.call("/api/resendcode")
    # The mail server of the test says what it was sent.
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "mail.log")
    assert "a message was lost (refused)" in logged
    (message,) = mailbox.messages
    code = str(message["subject"]).split()[0]
    assert len(code) == 6
    assert code in message.get_body(("plain",)).get_content()
    assert code not in logged
    assert "is your" not in logged


def test_a_name_of_a_site_beyond_ascii_arrives_in_subject_and_sender() -> None:
    with smtp_server() as (mailbox, port):
        world = with_mail(port, site_name='Café "Ü" ☕\r\nBcc: x@example.com')
        with world.open() as url, Browser(url) as alice:
            alice.sign_up("alice", user_email=TO, factor2="none")
            alice.call("/api/requestpasswordreset", email=TO)
    (message,) = mailbox.messages
    name = 'Café "Ü" ☕ Bcc: x@example.com'
    assert message["subject"] == f"Reset your {name} password"
    assert message["from"].addresses[0].display_name == name
    assert message["bcc"] is None


def test_a_color_that_would_be_more_than_a_color_stops_the_start() -> None:
    with pytest.raises(CrossauthError, match="accent_color") as refused:
        World(accent_color="#fff;background:url(//evil.example)")
    assert refused.value.code is ErrorCode.Configuration


def test_the_html_of_the_outbox_runs_nothing_and_is_there_for_this_machine_only() -> None:
    """A page of another site whose name was made to lead here could read everybody's mail."""
    world = World()
    with world.open() as url, Browser(url) as alice:
        alice.sign_up("alice", user_email=TO, factor2="none")
        alice.call("/api/requestpasswordreset", email=TO)
        assert alice.mail(TO)
        path = f"/outbox/{world.outbox.sent[0].mail.message_id}"
        assert path in alice.get("/outbox").text
        displayed = alice.get(path)
        policy = displayed.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "allow-scripts" not in policy
        assert "allow-same-origin" not in policy
        assert "sandbox" in policy
        assert displayed.headers["cache-control"] == "no-store"
        assert displayed.text == world.outbox.sent[0].mail.html
        assert alice.get(path, headers={"Host": "evil.example"}).status_code == 404
        assert alice.get("/outbox/unknown").status_code == 404
