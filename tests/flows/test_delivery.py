"""Mail and text messages on their way: real SMTP, a stand-in for Twilio, and what happens when they fail."""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    LocalPasswordAuthenticator,
    Mail,
    Outbox,
    SmtpMailer,
    TwilioAuthenticator,
    TwilioSender,
)  # fmt: skip
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.fetch import FetchRequest, FetchResponse
from crossauth_backend.core.http_client import HttpClient
from crossauth_backend.delivery import queue as queue_room
from crossauth_backend.delivery import twilio as twilio_room
from crossauth_backend.delivery.mailer import DeliveryRefused
from crossauth_backend.delivery.options import MailSettings, smtp_security
from crossauth_backend.delivery.queue import DeliveryQueue
from crossauth_backend.delivery.sms import valid_phone
from tests.accounts import Browser, World, name_of
from tests.services.smtp import certificate, smtp_server
from tests.services.uvicorn import serve
from tests.support import CHEAP

UNREACHABLE = "can't be reached"
MAIL = Mail(to="alice@example.com", subject="Grüße", text="Hello ✓\n", html="<p>Hello ✓</p>")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_smtp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: Any) -> None:
    files = certificate(tmp_path) if security != "none" else None
    if files is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with smtp_server(security, files, login=True) as (mailbox, port):
        options = {"host": "localhost", "port": port, "sender": "shop@example.com", "security": security}
        await SmtpMailer(**options, username="shop", password="right").send(MAIL)
        with pytest.raises(CrossauthError) as e:
            await SmtpMailer(**options, username="shop", password="wrong").send(MAIL)
    assert e.value.code is ErrorCode.Connection
    assert "wrong" not in f"{e.value} {e.value.detail}"
    (message,) = mailbox.messages
    assert (message["to"], message["from"], message["subject"]) == ("alice@example.com", "shop@example.com", "Grüße")
    assert message["auto-submitted"] == "auto-generated"
    text, html = message.iter_parts()
    assert (text.get_content().strip(), html.get_content().strip()) == ("Hello ✓", "<p>Hello ✓</p>")
    assert set(mailbox.logins) == {(b"shop", b"right"), (b"shop", b"wrong")}


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_smtp_does_not_go_on_without_tls_or_with_a_strangers_certificate(tmp_path: Path, security: Any) -> None:
    with smtp_server() as (mailbox, port):
        with pytest.raises(CrossauthError, match=UNREACHABLE):
            await SmtpMailer(host="localhost", port=port, sender="a@example.com", security=security).send(MAIL)
        assert mailbox.messages == []
    with smtp_server(security, certificate(tmp_path)) as (mailbox, port):
        with pytest.raises(CrossauthError, match=UNREACHABLE):
            await SmtpMailer(host="localhost", port=port, sender="a@example.com", security=security).send(MAIL)
        assert mailbox.messages == []


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({}, "starttls"),
        ({"smtp_security": "none"}, "none"),
        ({"smtp_use_tls": True}, "starttls"),
        ({"smtp_use_tls": True, "smtp_port": 465}, "tls"),
        ({"smtp_use_tls": True, "smtp_security": "tls"}, "tls"),
        ({"smtp_use_tls": False}, "none"),
        ({"smtp_use_tls": False, "smtp_security": "tls"}, None),
        ({"smtp_use_tls": True, "smtp_security": "none"}, None),
    ],
)
def test_the_documented_tls_option_is_one_of_three_modes(given: dict[str, Any], mode: str | None) -> None:
    assert smtp_security(MailSettings(**given)) == mode
    options = {"mailer": None, "smtp_host": "localhost", "email_from": "a@example.com", **given}
    if mode is None:
        with pytest.raises(CrossauthError, match="smtp_use_tls"):
            World(**options)
    else:
        World(**options)


def test_a_link_arrives_by_smtp_and_is_good() -> None:
    with smtp_server() as (mailbox, port):
        world = World(
            mailer=None, smtp_host="localhost", smtp_port=port, smtp_security="none", email_from="shop@example.com",
            enable_email_verification=True,
        )  # fmt: skip
        with world.open() as url, Browser(url) as browser:
            browser.sign_up(factor2="none", user_email="alice@example.com")
        assert len(mailbox.messages) == 1, "closing waits until what is queued was sent"
        with world.open() as url, Browser(url) as browser:
            text, html = mailbox.messages[0].iter_parts()
            link = next(word for word in text.get_content().split() if word.startswith("http"))
            assert link in html.get_content()
            answer = browser.call("/api" + link.removeprefix("http://localhost:8000"))
            assert answer.json() == {"ok": True, "verified": True, "user": None}
            assert browser.log_in().json()["user"]["username"] == "alice"


async def test_what_is_not_taken_is_tried_again_and_a_loss_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[str] = []
    now = utc_now()
    with smtp_server() as (mailbox, port):
        mailer = SmtpMailer(host="localhost", port=port, sender="a@example.com", security="none")
        queue = DeliveryQueue(lost.append, retry_seconds=(5, 30), clock=lambda: now)

        async def later() -> None:
            nonlocal now
            await queue.idle()
            for _ in range(2):
                now += timedelta(seconds=31)
                await queue.deliver_due()

        async def job() -> Any:
            return lambda: mailer.send(MAIL)

        mailbox.refusals = ["451 later", "451 later"]
        queue.put(job)
        await later()
        assert (len(mailbox.messages), lost) == (1, [])
        mailbox.refusals = ["451 later"] * 3
        queue.put(job)
        await later()
        assert (len(mailbox.messages), lost) == (1, ["expired"])
    assert "lost" in caplog.text
    assert "alice@example.com" not in caplog.text

    async def broken() -> Any:
        raise RuntimeError("no template")

    queue.put(broken)
    await queue.idle()
    assert lost == ["expired", "error"]
    await queue.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something in the background."""
    ends = time.monotonic() + 20
    while not holds() and time.monotonic() < ends:
        time.sleep(0.05)
    assert holds()


class Slow:
    """A mail server that takes its time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.taken: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self.go.wait, 30)
        self.taken.append(mail)


def test_no_answer_waits_for_a_mail_server() -> None:
    slow = Slow()
    world = World(mailer=slow)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        assert browser.call("/api/requestpasswordreset", email="alice@example.com").status_code == 200
        assert browser.call("/api/requestpasswordreset", email="nobody@example.com").status_code == 200
        assert slow.taken == []
        slow.go.set()
    assert [mail.to for mail in slow.taken] == ["alice@example.com"]


def test_what_is_left_when_the_server_stops_waits_for_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_room, "CLOSING_SECONDS", 0.1)
    slow = Slow()
    world = World(mailer=slow)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        # The tasks end with the server; a thread that waits cannot be stopped.
        threading.Timer(1, slow.go.set).start()
    assert "mail_failed" not in world.heard.names
    with world.open() as url, Browser(url):
        wait_until(lambda: [mail.to for mail in slow.taken] == ["alice@example.com"])


def test_a_full_queue_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_room, "MAX_WAITING", 1)
    slow = Slow()
    world = World(mailer=slow)
    with world.open() as url, Browser(url) as browser:
        browser.call("/api/requestpasswordreset", email="a@example.com")
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        answers = [browser.call("/api/requestpasswordreset", email=f"{n}@example.com") for n in range(3)]
        slow.go.set()
    assert {a.status_code for a in answers} == {503}


def test_message_templates_are_an_applications_own(tmp_path: Path) -> None:
    (tmp_path / "passwordresettextbody.jinja2").write_text("Mine: {{ siteUrl }} {{ token }}")
    (tmp_path / "html.jinja2").write_text("<b>{{ token }}</b>")
    outbox = Outbox()
    world = World(mailer=outbox, views=str(tmp_path), password_reset_html_body="html.jinja2")
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        mail = browser.mail("alice@example.com")[0]
        assert mail["text"].startswith("Mine: http://localhost:8000 ")
        assert mail["html"] == f"<b>{mail['text'].split()[-1]}</b>"
    rendered: list[str] = []

    def render(template: str, data: dict[str, Any]) -> str:
        rendered.append(template)
        return f"by {template}"

    world = World(mailer=outbox, render=render)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none", user_email="alice@example.com")
        browser.call("/api/requestpasswordreset", email="alice@example.com")
        assert browser.mail()[0]["text"].startswith("by passwordresettextbody")
    with pytest.raises(CrossauthError, match=r"password_reset_text_body.*nowhere"):
        World(password_reset_text_body="nowhere.jinja2")


# Numbers by which the stand-in for Twilio is told to misbehave.
SLOW = "+441632960009"
ODD = {
    "+441632960000": JSONResponse({"unexpected": True}, 201),
    "+441632960001": JSONResponse({"code": 21211}, 400),
    "+441632960002": JSONResponse({"sid": "SM0"}, 307, {"Location": "/2010-04-01/Accounts/AC2/Messages.json"}),
    "+441632960003": JSONResponse({"sid": "SM0", "more": "x" * 300_000}, 201),
    "+441632960004": Response("[" * 100_000, 201, media_type="application/json"),
    "+441632960005": JSONResponse({"code": 20500}, 500),
}


@pytest.fixture
def twilio() -> Any:
    """A local HTTP server standing for Twilio's endpoint; `sent` is what it was told."""
    app = FastAPI()
    app.state.sent = []

    @app.post("/2010-04-01/Accounts/{sid}/Messages.json", status_code=201)
    async def messages(
        request: Request, sid: str, To: str = Form(), From: str = Form(), Body: str = Form()
    ) -> Response:  # fmt: skip
        if request.headers.get("authorization") != "Basic QUMxOnRva2Vu":
            return JSONResponse({"code": 20003}, 401)
        if To in ODD and sid == "AC1":
            return ODD[To]
        if To == SLOW:
            await asyncio.sleep(5)
        app.state.sent.append((sid, To, From, Body))
        return JSONResponse({"sid": f"SM{len(app.state.sent)}"}, 201)

    return app


async def test_twilio(twilio: FastAPI) -> None:
    with serve(twilio) as url:
        options = {"account_sid": "AC1", "sender": "+15005550006", "base_url": url}
        sender = TwilioSender(auth_token="token", **options)
        assert await sender.send("+441632960961", "Hello ✓") == "SM1"
        assert twilio.state.sent == [("AC1", "+441632960961", "+15005550006", "Hello ✓")]
        with pytest.raises(CrossauthError, match=UNREACHABLE):
            await TwilioSender(auth_token="other", **options).send("+441632960961", "Hello")
    with pytest.raises(CrossauthError, match=UNREACHABLE):
        await sender.send("+441632960961", "Hello")
    assert "token" not in repr(sender).replace("auth_token", "")


@pytest.mark.parametrize("to", [*ODD, SLOW])
async def test_what_twilio_answers_is_judged_within_the_limits_of_every_request(
    twilio: FastAPI, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setattr(twilio_room, "_TIMEOUT", timedelta(seconds=0.5))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve(twilio) as url:
        sender = TwilioSender(account_sid="AC1", auth_token="token", sender="+15005550006", base_url=url)
        assert await sender.send("+441632960961", "Hello") == "SM1"
        with pytest.raises(CrossauthError) as refused:
            await sender.send(to, "Hello")
        assert isinstance(refused.value, DeliveryRefused) is (to == "+441632960001")
        assert isinstance(refused.value, DeliveryRefused) or refused.value.code is ErrorCode.Connection
        assert len(twilio.state.sent) == 1
        assert not {"token", "AC1", to[1:]} & set(re.findall(r"\w+", f"{refused.value} {refused.value.detail}"))


async def test_twilio_is_asked_by_a_client_of_the_application() -> None:
    asked: list[FetchRequest] = []

    class Own:
        async def fetch(self, request: FetchRequest) -> FetchResponse:
            asked.append(request)
            return FetchResponse(status=201, headers={}, body=b'{"sid": "SM7"}')

    sender = TwilioSender(account_sid="AC1", auth_token="token", sender="Shop", fetcher=Own())
    assert await sender.send("+441632960961", "a & b") == "SM7"
    assert asked[0].url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
    assert asked[0].body == b"To=%2B441632960961&From=Shop&Body=a+%26+b"


def test_without_aiohttp_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossauth_backend.core.http_client.find_spec", lambda name: None)
    for name in ("ACCOUNT_SID", "AUTH_TOKEN"):
        monkeypatch.setenv(f"TWILIO_{name}", "x")
    with pytest.raises(CrossauthError, match=r"aiohttp: install crossauth\[sms\]") as refused:
        TwilioAuthenticator({"sms_authenticator_from": "+15005550006"})
    assert refused.value.code is ErrorCode.Configuration
    TwilioAuthenticator({"sms_sender": TwilioSender(account_sid="x", auth_token="x", sender="x", fetcher=HttpClient())})


def test_a_login_with_a_code_by_twilio(twilio: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CrossauthError, match="TWILIO_ACCOUNT_SID"):
        TwilioAuthenticator({"sms_authenticator_from": "+15005550006"})
    with serve(twilio) as base:
        for name, value in (("ACCOUNT_SID", "AC1"), ("AUTH_TOKEN", "token"), ("BASE_URL", base)):
            monkeypatch.setenv(f"TWILIO_{name}", value)
        world = World()
        passwords = LocalPasswordAuthenticator(world.users, CHEAP)
        sms = TwilioAuthenticator({"sms_authenticator_from": "+15005550006"})
        world = World(world.users, authenticators={"localpassword": passwords, "sms": sms},
                      allowed_factor2=["none", "sms"], enable_password_reset=False, mailer=None)  # fmt: skip
        sent = twilio.state.sent
        with world.open() as url, Browser(url) as browser:
            browser.sign_up(factor2="none", user_phone="+44 1632 960961")
            assert browser.call("/api/changefactor2", factor2="sms").status_code == 200
            browser.call("/api/logout")
        assert sent[0][1] == "+441632960961"
        assert re.search(r"\b\d{6}\b", sent[0][3]), sent[0]


@pytest.mark.parametrize(
    "number", ["", "1632960961", "+0123456789", "+44", "+4416329609611234567", "+44abc", "+١٢٣٤٥٦٧٨٩", None, 7]
)
def test_a_number_that_is_none_is_refused(number: object) -> None:
    with pytest.raises(CrossauthError) as e:
        valid_phone(number)
    assert e.value.code is ErrorCode.InvalidPhoneNumber
    assert valid_phone("+44 (1632) 960-961") == "+441632960961"


def test_a_refused_number_changes_nothing() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        assert name_of(browser.call("/api/changefactor2", factor2="sms", user_phone="x")) == "InvalidPhoneNumber"
        assert browser.get("/api/changefactor2").status_code in (404, 405)
        assert browser.who() == "alice"
