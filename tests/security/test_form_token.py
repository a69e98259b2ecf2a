"""The CSRF token is found in any form an HTML page can send, and the form reaches the application as it was sent."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request
from starlette.types import Message

from crossauth_fastapi import CurrentUser
from crossauth_fastapi._http.formtoken import MAX_PREFIX, find_field
from tests.services.uvicorn import serve
from tests.support import CSRF, Client, make_server

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A server whose application takes uploads."""
    server = make_server()

    @server.app.post("/upload")
    async def upload(user: CurrentUser, request: Request) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
        return {"sha256": digest.hexdigest(), "size": size}

    with serve(server.app) as url, Client(url) as alice:
        alice.sign_up()
        yield url


@pytest.fixture
def alice(site: str) -> Iterator[Client]:
    with Client(site) as alice:
        alice.log_in()
        yield alice


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def file(size: int, name: str = "photo") -> bytes:
    return part(name, bytes(range(256)) * (size // 256), '; filename="a.jpg"\r\nContent-Type: image/jpeg')


def sent(alice: Client, kind: str, body: bytes) -> Any:
    answer = alice.post("/upload", content=body, headers={"Content-Type": kind})
    if answer.status_code == 200:
        assert answer.json() == {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}, "handed on untouched"
    return answer


def forms(token: bytes) -> dict[str, tuple[str, bytes]]:
    """What HTML pages send, with the token at some place among other fields."""
    t, t_ = part("csrfToken", token), part("csrf_token", token)
    return {
        "a small file": (MULTIPART, multipart(t, file(256))),
        "a file of 20 MiB": (MULTIPART, multipart(t, file(20 * 2**20))),
        "a file before the token": (MULTIPART, multipart(file(512 * 1024), t)),
        "no file chosen": (MULTIPART, multipart(part("f", b"", '; filename=""'), t)),
        "many files": (MULTIPART, multipart(*[file(256, "f")] * 300, t)),
        "repeated fields": (MULTIPART, multipart(part("tag", b"a"), part("tag", b"b"), t)),
        "a long text": (MULTIPART, multipart(part("text", b"a" * 300_000), t)),
        "Latin-1": (MULTIPART, multipart(part("text", "süß".encode("latin-1")), t)),
        "NUL and no Unicode": (MULTIPART, multipart(part("text", b"\0\xff\xfe"), t)),
        "the other name": (MULTIPART, multipart(t_)),
        "another framework's token too": (MULTIPART, multipart(part("csrf_token", b"theirs"), t)),
        "an empty token too": (MULTIPART, multipart(part("csrfToken", b""), t)),
        "urlencoded": (FORM, b"a=1&csrfToken=" + token + b"&b=2"),
        "urlencoded, alone": (FORM, b"csrfToken=" + token),
        "urlencoded, last": (FORM, b"a=1&csrf_token=" + token),
        "urlencoded, repeated fields": (FORM, b"tag=a&tag=b&csrfToken=" + token),
        "urlencoded, long text": (FORM, b"text=" + b"a" * 500_000 + b"&csrfToken=" + token),
        "urlencoded, text of 3 MiB after it": (FORM, b"csrfToken=" + token + b"&text=" + b"a" * 3 * 2**20),
        "urlencoded, 5,000 fields": (FORM, b"".join(b"f%d=1&" % n for n in range(5000)) + b"csrfToken=" + token),
        "urlencoded, Latin-1 and NUL": (FORM, b"text=s%FC%DF%00&csrfToken=" + token),
        "urlencoded, escaped": (FORM, b"csrfToken=" + token.replace(b".", b"%2E")),
        "urlencoded, theirs too": (FORM, b"csrf_token=theirs&csrfToken=" + token),
        "JSON": ("application/json", b'{"a": [1e999, NaN, 1], "a": "\\u0000", "csrfToken": "' + token + b'"}'),
    }


@pytest.mark.parametrize("form", forms(b""))
def test_the_token_is_found_in_any_form_of_a_page(alice: Client, form: str) -> None:
    answer = sent(alice, *forms(alice.token().encode())[form])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("form", ["a small file", "a long text", "urlencoded", "JSON"])
def test_a_wrong_token_in_a_form_is_refused(alice: Client, form: str) -> None:
    for token in (b"", b"x.y", b"a" * 45, b"a" * 5000):
        assert sent(alice, *forms(token)[form]).json()["errorCodeName"] == "InvalidCsrf"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MULTIPART, multipart(file(3 * 2**20))),
        (MULTIPART, b"no form at all"),
        ("multipart/form-data", b"--b"),
        ("multipart/form-data; boundary=" + "b" * 300, b"--b"),
        (MULTIPART, b"--b\r\n" + b"A: b\r\n" * 10_000),
        (MULTIPART, multipart(*[part("x", b"1")] * 2000)),
        (FORM, b"&" * 2_000_000),
        (FORM, b"a" * 2_000_000),
        ("text/plain", b"csrfToken=x"),
        ("application/octet-stream", b"\0" * 2_000_000),
    ],
    ids=str,
)
def test_a_body_without_a_token_reaches_the_application_whole(alice: Client, kind: str, body: bytes) -> None:
    answer = alice.post("/upload", content=body, headers={"Content-Type": kind})
    assert answer.json()["errorCodeName"] == "InvalidCsrf"
    answer = alice.post("/upload", content=body, headers={"Content-Type": kind, CSRF: alice.token()})
    assert answer.json()["size"] == len(body)


async def looked_at(kind: str, body: bytes, chunk: int, wanted: str) -> tuple[int, list[str]]:
    """How much is read to look for a token, and what was found; afterwards the whole body comes out."""
    read, found = 0, []

    async def receive() -> Message:
        nonlocal read
        start, read = read, read + chunk
        return {"type": "http.request", "body": body[start:read], "more_body": read < len(body)}

    def accept(value: str) -> bool:
        found.append(value)
        return value == wanted

    again = await find_field(kind, "", receive, ("csrfToken", "csrf_token"), accept)
    looked = min(read, len(body))
    pieces, more = [], True
    while more:
        message = await again()
        pieces.append(message["body"])
        more = message["more_body"]
    assert b"".join(pieces) == body
    return looked, found


@pytest.mark.parametrize("chunk", [1, 7, 1000, 65536])
@pytest.mark.parametrize("kind", [FORM, MULTIPART])
async def test_it_does_not_matter_how_the_body_is_cut(kind: str, chunk: int) -> None:
    form = b"a=1&&csrfToken=tok.en&b=2" if kind == FORM else multipart(part("a", b"1"), part("csrfToken", b"tok.en"))
    assert (await looked_at(kind, form, chunk, "tok.en"))[1] == ["tok.en"]


async def test_a_body_is_read_no_further_than_the_token() -> None:
    body = multipart(part("csrfToken", b"tok.en"), file(30 * 2**20))
    tracemalloc.start()
    looked, _ = await looked_at(MULTIPART, body[: 2**20], 65536, "tok.en")
    assert looked == 65536
    looked, found = await looked_at(MULTIPART, multipart(file(5 * 2**20), part("csrfToken", b"x")), 65536, "x")
    tracemalloc.stop()
    assert looked == MAX_PREFIX
    assert found == []


async def test_guesses_in_one_body_are_few() -> None:
    body = b"&".join(b"csrfToken=%d" % n for n in range(1000))
    assert len((await looked_at(FORM, body, 65536, "999"))[1]) == 8
