"""Holes that were found in other libraries, tried on ours. Each test is named after its identifier."""

import asyncio
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SessionCookie,
)
from tests.support import CHEAP, CSRF, PASSWORD, SECRET, Client, make_server

OUTSIDE = (
    "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
    "/\t/evil.example", "/%0d%0aSet-Cookie:x=1", "http:evil.example", " //evil.example", "/a\r\nb", "///evil.example",
)  # fmt: skip


def at(users: InMemoryUserStorage, keys: InMemoryKeyStorage | None = None) -> TestClient:
    return TestClient(make_server(users, keys).app, base_url="https://testserver")


def post(client: TestClient, path: str, **fields: Any) -> Any:
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    return client.post(path, json=fields, headers={CSRF: token})


@pytest.mark.parametrize("target", OUTSIDE)
def test_cve_2026_27982_a_redirect_after_login_stays_on_the_site(client: Client, target: str) -> None:
    client.sign_up()
    for answer in (
        client.get("/login", params={"next": target}),
        client.submit("/logout", next=target),
        client.submit("/login", username="alice", password=PASSWORD, next=target),
    ):
        assert answer.status_code in (302, 303)
        location = answer.headers["location"]
        assert location == "/" or (location.startswith("/") and location[1:2] not in ("/", "\\")), location
        assert "evil.example" not in location or location.startswith("/%0d")
        assert "\r" not in location
        assert "\n" not in location


def test_cve_2019_19844_names_that_differ_by_unicode_case_only_are_one_name(client: Client) -> None:
    assert client.sign_up("mike", user_email="mike@example.org").status_code == 200
    client.call("/api/logout")
    for username, email in (
        ("ＭIKE", "other@example.org"),
        ("mıke2", "MIKE@example.org"),
        ("mi\u212ae", "x@example.org"),
    ):
        answer = client.sign_up(username, user_email=email)
        assert (answer.status_code, answer.json()["errorCodeName"]) == (400, "UserExists"), username


def test_0_54_0_and_65_3_0_nobody_and_a_wrong_password_are_the_same_answer_after_the_same_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users, checked = InMemoryUserStorage(), []
    client = at(users)
    post(client, "/api/signup", username="alice", password=PASSWORD)
    post(client, "/api/logout")
    inner = LocalPasswordAuthenticator.authenticate_user

    async def counted(self: Any, user: Any, secrets: Any, params: Any) -> None:
        checked.append(user is None)
        await inner(self, user, secrets, params)

    monkeypatch.setattr(LocalPasswordAuthenticator, "authenticate_user", counted)
    answers = [
        post(client, "/api/login", username=name, password="Wrong1password") for name in ("alice", "nobody")
    ]  # fmt: skip
    assert checked == [False, True]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].json() == answers[1].json()
    assert set(answers[0].headers) == set(answers[1].headers)


def test_0_56_1_a_login_hook_that_fails_ends_the_login() -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("the hook is broken")

    for hook in ("add_to_session", "validate_session"):
        users = InMemoryUserStorage()
        post(at(users), "/api/signup", username="alice", password=PASSWORD)
        server = make_server(users, **{hook: broken})
        client = TestClient(server.app, base_url="https://testserver", raise_server_exceptions=False)
        answer = post(client, "/api/login", username="alice", password=PASSWORD)
        after = client.get("/me").status_code
        assert after in (401, 500), hook
        if hook == "add_to_session":
            assert answer.status_code == 500
            assert "broken" not in answer.text
            assert "SESSIONID" not in client.cookies


def test_65_11_1_an_account_without_a_password_cannot_be_entered_with_an_empty_one() -> None:
    users = InMemoryUserStorage()
    client = at(users)
    asyncio.run(users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"}, {}))
    asyncio.run(users.create_user({"username": "bob", "state": "active", "factor1": "localpassword"}, {"password": ""}))
    for username in ("alice", "bob"):
        for fields in ({"password": ""}, {"password": None}, {}, {"password": "x"}):
            answer = post(client, "/api/login", username=username, **fields)
            assert answer.status_code in (400, 401)
            assert client.get("/me").status_code == 401


def test_cve_2025_65430_a_disabled_user_is_out_at_once() -> None:
    users = InMemoryUserStorage()
    client = at(users)
    post(client, "/api/signup", username="alice", password=PASSWORD)
    assert client.get("/me").status_code == 200
    asyncio.run(users.update_user({"id": 1, "state": "disabled"}))
    assert client.get("/me").status_code == 401


def test_ghsa_2vg6_77g8_24mp_a_deleted_user_leaves_no_key_behind() -> None:
    users, keys = InMemoryUserStorage(), InMemoryKeyStorage()
    first, second = at(users, keys), at(users, keys)
    post(first, "/api/signup", username="alice", password=PASSWORD)
    post(second, "/api/login", username="alice", password=PASSWORD)
    asyncio.run(keys.save_key(1, "api:something", None, None))  # type: ignore[arg-type]
    assert post(first, "/api/deleteuser").status_code == 200
    assert asyncio.run(keys.get_all_for_user(1)) == []
    assert second.get("/me").status_code == 401


@pytest.mark.parametrize("field", ["userid", "user_id", "id", "user_username", "username"])
def test_cve_2025_61928_an_id_in_the_body_is_no_session(client: Client, other: Client, field: str) -> None:
    client.sign_up()
    victim = client.get("/api/userforsessionkey").json()["user"]["id"]
    for path in ("/api/changepassword", "/api/updateuser", "/api/deleteuser"):
        value = "alice" if "name" in field else victim
        answer = other.call(path, **{field: value, "user_email": "x@example.org", "new_password": "Another1one"})
        assert answer.status_code == 401
    assert client.who() == "alice"
    other.sign_up("bob")
    other.call("/api/deleteuser", **{field: "alice" if "name" in field else victim})
    assert client.who() == "alice", "nobody is deleted but who is logged in"


@pytest.mark.parametrize("value", ["Bearer", "Bearer\t\t.", "Basic %%%", "Basic", "Bearer a b c", ",", "Bearer \xff"])
def test_ghsa_xmf8_cvqr_rfgj_a_malformed_authorization_header_is_nobody(client: Client, value: str) -> None:
    headers = {"Authorization": value.encode("latin-1")}
    assert client.get("/me", headers=headers).status_code == 401
    assert client.get("/maybe", headers=headers).json() == {"username": None}


def test_better_auth_9806_the_host_cookie_wins() -> None:
    users = InMemoryUserStorage()
    client = at(users)
    post(client, "/api/signup", username="alice", password=PASSWORD)
    ours = client.cookies["__Host-SESSIONID"]
    for planted in (f"SESSIONID=planted; __Host-SESSIONID={ours}", f"__Host-SESSIONID={ours}; SESSIONID=planted"):
        client.cookies.clear()
        assert client.get("/me", headers={"Cookie": planted}).json() == {"username": "alice"}


def test_0_63_4_no_repr_shows_a_secret() -> None:
    users, keys = InMemoryUserStorage(), InMemoryKeyStorage()
    user = asyncio.run(
        users.create_user({"username": "alice", "state": "active", "factor1": "f"}, {"password": "the-hash"})
    )
    found = asyncio.run(users.get_user_by_id(user.id))
    sessions = SessionCookie(keys, {"secret": SECRET})
    key = asyncio.run(sessions.create_session_key(user.id, data={"a": "private"}))
    cookie = sessions.make_cookie(key)
    server = make_server(users, keys)
    for thing in (found, found.secrets, key, cookie, sessions, sessions.settings, sessions.cookie, server.session_server,
                  server.session_server.session_manager, LocalPasswordAuthenticator(users, CHEAP | {"secret": SECRET})):  # type: ignore[union-attr]  # fmt: skip
        for text in (repr(thing), str(thing)):
            for secret in ("the-hash", key.value, cookie.value, SECRET, "private"):
                assert secret not in text, type(thing)


MULTIPART = (
    b"--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nalice",
    b"--x\r\n" * 20000,
    b"--x\r\nContent-Disposition: form-data\r\n\r\nalice\r\n--x--\r\n",
    b"--x\r\nContent-Disposition: form-data; name=\"username\"; filename=\"../../etc/passwd\"\r\n\r\nalice\r\n--x--\r\n",
    b"--x\r\n" + b"A: b\r\n" * 50000 + b"\r\n\r\n--x--\r\n",
    b"--y\r\n\r\n--y--",
    b"\r\n" * 100000 + b"--x--",
    b"",
)  # fmt: skip


@pytest.mark.parametrize("body", MULTIPART, ids=range(len(MULTIPART)))
@pytest.mark.parametrize("boundary", ["; boundary=x", "", "; boundary=", "; boundary=" + "x" * 100000])
def test_cve_2024_53981_and_cve_2026_24486_malformed_multipart_is_refused(
    client: Client, body: bytes, boundary: str
) -> None:
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    assert 400 <= client.post("/api/login", content=body, headers=headers).status_code < 500
    token = client.token()
    assert 400 <= client.post("/api/login", content=body, headers={**headers, CSRF: token}).status_code < 500


def test_own_findings_bcrypt_and_unknown_hashes_are_refused_and_not_an_error() -> None:
    users = InMemoryUserStorage()
    client = at(users)
    for username, encoded in (
        ("long", "$2b$04$abcdefghijklmnopqrstuuN0CbXqmaMVYkrXtFVwZyfPaYqgoDXoK"),
        ("unknown", "$9$whatever"),
        ("text", "Correct1horse"),
        ("nothing", "!"),
    ):
        asyncio.run(
            users.create_user(
                {"username": username, "state": "active", "factor1": "localpassword"}, {"password": encoded}
            )
        )
        for password in (PASSWORD, "x" * 100):
            answer = post(client, "/api/login", username=username, password=password)
            assert (answer.status_code, answer.json()["errorCodeName"]) == (401, "UsernameOrPasswordInvalid")


@pytest.mark.parametrize("cookie", [b"caf\xe9", b"\xf0\x9f\x92\xa9", b"a.b\xff", b"\x80" * 500])
def test_own_findings_a_csrf_cookie_that_is_not_ascii_is_no_token(client: Client, cookie: bytes) -> None:
    headers = {b"Cookie": b"CSRFTOKEN=" + cookie, CSRF.encode(): b"x"}
    answer = client.post("/api/login", json={"username": "a", "password": "b"}, headers=headers)
    assert (answer.status_code, answer.json()["errorCodeName"]) == (401, "InvalidCsrf")


def test_own_findings_sessions_end_with_the_password_they_were_opened_with(client: Client, other: Client) -> None:
    client.sign_up()
    other.log_in()
    assert other.who() == "alice"
    changed = client.call("/api/changepassword", old_password=PASSWORD, new_password="Another1one")
    assert changed.status_code == 200
    assert (client.who(), other.who()) == ("alice", None)


def test_own_findings_no_token_is_stored_as_it_is_sent() -> None:
    keys = InMemoryKeyStorage()
    client = at(InMemoryUserStorage(), keys)
    post(client, "/api/signup", username="alice", password=PASSWORD)
    session_id = client.cookies["__Host-SESSIONID"].split(".")[0]
    (key,) = asyncio.run(keys.get_all_for_user(1))
    assert session_id not in key.value
