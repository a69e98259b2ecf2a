"""Holes that were found in other libraries, tried on ours. Each test is named after its identifier."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SessionCookie,
)
from crossauth_fastapi._session.guards import RESERVED_DATA
from tests.accounts import NEW, Browser, World, name_of
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
    assert (answer.status_code, answer.json()["errorCodeName"]) == (403, "InvalidCsrf")


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


def test_cve_2019_19844_a_reset_goes_to_the_stored_address_only() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(user_email="mike@example.org", factor2="none")
        for typed in ("MIKE@example.org", "m\u0131ke@example.org", "mi\u212ae@example.org"):
            assert browser.call("/api/requestpasswordreset", email=typed).status_code in (200, 400)
        assert {mail["to"] for mail in browser.mail()} == {"mike@example.org"}


@pytest.mark.parametrize("sign", ["\uff20", "\ufe6b"])
def test_ghsa_7rqj_j65f_68wh_an_address_is_normalised_before_it_is_checked(sign: str) -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(user_email="victim@example.org", factor2="none")
        typed = f"victim@example.org{sign}evil.example"
        assert browser.call("/api/requestpasswordreset", email=typed).status_code == 400
        assert name_of(browser.call("/api/updateuser", user_email=typed)) == "InvalidEmail"
        assert browser.mail() == []


def test_0_44_0_and_0_51_0_case_and_form_do_not_reset_a_counter() -> None:
    world = World(attempt_limits={"login_account": (3, 900)})
    with world.open() as url, Browser(url) as browser:
        names = ("alice", "ALICE", "\uff21lice", "alice ")
        statuses = [browser.log_in(name, "Wrong1password").status_code for name in names]
        assert statuses == [401] * 3 + [429]


def test_65_14_2_a_forged_forwarding_header_is_no_address() -> None:
    world = World(attempt_limits={"login_address": (3, 900)})
    with world.open() as url, Browser(url) as browser:
        token = browser.token()
        statuses = [
            browser.post(
                "/api/login", json={"username": f"user{n}", "password": "x"},
                headers={CSRF: token, "X-Forwarded-For": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}",
                         "X-Real-IP": f"192.0.2.{n}"},
            ).status_code
            for n in range(5)
        ]  # fmt: skip
        assert statuses == [401] * 3 + [429] * 2


def test_cve_2026_45364_addresses_of_one_ipv6_network_are_one() -> None:
    world = World(attempt_limits={"login_address": (3, 900)}, trusted_proxies=["127.0.0.1"])
    spellings = ("2001:db8:1:2::1", "2001:0db8:0001:0002:0000:0000:0000:0002", "2001:DB8:1:2:ffff::", "2001:db8:1:2::9")
    with world.open() as url, Browser(url) as browser:
        token = browser.token()

        def attempt(address: str) -> int:
            headers = {CSRF: token, "X-Forwarded-For": address}
            body = {"username": address[:40], "password": "x"}
            return browser.post("/api/login", json=body, headers=headers).status_code

        assert [attempt(address) for address in spellings] == [401] * 3 + [429]
        assert attempt("2001:db8:1:3::1") == 401, "another network"
        assert [attempt(a) for a in ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "192.0.2.7")] == [401] * 3 + [
            429
        ]


def test_0_55_0_and_0_63_4_sign_up_and_change_of_address_do_not_say_who_is_known() -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as victim, Browser(url) as browser:
        victim.sign_up(user_email="victim@example.org", factor2="none")
        assert victim.call(f"/api{victim.link('victim@example.org')}").status_code == 200
        known = browser.sign_up("other", user_email="victim@example.org", factor2="none")
        fresh = browser.sign_up("another", user_email="fresh@example.org", factor2="none")
        assert known.status_code == fresh.status_code
        assert {**known.json(), "csrfToken": ""} == {**fresh.json(), "csrfToken": ""}
        assert set(known.headers) == set(fresh.headers)
        known_totp = browser.sign_up("third", user_email="victim@example.org", factor2="totp").json()
        fresh_totp = browser.sign_up("fourth", user_email="fourth@example.org", factor2="totp").json()
        assert known_totp.keys() == fresh_totp.keys()
        assert browser.mail("victim@example.org")[0]["subject"] == "You already have an account at localhost"


def test_65_2_0_tries_of_a_code_are_counted_to_the_maximum_at_once() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        secret, _ = browser.add_totp(world)
        browser.call("/api/logout")
        browser.asked()
        with ThreadPoolExecutor(20) as pool:
            token = browser.token()
            statuses = list(
                pool.map(
                    lambda n: browser.post("/api/loginfactor2", json={"otp": f"{n:06}"}, headers={CSRF: token}).status_code,
                    range(20),
                )
            )  # fmt: skip
        assert statuses.count(401) == 5
        assert statuses.count(429) == 15
        assert browser.give(world.code(secret)).status_code == 429


def test_65_12_1_an_address_is_not_ones_own_before_it_is_proven() -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as browser, Browser(url) as other:
        browser.sign_up(user_email="old@example.org", factor2="none")
        browser.call(f"/api{browser.link('old@example.org')}")
        browser.call("/api/updateuser", user_email="new@example.org")
        assert browser.get("/api/userforsessionkey").json()["user"]["email"] == "old@example.org"
        other.call("/api/requestpasswordreset", email="new@example.org")
        assert [m["subject"] for m in other.mail("new@example.org")] != ["Reset your localhost password"]
        other.call("/api/requestpasswordreset", email="old@example.org")
        assert other.mail("old@example.org")[0]["subject"] == "Reset your localhost password"


def test_64_2_1_an_account_whose_address_is_not_proven_sets_up_no_second_factor() -> None:
    world = World(enable_email_verification=True)
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(user_email="someone@example.org", factor2="none")
        assert browser.call("/api/changefactor2", factor2="totp").status_code == 401
        assert browser.get("/configurefactor2").status_code == 401


def test_0_34_0_the_old_password_is_always_needed() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(factor2="none")
        for fields in ({}, {"old_password": ""}, {"old_password": "Wrong1password"}):
            answer = browser.call("/api/changepassword", new_password=NEW, repeat_password=NEW, **fields)
            assert answer.status_code in (400, 401), fields
        browser.call("/api/logout")
        assert browser.log_in().status_code == 200


def test_better_auth_8067_an_old_code_does_not_outlive_a_new_login() -> None:
    world = World()
    with world.open() as url, Browser(url) as browser:
        browser.sign_up(user_email="alice@example.org", factor2="none")
        browser.call("/api/changefactor2", factor2="email")
        browser.call("/api/configurefactor2", otp=browser.mailed_code())
        browser.call("/api/logout")
        browser.asked()
        first = browser.mailed_code()
        browser.asked()
        second = browser.mailed_code()
        if first != second:
            assert name_of(browser.give(first)) == "InvalidToken"
        assert browser.give(second).status_code == 200
        browser.call("/api/logout")
        browser.asked()
        assert name_of(browser.give(second)) == "InvalidToken"


@pytest.mark.parametrize("name", RESERVED_DATA)
def test_own_findings_a_body_sets_no_reserved_session_data(name: str) -> None:
    world = World()
    planted = {"purpose": "login", "userid": 1, "username": "victim", "factor2_passed": True}
    fields = {name: planted, f"user_{name}": planted, "data": {name: planted}, f"data.{name}": planted}
    with world.open() as url, Browser(url) as browser:
        browser.sign_up("victim", factor2="none")
        browser.call("/api/logout")
        browser.sign_up("mallory", factor2="none")
        for path in ("updateuser", "configurefactor2", "changefactor2", "changepassword", "factor2", "deletesession"):
            assert browser.call(f"/api/{path}", **fields).status_code < 500
        session = world.manager.get_session_id(browser.cookies["SESSIONID"])
        stored = asyncio.run(world.manager.data_for_session_id(session)) or {}
        assert "victim" not in str(stored)
        browser.call("/api/logout")
        for path in ("login", "signup", "loginfactor2", "requestpasswordreset", "resetpassword"):
            assert browser.call(f"/api/{path}", username="mallory", password=PASSWORD, **fields).status_code < 500
            assert browser.who() in (None, "mallory")
            browser.call("/api/logout")
    assert all("victim" not in key.data for user in (1, 2) for key in asyncio.run(world.keys.get_all_for_user(user)))


@pytest.mark.parametrize("name", RESERVED_DATA)
def test_own_findings_an_application_cannot_set_it_by_accident(name: str) -> None:
    server = make_server()

    @server.app.post("/data")
    async def set_data(request: Request) -> None:
        await server.update_session_data(request, f"{name}.x", 1)

    client = TestClient(server.app, base_url="https://testserver")
    post(client, "/api/signup", username="alice", password=PASSWORD)
    answer = post(client, "/data")
    assert (answer.status_code, answer.json()["errorCodeName"]) == (400, "BadRequest")
