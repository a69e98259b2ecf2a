"""Mail that must arrive: real SMTP servers that refuse, greylist, know no Unicode, or are away while the application restarts."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from crossauth_backend import (
    CrossauthError,
    DeliveryRefused,
    EmailAuthenticator,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    Mail,
    SmtpMailer,
    SqlAlchemyKeyStorage,
    SqlAlchemyUserStorage,
    open_engine,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.secrets import KeyRing
from crossauth_backend.delivery.mailer import Message, mail_message, send_mail
from crossauth_backend.delivery.options import MailSettings, make_mailer
from crossauth_backend.delivery.queue import RETRY_SECONDS, DeliveryQueue
from crossauth_backend.delivery.waiting import MAX_PER_TARGET, InKeys, Waiting
from tests.accounts import Browser, World, storages
from tests.services.processes import free_port
from tests.services.smtp import Mailbox, smtp_server
from tests.support import CHEAP, SECRET

TO = "alice@example.com"
RING = KeyRing([SECRET], "messages that wait")
EVERYWHERE = pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])


def mailer(port: int, sender: str = "shop@example.com") -> SmtpMailer:
    return SmtpMailer(host="localhost", port=port, sender=sender, security="none")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


class Worker:
    """A delivery queue as one process has it."""

    def __init__(self, port: int, keys: Any, clock: Clock, ring: KeyRing = RING) -> None:
        self.lost: list[str] = []
        self.clock = clock
        self.queue = DeliveryQueue(self.lost.append, waiting=InKeys(keys, ring), clock=clock)
        sender = mailer(port)
        self.queue.add_channel("mail", lambda content: send_mail(sender, content))

    async def put(self, to: str = TO, until: datetime | None = None) -> None:
        async def job() -> Message:
            return mail_message("mail", Mail(to=to, subject="Hello", text="the secret link"), until)

        self.queue.put(job)
        await self.queue.idle()

    async def later(self, **time: float) -> None:
        self.clock.now += timedelta(**time)
        await self.queue.deliver_due()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something in the background."""
    ends = time.monotonic() + 60
    while not holds() and time.monotonic() < ends:
        time.sleep(0.05)
    assert holds()


async def opened(request: pytest.FixtureRequest, kind: str) -> dict[str, Any]:
    """Storages of this kind, with their tables."""
    found = storages(request, kind)
    for storage in found.values():
        if hasattr(storage, "start"):
            await storage.start()
    return found


async def test_a_mail_has_a_date_a_message_id_and_a_sender_with_a_name() -> None:
    with smtp_server() as (mailbox, port):
        await mailer(port).send(Mail(to=TO, subject="a", text="b", from_name="shop.example"))
        await mailer(port, "The Shop <shop@example.com>").send(Mail(to=TO, subject="a", text="b", from_name="other"))
        await mailer(port, 'A "B" Ü <shop@example.com>').send(Mail(to=TO, subject="a", text="b"))
    first, second, third = mailbox.messages
    assert abs(parsedate_to_datetime(first["date"]) - utc_now()) < timedelta(minutes=1)
    assert first["message-id"].endswith("@example.com>")
    assert first["message-id"] != second["message-id"]
    assert first["auto-submitted"] == "auto-generated"
    assert first["from"].addresses[0].display_name == "shop.example"
    assert first["from"].addresses[0].addr_spec == "shop@example.com"
    assert second["from"].addresses[0].display_name == "The Shop", "the name that the application gave"
    assert third["from"].addresses[0].addr_spec == "shop@example.com"
    assert {sender for sender, _ in mailbox.tried} == {"shop@example.com"}


async def test_every_try_of_a_mail_has_the_same_message_id() -> None:
    clock = Clock()
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), clock)
        seen: list[str] = []

        async def data(server: Any, session: Any, envelope: Any) -> str:
            seen.append(next(x for x in envelope.content.decode().split("\r\n") if x.lower().startswith("message-id")))
            return "451 later"

        mailbox.handle_DATA = data
        await worker.put()
        await worker.later(seconds=6)
        await worker.queue.close()
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_mail_says_which_site_and_account_it_is_about_and_shows_its_link() -> None:
    with smtp_server() as (mailbox, port):
        world = World(
            mailer=None, smtp_host="localhost", smtp_port=port, smtp_security="none", email_from="shop@example.com",
            enable_email_verification=True,
        )  # fmt: skip
        with world.open() as url, Browser(url) as browser:
            browser.sign_up(factor2="none", user_email=TO)
    (message,) = mailbox.messages
    text, html = (part.get_content() for part in message.iter_parts())
    assert message["from"].addresses[0].display_name == "localhost"
    for body in (text, html):
        assert "localhost account" in body
        assert "alice" in body
    link = next(word for word in text.split() if word.startswith("http"))
    assert f'href="{link}"' in html
    assert f">{link}<" in html


@pytest.mark.parametrize("sender", ["shop", "", "@", "Shop"])
def test_a_sender_that_is_no_address_stops_the_start(sender: str) -> None:
    with pytest.raises(CrossauthError, match="email_from") as e:
        make_mailer(MailSettings(smtp_host="localhost", email_from=sender), "here")
    assert e.value.code is ErrorCode.Configuration


async def test_an_international_domain_goes_as_punycode_to_a_server_without_smtputf8() -> None:
    with smtp_server() as (mailbox, port):
        await mailer(port, "shop@bücher.example").send(Mail(to="user@münchen.example", subject="a", text="b"))
    (message,) = mailbox.messages
    assert mailbox.tried == [("shop@xn--bcher-kva.example", ["user@xn--mnchen-3ya.example"])]
    assert message["to"] == "user@xn--mnchen-3ya.example"
    assert message["from"].addresses[0].addr_spec == "shop@xn--bcher-kva.example"
    assert message["message-id"].endswith("@xn--bcher-kva.example>")


async def test_a_local_part_beyond_ascii_goes_by_smtputf8_or_is_refused_at_once_with_its_reason() -> None:
    address = "jürgen@münchen.example"
    with smtp_server(utf8=True) as (mailbox, port):
        await mailer(port).send(Mail(to=address, subject="a", text="b"))
        assert mailbox.tried == [("shop@example.com", ["jürgen@xn--mnchen-3ya.example"])]
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), Clock())
        await worker.put(address)
        assert worker.lost == ["smtputf8"]
        await worker.later(minutes=10)
        assert mailbox.tried == []
        await worker.queue.close()


@pytest.mark.parametrize("to", ["a@exa_mple ü.example", "a@ü..example", "a\r\nBcc: b@example.com"])
async def test_an_address_that_cannot_be_is_refused_for_good(to: str) -> None:
    with smtp_server() as (mailbox, port):
        with pytest.raises(DeliveryRefused) as e:
            await mailer(port).send(Mail(to=to, subject="a", text="b"))
        assert e.value.reason == "address"
        assert mailbox.tried == []


@pytest.mark.parametrize(
    ("answer", "again"), [("550 no such user", False), ("554 spam", False), ("451 later", True), ("452 full", True)]
)
async def test_a_permanent_refusal_is_not_tried_again_and_a_temporary_one_is(answer: str, again: bool) -> None:
    clock = Clock()
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), clock)
        mailbox.refusals = [answer]
        await worker.put()
        assert worker.lost == ([] if again else ["refused"])
        await worker.later(seconds=6)
        await worker.later(days=2)
        assert len(mailbox.tried) == (2 if again else 1)
        assert len(mailbox.messages) == int(again)
        await worker.queue.close()


async def test_a_refused_recipient_is_permanent_and_a_refused_login_is_not() -> None:
    class Refusing(Mailbox):
        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
            return "550 5.1.1 no such mailbox"

    with smtp_server(mailbox=Refusing()) as (_, port):
        with pytest.raises(DeliveryRefused) as e:
            await mailer(port).send(Mail(to=TO, subject="a", text="b"))
        assert e.value.reason == "refused"
        assert "no such mailbox" not in str(e.value), "texts of the server may repeat the address"
    unreachable = SmtpMailer(host="localhost", port=free_port(), sender="a@example.com", security="none")
    with pytest.raises(CrossauthError) as other:
        await unreachable.send(Mail(to=TO, subject="a", text="b"))
    assert not isinstance(other.value, DeliveryRefused)


@pytest.mark.parametrize("minutes", [5, 30, 360])
async def test_a_greylisting_server_gets_the_mail_when_it_takes_it(minutes: float) -> None:
    clock = Clock()
    takes_from = clock.now + timedelta(minutes=minutes)
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), clock)
        taken = Mailbox.handle_DATA

        async def data(server: Any, session: Any, envelope: Any) -> str:
            return "451 4.7.1 greylisted" if clock.now < takes_from else await taken(mailbox, server, session, envelope)

        mailbox.handle_DATA = data
        await worker.put()
        while not mailbox.messages and not worker.lost:
            await worker.later(minutes=1)
        assert (len(mailbox.messages), worker.lost) == (1, [])
        assert clock.now - takes_from <= timedelta(minutes=minutes), "not long after"
        await worker.queue.close()


async def test_a_temporary_refusal_is_tried_for_more_than_a_day_and_then_reported() -> None:
    assert sum(RETRY_SECONDS) > 24 * 3600
    clock = Clock()
    begun = clock.now
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), clock)
        mailbox.refusals = ["451 later"] * 100
        await worker.put()
        while not worker.lost:
            await worker.later(minutes=10)
        assert worker.lost == ["expired"]
        assert clock.now - begun > timedelta(hours=24)
        assert len(mailbox.tried) == len(RETRY_SECONDS) + 1, "with growing waits"
        await worker.queue.close()


async def test_a_mail_whose_link_or_code_has_expired_is_not_sent_any_more() -> None:
    clock = Clock()
    with smtp_server() as (mailbox, port):
        worker = Worker(port, InMemoryKeyStorage(), clock)
        mailbox.refusals = ["451 later"]
        await worker.put(until=clock.now + timedelta(minutes=5))
        await worker.later(minutes=6)
        assert (mailbox.messages, worker.lost) == ([], ["expired"])
        await worker.queue.close()


@EVERYWHERE
async def test_two_workers_send_what_waits_once(request: pytest.FixtureRequest, kind: str) -> None:
    keys = (await opened(request, kind))["keys"]
    clock = Clock()
    with smtp_server() as (mailbox, port):
        first = Worker(port, keys, clock)
        mailbox.refusals = ["451 later"] * 5
        for number in range(5):
            await first.put(f"user{number}@example.com")
        await first.queue.close()
        clock.now += timedelta(minutes=1)
        workers = [Worker(port, keys, clock) for _ in range(4)]
        await asyncio.gather(*(worker.queue.deliver_due() for worker in workers for _ in range(3)))
        assert sorted(str(m["to"]) for m in mailbox.messages) == [f"user{n}@example.com" for n in range(5)]
        await asyncio.gather(*(worker.later(hours=1) for worker in workers))
        assert len(mailbox.messages) == 5
        for worker in workers:
            assert worker.lost == []
            await worker.queue.close()
    for part in (keys,):
        if hasattr(part, "close"):
            await part.close()


@EVERYWHERE
async def test_what_waits_is_encrypted_and_bounded_for_each_target(request: pytest.FixtureRequest, kind: str) -> None:
    keys = (await opened(request, kind))["keys"]
    clock = Clock()
    with smtp_server() as (mailbox, port):
        worker = Worker(port, keys, clock)
        mailbox.refusals = ["451 later"] * 100
        await asyncio.gather(*(worker.put() for _ in range(MAX_PER_TARGET + 3)))
        assert worker.lost == ["too_many"] * 3
        stored = await keys.get_all_for_user(None, "mail:")
        assert len([k for k in stored if not k.value.startswith("mail:index:")]) == MAX_PER_TARGET
        for key in stored:
            assert "secret link" not in f"{key.data}"
            assert TO not in f"{key.value}{key.data}"
        await worker.put("bob@example.com")
        assert worker.lost == ["too_many"] * 3, "others are not affected"
        mailbox.refusals = []
        await worker.later(minutes=1)
        assert len(mailbox.messages) == MAX_PER_TARGET + 1
        left = await keys.get_all_for_user(None, "mail:")
        assert all(key.value.startswith("mail:index:") and key.data in ("", "{}") for key in left), "nothing is left"
        await worker.put()
        assert worker.lost == ["too_many"] * 3, "there is room again"
        await worker.queue.close()
    if hasattr(keys, "close"):
        await keys.close()


async def test_a_worker_that_died_while_sending_loses_nothing() -> None:
    keys, clock = InMemoryKeyStorage(), Clock()
    room = InKeys(keys, RING)
    message = Message(channel="mail", to=TO, content={"to": TO, "subject": "a", "text": "b"})
    ends = clock.now + timedelta(hours=1)
    stored = await room.add(Waiting(message=message, tries=1, due=clock.now, ends=ends), clock.now)
    assert stored is not None
    assert await room.lease(stored.name, clock.now) is not None, "and nothing comes back of this worker"
    with smtp_server() as (mailbox, port):
        worker = Worker(port, keys, clock)
        await worker.queue.deliver_due()
        assert mailbox.messages == [], "it may be on its way"
        await worker.later(minutes=11)
        assert len(mailbox.messages) == 1
        await worker.queue.close()


class Holding(Mailbox):
    """A mail server that takes a mail, and does not say so until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.reached.set()
        while not self.go.is_set():
            await asyncio.sleep(0.02)
        return await super().handle_DATA(server, session, envelope)


@EVERYWHERE
async def test_a_mail_is_kept_encrypted_before_it_is_first_tried(request: pytest.FixtureRequest, kind: str) -> None:
    """Leased, so that no other worker sends it, and is gone when it was sent."""
    keys, clock = (await opened(request, kind))["keys"], Clock()
    with smtp_server(mailbox=Holding()) as (mailbox, port):
        assert isinstance(mailbox, Holding)
        first, second = Worker(port, keys, clock), Worker(port, keys, clock)
        sending = asyncio.create_task(first.put())
        await asyncio.to_thread(mailbox.reached.wait, 20)
        stored = await keys.get_all_for_user(None, "mail:")
        assert len([key for key in stored if not key.value.startswith("mail:index:")]) == 1
        for key in stored:
            assert "secret link" not in f"{key.data}"
            assert TO not in f"{key.value}{key.data}"
        await second.later(minutes=9)
        mailbox.go.set()
        await sending
        await second.later(minutes=30)
        assert len(mailbox.messages) == 1
        left = await keys.get_all_for_user(None, "mail:")
        assert all(key.value.startswith("mail:index:") and key.data in ("", "{}") for key in left), "nothing is left"
        for worker in (first, second):
            assert worker.lost == []
            await worker.queue.close()
    if hasattr(keys, "close"):
        await keys.close()


async def test_a_mail_that_waits_long_for_its_turn_is_sent_once() -> None:
    """Its lease is renewed; or another worker has it."""
    keys, clock = InMemoryKeyStorage(), Clock()
    with smtp_server(mailbox=Holding()) as (mailbox, port):
        assert isinstance(mailbox, Holding)
        first, second = Worker(port, keys, clock), Worker(port, keys, clock)
        sending = [asyncio.create_task(first.put(f"user{n}@example.com")) for n in range(6)]
        await asyncio.to_thread(mailbox.reached.wait, 20)
        await asyncio.sleep(0.2)
        clock.now += timedelta(minutes=6)
        mailbox.go.set()
        await asyncio.gather(*sending)
        await second.later(minutes=5)
        await second.later(minutes=30)
        assert sorted(str(m["to"]) for m in mailbox.messages) == [f"user{n}@example.com" for n in range(6)]
        for worker in (first, second):
            await worker.queue.close()


async def test_a_mail_is_sent_although_the_storage_is_away() -> None:
    """From memory, and tried again from there."""
    clock = Clock()

    class Away(InMemoryKeyStorage):
        async def find_key(self, value: str) -> Any:
            raise CrossauthError(ErrorCode.Connection, status=503)

    with smtp_server() as (mailbox, port):
        worker = Worker(port, Away(), clock)
        mailbox.refusals = ["451 later"]
        await worker.put()
        clock.now += timedelta(seconds=6)
        await worker.queue.deliver_due(scan=False)
        assert (len(mailbox.messages), worker.lost) == (1, [])
        await worker.queue.close()


async def test_another_applications_mail_on_the_same_storage_is_left_alone() -> None:
    keys, clock = InMemoryKeyStorage(), Clock()
    with smtp_server() as (mailbox, port):
        ours = Worker(port, keys, clock)
        mailbox.refusals = ["451 later"]
        await ours.put()
        await ours.queue.close()
        other = Worker(port, keys, clock, KeyRing(["another secret, which is long enough"], "messages that wait"))
        await other.later(minutes=1)
        assert (mailbox.messages, other.lost) == ([], [])
        await ours.queue.start()
        await ours.later(minutes=1)
        assert (len(mailbox.messages), ours.lost) == (1, [])
        for worker in (ours, other):
            await worker.queue.close()


@EVERYWHERE
def test_mail_that_waits_survives_a_restart(request: pytest.FixtureRequest, kind: str) -> None:
    """The server refuses six mails; the application stops and starts again; all six arrive, and a link in them is good."""
    parts = storages(request, kind)
    with smtp_server() as (mailbox, port):
        options: dict[str, Any] = {
            "mailer": None, "smtp_host": "localhost", "smtp_port": port, "smtp_security": "none",
            "email_from": "shop@example.com", "enable_email_verification": True,
        }  # fmt: skip
        mailbox.refusals = ["451 later"] * 100
        world = World(parts["users"], parts["keys"], **options)
        with world.open() as url:
            for number in range(6):
                with Browser(url) as browser:
                    browser.sign_up(f"user{number}", factor2="none", user_email=f"user{number}@example.com")
        assert "mail_failed" not in world.heard.names
        mailbox.refusals = []
        again = World(parts["users"], parts["keys"], **options)
        again.ahead = world.ahead + timedelta(minutes=1)
        with again.open() as url, Browser(url):
            wait_until(lambda: len(mailbox.messages) == 6)
    assert sorted(str(m["to"]) for m in mailbox.messages) == [f"user{n}@example.com" for n in range(6)]


APPLICATION = """
import sys
sys.path.insert(0, {root!r})
from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from tests.accounts import World
engine = open_engine({database!r})
world = World(
    SqlAlchemyUserStorage(engine, {{"user_editable_fields": ["email", "phone"]}}), SqlAlchemyKeyStorage(engine),
    mailer=None, smtp_host="127.0.0.1", smtp_port={port}, smtp_security="none", email_from="shop@example.com",
    enable_email_verification=True,
)
import uvicorn
uvicorn.run(world.server.app, port={http}, log_level="warning")
"""


@pytest.mark.parametrize("how", ["refuses", "is away"])
def test_sigterm_while_the_mail_server_refuses_or_is_away_loses_nothing(
    tmp_path: Path, sqlite_url: str, how: str
) -> None:
    smtp_port, http = free_port(), free_port()
    root = Path(__file__).parents[2]
    program = APPLICATION.format(root=str(root), database=sqlite_url, port=smtp_port, http=http)
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}"}

    def run() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=tmp_path)
        wait_until(lambda: _responds(http))
        return process

    def sign_ups() -> None:
        for number in range(6):
            with Browser(f"http://localhost:{http}") as browser:
                browser.sign_up(f"user{number}", factor2="none", user_email=f"user{number}@example.com")

    process = run()
    try:
        if how == "refuses":
            with smtp_server(port=smtp_port) as (mailbox, _):
                mailbox.refusals = ["451 later"] * 100
                sign_ups()
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        else:
            sign_ups()
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    finally:
        process.kill()
    with smtp_server(port=smtp_port) as (mailbox, _):
        process = run()
        try:
            wait_until(lambda: len(mailbox.messages) == 6)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    assert {str(m["to"]) for m in mailbox.messages} == {f"user{n}@example.com" for n in range(6)}


def test_sigkill_while_a_mail_is_first_tried_does_not_lose_it(tmp_path: Path, sqlite_url: str) -> None:
    """Another process sends it when the lease is over."""
    http, root = free_port(), Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}"}
    with smtp_server(mailbox=Holding()) as (held, port):
        assert isinstance(held, Holding)
        program = APPLICATION.format(root=str(root), database=sqlite_url, port=port, http=http)
        process = subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=tmp_path)
        try:
            wait_until(lambda: _responds(http))
            with Browser(f"http://localhost:{http}") as browser:
                assert browser.sign_up(factor2="none", user_email=TO).status_code == 200
            assert held.reached.wait(20)
        finally:
            process.kill()
            process.wait(30)
        held.messages.clear()
        held.go.set()
    engine = open_engine(sqlite_url)
    with smtp_server() as (mailbox, port):
        again = World(
            SqlAlchemyUserStorage(engine), SqlAlchemyKeyStorage(engine), mailer=None, smtp_host="localhost", smtp_port=port,
            smtp_security="none", email_from="shop@example.com", enable_email_verification=True,
        )  # fmt: skip
        again.later(minutes=11)
        with again.open() as url, Browser(url):
            wait_until(lambda: len(mailbox.messages) == 1)
    assert str(mailbox.messages[0]["to"]) == TO


def _responds(port: int) -> bool:
    try:
        return httpx2.get(f"http://localhost:{port}/api/getcsrftoken", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_event_says_why_a_mail_was_given_up() -> None:
    with smtp_server() as (mailbox, port):
        world = World(
            mailer=None, smtp_host="localhost", smtp_port=port, smtp_security="none", email_from="shop@example.com",
            enable_email_verification=True,
        )  # fmt: skip
        mailbox.refusals = ["550 no"]
        with world.open() as url, Browser(url) as browser:
            browser.sign_up(factor2="none", user_email=TO)
        with world.open() as url, Browser(url) as browser:
            browser.sign_up("bob", factor2="none", user_email="jürgen@münchen.example")
    assert [e.reason for e in world.heard.events if e.name == "mail_failed"] == ["refused", "smtputf8"]


@pytest.mark.parametrize(
    ("options", "site"),
    [
        ({}, "your localhost account"),
        ({"site_url": None, "mailer": None, "email_from": "Shop <shop@example.com>"}, "your Shop account"),
        ({"site_url": None, "mailer": None, "email_from": "shop@example.com"}, "your example.com account"),
    ],
)
def test_a_code_by_mail_names_site_and_account(options: dict[str, Any], site: str) -> None:
    if options:
        options = {**options, "smtp_host": "localhost", "enable_password_reset": False}
        options["authenticators"] = {
            "localpassword": LocalPasswordAuthenticator(InMemoryUserStorage(), CHEAP), "email": EmailAuthenticator(),
        }  # fmt: skip
        options["allowed_factor2"] = ["none", "email"]
    factor: Any = World(**options).manager.authenticators["email"]
    message = asyncio.run(factor._make(TO, {"otp": "123456", "username": "alice"}, utc_now()))
    assert f"{site} alice:\n\n123456\n" in message.content["text"]


def test_messages_name_site_and_account() -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as browser, Browser(url) as other:
        browser.sign_up("alice", user_email=TO, factor2="email")
        assert "your localhost account alice:\n" in browser.mail(TO)[0]["text"]
        browser.call("/api/configurefactor2", otp=browser.mailed_code(TO))
        other.sign_up("mallory", user_email=TO, factor2="none")
        note = browser.mail(TO)[0]
        assert note["subject"] == "You already have an account at localhost"
        assert "sign up at localhost with this email address" in note["text"]
        assert "Username: alice\n" in note["text"]
        assert "mallory" not in note["text"]
        other.sign_up("bob", user_email="bob@example.com", user_phone="+441632960961", factor2="sms")
        other.mail()  # waits for what is being sent
        assert world.sms.messages[-1][1][6:].startswith(" is your localhost code. Don't share it with anyone.\n")
