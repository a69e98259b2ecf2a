"""Parsers of our own endpoints are linear and bounded: in fields, values, depth, numbers and the length of names."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossauth_backend import SqlAlchemyKeyStorage, SqlAlchemyUserStorage, open_engine
from crossauth_backend.core.text import folded, normalize, same_mailbox
from crossauth_fastapi._http import jsonbody
from tests.accounts import Browser, World, name_of
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, Client, make_server

JSON = "application/json"


@pytest.fixture(scope="module")
def browser() -> Iterator[Client]:
    """A browser of alice."""
    with serve(make_server().app) as url, Client(url) as browser:
        browser.sign_up("alice")
        yield browser


@pytest.fixture(scope="module")
def nobody(browser: Client) -> Iterator[Client]:
    """A browser in which nobody is logged in."""
    with Client(str(browser.base_url)) as nobody:
        yield nobody


def post(browser: Client, path: str, body: bytes, kind: str = JSON) -> Any:
    return browser.post(path, content=body, headers={CSRF: browser.token(), "Content-Type": kind})


def nested(depth: int, start: bytes = b'{"a":', end: bytes = b"}") -> bytes:
    return b'{"username":' + start * depth + b"1" + end * depth + b"}"


REFUSED = {
    "7,000 fields, one repeated": b"{" + b"".join(b'"%x":1,' % n for n in range(7000)) + b'"1":1}',
    "7,000 fields": b"{" + b"".join(b'"%x":1,' % n for n in range(7000)) + b'"z":1}',
    "201 fields": json.dumps({str(n): n for n in range(201)}).encode(),
    "20,000 values": b'{"a":[' + b"1," * 20_000 + b"1]}",
    "10,000 objects": b'{"a":[' + b"{}," * 10_000 + b"{}]}",
    "objects 21 deep": nested(21),
    "objects 478 deep": nested(478),
    "objects 10,000 deep": nested(10_000),
    "lists 478 deep": nested(478, b"[", b"]"),
    "lists 30,000 deep, not closed": b'{"a":' + b"[" * 30_000,
    "closing 60,000": b"]" * 60_000,
    "infinite": b'{"user_height": 1e999}',
    "minus infinite": b'{"user_height": -1e999}',
    "nested infinite": b'{"a": {"b": [1e400]}}',
    "Infinity": b'{"user_height": Infinity}',
    "NaN": b'{"user_height": NaN}',
    "5,000 digits": b'{"user_height": ' + b"9" * 5000 + b"}",
    "65 bits": b'{"user_height": 9223372036854775808}',
    "repeated inside": b'{"a": {"b": 1, "b": 2}}',
    "quotation marks": b'{"a": "' + b'\\"' * 30_000,
    "backslashes": b'{"a": "' + b"\\" * 60_001,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_a_body_beyond_the_bounds_is_a_400(browser: Client, body: bytes) -> None:
    for path in ("/api/login", "/api/updateuser", "/login"):
        answer = post(browser, path, body)
        assert answer.status_code == 400
    assert name_of(post(browser, "/api/updateuser", body)) == "BadRequest"


@pytest.mark.parametrize(
    "body",
    [
        nested(18),
        b'{"a": 9223372036854775807, "b": -9223372036854775808, "c": 1e308, "d": 1e-999}',
        b'{"a":"[[[[{{{{,,,,"}',
    ],
)
def test_a_body_within_the_bounds_is_read(body: bytes) -> None:
    assert jsonbody.parse_fields(body) == json.loads(body)


def test_many_repeated_form_fields_are_a_400(browser: Client) -> None:
    for kind in ("application/x-www-form-urlencoded",):
        assert (
            post(browser, "/api/login", b"&".join(b"f%d=1" % n for n in range(7000)) + b"&f1=1", kind).status_code
            == 400
        )


class Name(str):
    """A field's name that counts how often one is compared with another."""

    __slots__ = ()
    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)


def test_finding_a_repeated_field_compares_no_field_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonbody, "MAX_FIELDS", 10**6)
    names = [Name(n) for n in range(8000)]
    with pytest.raises(jsonbody.BadFields, match="repeated"):
        jsonbody.no_repeats([(name, 1) for name in (*names, Name(7999))])
    assert Name.compared < 8000


MARKS = "a" + "\u0301\u0316" * 16_000


def test_a_name_too_long_for_a_name_is_refused_before_it_is_composed(
    browser: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorting 32,000 combining marks takes most of a second; no name is that long."""
    import unicodedata

    def compose(form: Any, text: str) -> str:
        assert len(text) < 2000, "too long to be composed"
        return real(form, text)

    real = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", compose)
    for path, fields in {
        "/api/login": {"username": MARKS, "password": "x"},
        "/api/signup": {"username": MARKS, "password": PASSWORD},
        "/api/updateuser": {"user_email": MARKS + "@example.com"},
    }.items():
        answer = (browser if path == "/api/updateuser" else nobody).call(path, **fields)
        assert 400 <= answer.status_code < 500, answer.text
    world = World()
    with world.open() as url, Browser(url) as other:
        assert other.call("/api/requestpasswordreset", email=MARKS).status_code < 500
        assert other.call("/api/login", username="alice", password="x", user_email=MARKS).status_code == 401
    assert same_mailbox("Zoë@example.com", "zoe\u0308@EXAMPLE.com")
    assert not same_mailbox("a" * 300 + "é", "a" * 300 + "è")
    assert folded("É" * 300) == "é" * 300
    assert normalize("É" * 300) == "e" * 300, "one character at a time"


kinds = st.sampled_from(
    [JSON, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "multipart/form-data",
     "multipart/form-data; boundary=\"", "multipart/form-data; boundary=b; charset=utf-16", "APPLICATION/JSON; charset=x",
     "application/x-www-form-urlencoded; charset=\xff", "multipart/form-data; boundary=b; boundary*=''%00"]
)  # fmt: skip
pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\\u0000", b"\\ud800", b"1e999", b"NaN", b"9" * 5000, b'"username"',
     b'"csrfToken"', b"username=", b"&", b"=", b"%", b"%00", b"%ff", b"\xff", b"\0", b"--b\r\n", b"--b--", b"\r\n", b"\r\n\r\n",
     b"Content-Disposition: form-data; name=\"username\"", b"; filename=\"x\"", b"; filename*=UTF-8''%ff", b"a" * 300]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=kinds, body=st.lists(pieces | st.binary(max_size=8), max_size=25).map(b"".join))
def test_any_bytes_are_a_4xx(browser: Client, nobody: Client, kind: str, body: bytes) -> None:
    headers = {CSRF: token_of(nobody), "Content-Type": kind.encode("latin-1")}
    for path in ("/api/login", "/login"):
        assert 400 <= nobody.post(path, content=body, headers=headers).status_code < 500
    # Without the header, the token is looked for in the body.
    assert browser.post("/change", content=body, headers={"Content-Type": headers["Content-Type"]}).status_code in (
        401,
        403,
    )


def token_of(browser: Client) -> str:
    if not hasattr(browser, "known"):
        browser.known = browser.token()  # type: ignore[attr-defined]
    return str(browser.known)  # type: ignore[attr-defined]


@settings(max_examples=500, deadline=None)
@given(body=st.lists(pieces | st.binary(max_size=8), max_size=25).map(b"".join))
def test_json_is_parsed_or_refused_for_its_content(body: bytes) -> None:
    try:
        fields = jsonbody.parse_fields(body)
    except jsonbody.BadFields:
        return
    assert fields == json.loads(body)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_number_that_json_lacks_is_stored(kind: str, request: pytest.FixtureRequest) -> None:
    """In a column of the application's own, neither from JSON nor as the text of a form, which a database would convert."""
    engine = open_engine(request.getfixturevalue(f"{kind}_url"))
    columns = [sa.Column("height", sa.Float), sa.Column("price", sa.Numeric(10, 2))]
    users = SqlAlchemyUserStorage(engine, {"user_editable_fields": ["height", "price"], "extra_columns": columns})
    server = make_server(users, SqlAlchemyKeyStorage(engine))
    with serve(server.app) as url, Client(url) as client:
        client.sign_up()
        assert client.submit("/api/updateuser", user_height="1.5").status_code == 200
        assert name_of(client.submit("/api/updateuser", user_price="1e999")) == "BadRequest"
        for text in ("1e999", "-1e999", "inf", "Infinity", "nan", "9" * 500, "much"):
            assert name_of(client.submit("/api/updateuser", user_height=text)) == "BadRequest", text
            assert name_of(post(client, "/api/updateuser", b'{"user_height": %s}' % text.encode())) == "BadRequest", (
                text
            )
        assert client.get("/api/userforsessionkey").json()["user"]["height"] == 1.5
        assert client.submit("/api/updateuser", user_height="").status_code == 200
        assert client.get("/api/userforsessionkey").json()["user"]["height"] is None
