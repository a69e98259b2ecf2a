"""Bodies that pass through the backend-for-frontend as they come: up, down, for as long as it takes, and no longer."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import psutil
import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.bff import watch
from crossauth_fastapi._oauth_client.bff.upload import Upload
from tests.bff import LEAVING, Api, Site, open_site, sent, soon
from tests.support import CSRF, Client

World = tuple[Client, Api, Site]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_site(bff_max_body_size=512 * MEGABYTE) as world:
        yield world


@pytest.fixture
def world(shared: World) -> World:
    client, api, site = shared
    api.forget()
    api.go_on.clear()
    return client, api, site


@pytest.fixture
def impatient() -> Iterator[World]:
    """One that waits no longer than a second."""
    with open_site(bff_timeout=1) as world:
        yield world


def memory() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)


def cookies(client: Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def raw(client: Client, text: str) -> socket.socket:
    """A connection on which a request was sent, byte by byte as it is written here."""
    url = client.base_url
    connection = socket.create_connection((url.host, url.port or 80), timeout=10)
    head = text.replace("\n", "\r\n").replace("TOKEN", client.token()).replace("COOKIES", cookies(client))
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("chunked", ["", "&chunked=1"])
def test_a_download_passes_in_little_memory(world: World, chunked: str) -> None:
    client, _, _ = world
    size, before, most = 200 * MEGABYTE, memory(), 0
    with client.stream("GET", f"/bff/stream/bytes?size={size}{chunked}") as answer:
        assert answer.headers.get("content-length") == (None if chunked else str(size))
        for part in answer.iter_raw():
            size -= len(part)
            most = max(most, memory())
    assert size == 0
    # The API, the site and this browser are one process.
    assert most - before < 32 * MEGABYTE


def test_an_upload_passes_in_little_memory(world: World) -> None:
    client, _, _ = world
    before, most, part = memory(), 0, b"x" * 262_144

    def parts() -> Iterator[bytes]:
        nonlocal most
        for _ in range(800):
            most = max(most, memory())
            yield part

    token = client.token()
    for length in ({}, {"Content-Length": str(200 * MEGABYTE)}):
        answer = client.post("/bff/stream/upload", content=parts(), headers={CSRF: token, **length})
        assert answer.json()["received"] == 200 * MEGABYTE
        assert answer.json()["headers"].get("content-length") == length.get("Content-Length")
    assert most - before < 32 * MEGABYTE


def test_a_browser_sends_no_faster_than_the_api_takes(world: World) -> None:
    client, api, _ = world
    token, handed_out = client.token(), 0

    def parts() -> Iterator[bytes]:
        nonlocal handed_out
        for _ in range(3200):
            handed_out += 1
            yield b"x" * 65_536

    answers: list[httpx2.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/bff/stream/slow", content=parts(), headers={CSRF: token}))
    )
    thread.start()
    assert soon(lambda: api.received > 0)
    waiting = -1
    while waiting != handed_out:
        waiting = handed_out
        time.sleep(0.2)
    api.go_on.set()
    thread.join(20)
    assert answers[0].json()["received"] == 200 * MEGABYTE
    assert waiting < 1600, "the rest waits in the browser, not here"


def test_events_come_as_they_are_sent(world: World) -> None:
    client, api, _ = world
    with client.stream("GET", "/bff/stream/events", headers={"Accept": "text/event-stream"}) as answer:
        events = answer.iter_raw()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert next(events) == b"data: first\n\n", "while the API has sent no more than this"
        api.go_on.set()
        assert b"data: 0" in next(events)


def test_where_the_browser_leaves_the_stream_of_the_api_ends(world: World) -> None:
    client, api, _ = world
    with client.stream("GET", "/bff/stream/events") as answer:
        next(answer.iter_raw())
    assert soon(lambda: "events" in api.gone, LEAVING)
    connection = raw(client, "GET /bff/stream/silence HTTP/1.1\nHost: 127.0.0.1\nCookie: COOKIES\n\n")
    time.sleep(0.3)
    connection.close()
    assert soon(lambda: "silence" in api.gone, LEAVING), "also before it has answered"


def test_where_the_browser_leaves_its_upload_ends(world: World) -> None:
    client, api, _ = world
    api.go_on.set()
    head = (
        f"POST /bff/stream/slow HTTP/1.1\nHost: 127.0.0.1\nCookie: COOKIES\n{CSRF}: TOKEN\nContent-Length: 100000\n\n"
    )
    connection = raw(client, head)
    connection.sendall(b"x" * 70_000)
    assert soon(lambda: api.received > 0)
    connection.close()
    assert soon(lambda: "upload" in api.gone, LEAVING)


@pytest.mark.parametrize("query", ["", "?length"])
def test_an_answer_that_is_cut_short_does_not_look_complete(world: World, query: str) -> None:
    client, _, _ = world
    with client.stream("GET", f"/bff/stream/cut{query}") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx2.RemoteProtocolError):
            answer.read()


def test_the_api_may_take_so_long_until_it_answers(impatient: World) -> None:
    client, api, _ = impatient
    answer = client.get("/bff/stream/silence")
    assert (answer.status_code, answer.json()["error_code_name"]) == (504, "Connection")
    assert soon(lambda: "silence" in api.gone), "nobody waits for it"


def test_a_body_that_does_not_come_is_not_waited_for(impatient: World) -> None:
    client, _, _ = impatient
    with raw(
        client, f"POST /bff/echo HTTP/1.1\nHost: 127.0.0.1\nCookie: COOKIES\n{CSRF}: TOKEN\nContent-Length: 10\n\nabc"
    ) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_body_is_asked_for_when_it_is_wanted(world: World) -> None:
    client, api, _ = world
    head = f"POST /bff/echo HTTP/1.1\nHost: 127.0.0.1\nCookie: COOKIES\n{CSRF}: TOKEN\nExpect: 100-continue\n"
    head += "Content-Length: 4\n\n"
    with raw(client, head) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"body")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
    assert api.seen[-1]["body"] == "body"
    for wrong in (head.replace("4\n", f"{600 * MEGABYTE}\n"), head.replace("COOKIES", "none=1")):
        with raw(client, wrong) as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 4"), "and is not asked for where it is refused"


def test_a_body_may_have_so_many_bytes() -> None:
    with open_site(bff_max_body_size=1000) as (client, api, _):
        token = client.token()
        assert client.post("/bff/echo", content=b"x" * 1000, headers={CSRF: token}).status_code == 200
        api.seen.clear()
        for body in (b"x" * 1001, iter([b"x" * 600, b"x" * 600]), iter([b"x" * 100_000] * 3)):
            answer = client.post("/bff/echo", content=body, headers={CSRF: token})
            assert (answer.status_code, answer.json()["error_code_name"]) == (413, "BadRequest")
        assert api.seen == []


def test_an_api_may_answer_before_it_has_read_the_body(world: World) -> None:
    client, _, _ = world
    answer = client.post("/bff/stream/early", content=b"x" * 2 * MEGABYTE, headers={CSRF: client.token()})
    assert (answer.status_code, answer.text) == (422, "no")


def test_an_api_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with open_site(bff_base_url=f"http://127.0.0.1:{port}") as (client, _, _):
        answer = client.get("/bff/echo")
        assert (answer.status_code, answer.json()["error_code_name"]) == (502, "Connection")
        assert "127.0.0.1" not in answer.text


def test_connections_are_used_again(world: World) -> None:
    client, _, _ = world
    for _ in range(3):
        assert sent(client.get("/bff/echo"))["host"].startswith("127.0.0.1")


def test_a_stream_ends_with_its_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, api, _ = world
    monkeypatch.setattr(watch, "RECHECK_SECONDS", 0.2)
    with Client(str(client.base_url)) as other:
        other.log_in()
        with other.stream("GET", "/bff/stream/events") as answer:
            events = answer.iter_raw()
            assert next(events)
            assert not soon(lambda: "events" in api.gone, 0.5), "as long as the session is there"
            for session in client.get("/api/sessions").json()["sessions"]:
                if not session["current"]:
                    client.call("/api/sessions", session=session["session"])
            assert soon(lambda: "events" in api.gone)


def test_a_stream_ends_with_its_session_also_where_the_body_has_no_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, api, _ = world
    monkeypatch.setattr(watch, "RECHECK_SECONDS", 0.2)
    with Client(str(client.base_url)) as other:
        other.log_in()
        head = "POST /bff/stream/events HTTP/1.1\nHost: 127.0.0.1\nCookie: COOKIES\n"
        with raw(other, f"{head}{CSRF}: TOKEN\nTransfer-Encoding: chunked\n\n1\nx\n") as connection:
            answer = b""
            while b"data: first" not in answer:
                answer += connection.recv(1000)
            assert not soon(lambda: "events" in api.gone, 0.5), "as long as the session is there"
            for session in client.get("/api/sessions").json()["sessions"]:
                if not session["current"]:
                    client.call("/api/sessions", session=session["session"])
            assert soon(lambda: "events" in api.gone, 2)


def test_a_look_that_fails_is_not_the_last_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, api, site = world
    looks, recheck = 0, site.tokens.recheck

    async def fails_once(connection: HTTPConnection) -> TokenSet | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("the sessions of another framework are away")
        return await recheck(connection)

    monkeypatch.setattr(watch, "RECHECK_SECONDS", 0.1)
    monkeypatch.setattr(site.tokens, "recheck", fails_once)
    with client.stream("GET", "/bff/stream/events") as answer:
        events = answer.iter_raw()
        assert next(events)
        assert soon(lambda: looks >= 3)
        assert api.gone == [], "nobody could say that it has ended"
        monkeypatch.setattr(site.tokens, "ended", True)
        assert soon(lambda: "events" in api.gone)


async def test_what_is_left_of_a_body_is_not_sent_as_if_it_were_all_of_it() -> None:
    messages = [{"type": "http.request", "body": part, "more_body": part != b"last"} for part in (b"a", b"b", b"last")]

    async def receive() -> Message:
        return messages.pop(0)

    body = await Upload(receive, None, None).begin()
    assert isinstance(body, Upload)
    parts = aiter(body)
    assert await anext(parts) == b"a"
    with pytest.raises(ValueError, match="again"):
        # What aiohttp before 3.14 does where a server has closed a connection that it was going to use.
        aiter(body)
    assert (await anext(parts), await anext(parts)) == (b"b", b"last")


async def test_the_last_bytes_wait_for_the_end_that_may_refuse_them() -> None:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in (b"a", b"bc")]

    async def receive() -> Message:
        if not messages:
            raise CrossauthError(ErrorCode.InvalidSession)
        return messages.pop(0)

    body = await Upload(receive, 3, None).begin()
    assert isinstance(body, Upload)
    parts = aiter(body)
    assert await anext(parts) == b"a"
    with pytest.raises(CrossauthError):
        await anext(parts)
    messages += [
        {"type": "http.request", "body": b"abc", "more_body": True},
        {"type": "http.request", "body": b"", "more_body": False},
    ]
    assert await Upload(receive, 3, None).begin() == b"abc"
