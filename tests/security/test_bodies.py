"""Every body is answered, whatever is in it: 4xx in the documented shape, never 500."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossauth_backend import DEFAULT_LIMITS
from crossauth_fastapi.fastapisession import default_create_user
from tests.accounts import Browser, World
from tests.fastapi_users.conftest import open_site
from tests.support import CSRF, PASSWORD, Client

ENDPOINTS = ["login", "signup", "logout", "changepassword", "updateuser", "deleteuser"]
BAD: list[tuple[str, str, bytes, int]] = [
    ("not JSON", "application/json", b"{", 400),
    ("not UTF-8", "application/json", b'{"username": "\xff"}', 400),
    ("JSON, no object", "application/json", b"[1]", 400),
    ("JSON null", "application/json", b"null", 400),
    ("NaN", "application/json", b'{"username": NaN}', 400),
    ("huge number", "application/json", b'{"username": ' + b"9" * 6000 + b"}", 400),
    ("deep", "application/json", b'{"a":' * 9000 + b"1" + b"}" * 9000, 400),
    ("repeated JSON field", "application/json", b'{"username": "a", "username": "b"}', 400),
    ("NUL", "application/json", b'{"username": "a\\u0000b"}', 400),
    ("unpaired surrogate", "application/json", b'{"username": "\\ud800"}', 400),
    ("surrogate in a name", "application/json", b'{"\\udfff": 1}', 400),
    ("nested surrogate", "application/json", b'{"user_x": {"a": ["\\ud800"]}}', 400),
    ("text", "text/plain", b"username=a", 415),
    ("XML", "application/xml", b"<a/>", 415),
    ("no type", "", b"username=a", 415),
    ("repeated form field", "application/x-www-form-urlencoded", b"username=a&username=b", 400),
    ("form, not UTF-8", "application/x-www-form-urlencoded", b"username=%ff", 400),
    ("form, raw bytes", "application/x-www-form-urlencoded", b"username=\xff", 400),
    ("form, NUL", "application/x-www-form-urlencoded", b"username=a%00", 400),
    ("form, many fields", "application/x-www-form-urlencoded", b"&".join(b"a%d=1" % i for i in range(500)), 400),
    ("multipart without boundary", "multipart/form-data", b"x", 400),
    ("multipart garbage", "multipart/form-data; boundary=b", b"--b\r\ngarbage", 400),
    ("too large", "application/json", b'{"username": "' + b"a" * 70_000 + b'"}', 413),
    ("too large form", "application/x-www-form-urlencoded", b"username=" + b"a" * 70_000, 413),
]


@pytest.mark.parametrize(("kind", "body", "status"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_bodies(client: Client, kind: str, body: bytes, status: int) -> None:
    client.sign_up()
    headers = {CSRF: client.token(), "Content-Type": kind}
    for name in ENDPOINTS:
        answer = client.post(f"/api/{name}", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.json()["errorCodeName"] == "BadRequest"
        assert set(answer.json()) == {"ok", "errorMessage", "errorMessages", "errorCode", "errorCodeName"}
        page = client.post(f"/{name}", content=body, headers=headers)
        assert page.status_code == status
        assert page.headers["content-type"].startswith("text/html")
    assert client.who() == "alice"


PART = b'--b\r\nContent-Disposition: form-data; name="username"\r\n\r\nx'
BROKEN_FORMS = {
    "no CR": b"--b\nx",
    "no boundary": b"xx",
    "no LF": b"--b\rx",
    "bad header": b"--b\r\na b: c\r\n\r\nx",
    "no LF after a header": b"--b\r\na: b\rx",
    "no LF after the headers": b"--b\r\na: b\r\n\rx",
    "text after a boundary": PART + b"\r\n--bx\r\n",
    "padding": PART + b"\r\n--b \tx",
    "bad end": b"--b-x",
    "many headers": b"--b\r\n" + b"a: b\r\n" * 500,
}


def _answer_unlogged(client: Client, path: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    for name, body in BROKEN_FORMS.items():
        # With an end, so that it is complete where only that is looked for.
        for end in (b"", b"\r\n--b--\r\n"):
            for kind in ("multipart/form-data; boundary=b", "Multipart/Form-Data ;boundary=b"):
                answer = client.post(path, content=body + end, headers={**headers, "Content-Type": kind})
                assert answer.status_code < 500, name
                assert [r.getMessage() for r in caplog.records if "multipart" in r.name] == [], (path, name)


def test_a_broken_form_writes_no_line_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can send as many as they like, before any limit counts them; the parser warns of each by itself."""
    caplog.set_level("INFO")
    with open_site(tmp_path) as api:
        for path in ("/auth/cookie/login", "/auth/jwt/login", "/auth/register"):
            _answer_unlogged(api, path, {}, caplog)
        answer = api.post("/auth/jwt/login", files={"username": (None, "a"), "password": (None, "b")})
        assert answer.status_code == 400
        assert answer.json()["detail"] == "LOGIN_BAD_CREDENTIALS", "a form that is whole is read"


def test_a_broken_form_of_a_session_writes_no_line_to_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The session server's own endpoints, and the application's, in whose forms the token is looked for."""
    caplog.set_level("INFO")
    client.sign_up()
    for headers in ({}, {CSRF: client.token()}):
        for path in ("/login", "/api/login", "/api/changepassword", "/nothing"):
            _answer_unlogged(client, path, headers, caplog)


@pytest.mark.parametrize("value", [1, True, None, [], {}, ["a"], 1.5, ""])
@pytest.mark.parametrize("name", ["login", "signup", "changepassword"])
def test_fields_of_the_wrong_type_name_the_field_or_count_as_missing(client: Client, name: str, value: Any) -> None:
    client.sign_up("bob")
    if name != "changepassword":
        client.call("/api/logout")
    for field in ("username", "password", "old_password", "new_password", "repeat_password", "next", "persist"):
        good = {"username": "carol", "password": PASSWORD, "old_password": PASSWORD, "new_password": "Another1one"}
        answer = client.call(f"/api/{name}", **{**good, field: value})
        assert answer.status_code < 500, answer.text
        if answer.status_code != 200:
            assert answer.json()["errorCodeName"] in (
                "BadRequest", "FormEntry", "PasswordFormat", "UsernameOrPasswordInvalid", "PasswordMatch", "UserExists",
                "Unauthorized",
            )  # fmt: skip
        else:
            client.call("/api/logout")


def test_a_chunked_body_without_length_is_limited_too(client: Client) -> None:
    def chunks() -> Any:
        yield b'{"username": "'
        for _ in range(100):
            yield b"a" * 1024
        yield b'"}'

    answer = client.post(
        "/api/login", content=chunks(), headers={"Content-Type": "application/json", CSRF: client.token()}
    )
    assert answer.status_code == 413


def test_a_large_upload_to_the_application_passes_untouched(client: Client) -> None:
    client.sign_up()
    body = b"x" * 300_000
    answer = client.post("/change", content=body, headers={CSRF: client.token(), "Content-Type": "application/json"})
    assert answer.json()["body"] == body.decode()
    without = client.post("/change", content=body, headers={"Content-Type": "application/json"})
    assert without.status_code == 403, "and without a token in the header it is not read to look for one"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
field_names = st.sampled_from(
    ["username", "password", "repeat_password", "old_password", "new_password", "next", "persist", "factor1", "factor2",
     "user_email", "user_nickname", "user_id", "csrfToken", "csrf_token", "required"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(ENDPOINTS), fields=st.dictionaries(field_names, json_values, max_size=6))
def test_no_json_object_is_a_500(client: Client, name: str, fields: dict[str, Any]) -> None:
    body = json.dumps(fields).encode()
    headers = {CSRF: client.token(), "Content-Type": "application/json"}
    for face in ("/", "/api/"):
        assert client.post(face + name, content=body, headers=headers).status_code < 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), kind=st.sampled_from([b[1] for b in BAD]), cookie=st.binary(max_size=40))
def test_no_bytes_are_a_500(client: Client, body: bytes, kind: str, cookie: bytes) -> None:
    cookie = bytes(c for c in cookie if c > 32 and c != 127)
    headers = [(b"Cookie", b"SESSIONID=" + cookie + b"; CSRFTOKEN=" + cookie), (b"Content-Type", kind.encode())]
    assert client.post("/api/login", content=body, headers=headers).status_code in (400, 401, 403, 413, 415)


FURTHER = ["loginfactor2", "configurefactor2", "changefactor2", "factor2", "cancelfactor2", "recoverycodes", "sessions",
           "requestpasswordreset", "resetpassword", "signup", "updateuser", "admin/createuser", "admin/updateuser/1",
           "admin/updateuser/x", "admin/changepassword/1", "admin/deleteuser/999"]  # fmt: skip
further_names = st.sampled_from(
    ["username", "otp", "token", "recovery_code", "factor2", "email", "new_password", "repeat_password", "state", "session",
     "all", "persist", "next", "user_email", "user_phone", "password"]
)  # fmt: skip
odd_texts = st.sampled_from(
    ["", "\0", "\ud800", "a" * 5000, "١٢٣٤٥٦", "123456", "totp", "email", "none", "active", "a@b.example"]
)


@pytest.fixture(scope="module", params=["nobody", "alice", "waiting", "administrator"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser of nobody, of a user, of one who is asked for a second factor, or of an administrator."""
    world = World(
        attempt_limits=dict.fromkeys(DEFAULT_LIMITS), enable_email_verification=False, factor2_protected_api_endpoints=[],
        create_user_fn=lambda request, body, editable, factors: {
            **default_create_user(request, body, editable, factors),
            "admin": body["username"] == "administrator",
        },
    )  # fmt: skip
    with world.open() as url, Browser(url) as browser:
        if request.param != "nobody":
            browser.sign_up(request.param, factor2="none", user_email="alice@example.com")
        if request.param == "waiting":
            browser.add_totp(world)
            browser.call("/api/logout")
            browser.asked("waiting")
        yield browser


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FURTHER), fields=st.dictionaries(further_names, json_values | odd_texts, max_size=5))
def test_no_fields_of_the_further_endpoints_are_a_500(somebody: Browser, name: str, fields: dict[str, Any]) -> None:
    headers = {CSRF: somebody.token(), "Content-Type": "application/json"}
    path = f"/admin/api/{name[6:]}" if name.startswith("admin/") else f"/api/{name}"
    assert somebody.post(path, content=json.dumps(fields).encode(), headers=headers).status_code < 500
    form = {n: str(v).encode("utf-8", "surrogatepass") for n, v in fields.items()}
    assert somebody.post(f"/{name}", data=form, headers={CSRF: somebody.token()}).status_code < 500
    query = {n: str(v).encode("utf-8", "replace").decode() for n, v in fields.items()}
    for page in (f"/{name}", path):
        assert somebody.get(page, params=query).status_code < 500


@pytest.mark.parametrize("value", [["x"], [1], {"a": 1}, [], 1e300, True, None])
def test_what_no_form_could_have_sent_is_not_shown_again(somebody: Browser, value: Any) -> None:
    """A page shows again what was typed, and JSON can hold more than a form."""
    for name in (*ENDPOINTS, *FURTHER, "resetpassword/x", "verifyemail/x"):
        fields = dict.fromkeys(("next", "username", "email", "required", "persist", "user_email"), value)
        for token in ({}, {CSRF: somebody.token()}):
            answer = somebody.post(f"/{name}", json=fields, headers={"Accept": "text/html", **token})
            assert answer.status_code < 500, (name, answer.text)


@pytest.mark.parametrize("path", ["/api/login", "/login", "/api/signup", "/own"])
async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_fault(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    world, said = World(), []

    @world.server.app.post("/own")
    async def own(request: Request) -> int:
        return len(await request.body())

    async def receive() -> Any:
        return {"type": "http.disconnect"} if said else said.append(1) or {
            "type": "http.request", "body": b"{", "more_body": True,
        }  # fmt: skip

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"50")],
    }  # fmt: skip
    await world.server.app(scope, receive, send)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
