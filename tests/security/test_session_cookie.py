"""The session cookie: what it looks like, which ones are believed, and when one ends (decisions of the design)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import (
    CrossauthError,
    ErrorCode,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SessionManager,
)
from crossauth_fastapi import FastApiServer
from tests.support import CSRF, PASSWORD, SECRET, Client, make_server


def set_cookies(response: Any) -> dict[str, str]:
    found = {}
    for name, value in response.headers.multi_items():
        if name == "set-cookie":
            found[value.split("=", 1)[0]] = value
    return found


def remote(server: FastApiServer) -> TestClient:
    """A client on https, which is where cookies must be at their strictest."""
    return TestClient(server.app, base_url="https://accounts.example.com")


def signed_up(server: FastApiServer) -> tuple[TestClient, dict[str, str]]:
    client = remote(server)
    token = client.get("/api/getcsrftoken").json()["csrfToken"]
    answer = client.post("/api/signup", json={"username": "alice", "password": PASSWORD}, headers={CSRF: token})
    return client, set_cookies(answer)


@pytest.mark.parametrize("options", [{}, {"site_url": "https://accounts.example.com"}])
def test_on_https_cookies_are_host_only_secure_and_out_of_reach_of_scripts(options: dict[str, Any]) -> None:
    _, cookies = signed_up(make_server(**options))
    assert set(cookies) == {"__Host-SESSIONID", "__Host-CSRFTOKEN", "__Host-KNOWNDEVICE"}
    for cookie in cookies.values():
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "path=/", "samesite=lax"} <= attributes
        assert not any(a.startswith("domain=") for a in attributes)


def test_on_localhost_cookies_work_on_plain_http(client: Client) -> None:
    cookies = set_cookies(client.sign_up())
    assert set(cookies) == {"SESSIONID", "CSRFTOKEN", "KNOWNDEVICE"}
    assert all("secure" not in c.lower() and "httponly" in c.lower() for c in cookies.values())


def test_a_cookie_that_a_subdomain_could_plant_is_not_read_on_https() -> None:
    server = make_server()
    client, _ = signed_up(server)
    value = client.cookies["__Host-SESSIONID"]
    planted = remote(server)
    assert planted.get("/me", headers={"Cookie": f"SESSIONID={value}"}).status_code == 401
    assert planted.get("/me", headers={"Cookie": f"__Host-SESSIONID={value}"}).status_code == 200


def test_plain_http_elsewhere_is_refused_unless_said_by_name() -> None:
    with pytest.raises(CrossauthError, match="plain http"):
        make_server(site_url="http://accounts.example.com")
    weak = {"secure": False}
    server = make_server(
        site_url="http://accounts.example.com", session_cookie_options=weak, double_submit_cookie_options=weak
    )
    _, cookies = signed_up(server)
    assert set(cookies) == {"SESSIONID", "CSRFTOKEN", "KNOWNDEVICE"}


def test_a_configured_name_is_kept() -> None:
    _, cookies = signed_up(make_server(session_cookie_options={"cookie_name": "sid", "sameSite": "strict"}))
    assert "SameSite=strict" in cookies["sid"]
    assert "Secure" in cookies["sid"]


@pytest.mark.parametrize(
    "options",
    [
        {"session_cookie_options": {"sameSite": "none", "secure": False}},
        {"session_cookie_options": {"cookie_name": "__Host-sid", "domain": "example.com"}},
        {"session_cookie_options": {"hash_session_id": False}},
        {"session_cookie_options": {"sameSite": "lex"}},
        {"secret": "short"},
        {"secret": None},
        {"site_url": "accounts.example.com"},
    ],
)
def test_unsafe_configuration_does_not_start(options: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError) as refused:
        make_server(**options)
    assert refused.value.code is ErrorCode.Configuration


def test_the_storage_never_sees_a_session_id() -> None:
    keys = InMemoryKeyStorage()
    client, _ = signed_up(make_server(keys=keys))
    session_id = client.cookies["__Host-SESSIONID"].split(".")[0]
    assert len(session_id) == 43, "256 bits"
    assert session_id not in repr(vars(keys))


@pytest.mark.parametrize(
    "value",
    ["", ".", "x", "x.y", "é", "a" * 5000, "..", '"quoted"', "%00", "null", "\udcff".encode("utf-8", "surrogatepass")],
)
def test_garbage_in_cookies_is_nobody(client: Client, value: str | bytes) -> None:
    raw = value if isinstance(value, bytes) else value.encode()
    for name in (b"SESSIONID=", b"CSRFTOKEN="):
        answer = client.get("/api/userforsessionkey", headers={"Cookie": name + raw})
        assert (answer.status_code, answer.json()["user"]) == (200, None)
        answer = client.post("/api/login", json={"username": "a"}, headers={"Cookie": name + raw, CSRF: "x.y"})
        assert (answer.status_code, answer.json()["errorCodeName"]) == (403, "InvalidCsrf")


def test_an_id_we_did_not_issue_is_never_adopted(client: Client) -> None:
    client.sign_up()
    good = client.cookies["SESSIONID"]
    session_id, signature = good.split(".")
    client.cookies.clear()
    for forged in (session_id, f"{session_id}.", f"{session_id}.{'A' * 43}", f"{'A' * 43}.{signature}"):
        client.cookies.set("SESSIONID", forged)
        answer = client.get("/me")
        assert answer.status_code == 401
        assert "SESSIONID" not in set_cookies(answer), "it may be another application's"
        client.cookies.clear()
    client.cookies.set("SESSIONID", good)
    assert client.get("/me").status_code == 200


def test_login_changes_the_session_id_and_ends_the_old_session(client: Client, base_url: str) -> None:
    client.sign_up()
    client.call("/api/logout")
    client.post("/anonymous", headers={CSRF: client.token()})
    planted = client.cookies["SESSIONID"]
    client.log_in()
    assert client.cookies["SESSIONID"] != planted
    with Client(base_url) as attacker:
        attacker.cookies.set("SESSIONID", planted)
        assert attacker.get("/basket").json() == {"value": None}
        assert attacker.who() is None


def test_a_copied_cookie_is_worth_nothing_after_logout(client: Client) -> None:
    client.sign_up()
    copied = client.cookies["SESSIONID"]
    client.call("/api/logout")
    client.cookies.set("SESSIONID", copied)
    assert client.get("/me").status_code == 401


async def manager_at(clock: Any, **options: Any) -> tuple[SessionManager, InMemoryUserStorage, str]:
    users = InMemoryUserStorage()
    user = await users.create_user({"username": "alice", "state": "active", "factor1": "localpassword"})
    manager = SessionManager(
        InMemoryKeyStorage(),
        {"localpassword": LocalPasswordAuthenticator(users)},
        {"user_storage": users, "secret": SECRET, "session_cookie_options": options},
        clock,
    )
    key = await manager.session.create_session_key(user.id)
    return manager, users, key.value


class Now:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **duration: float) -> None:
        self.time += timedelta(**duration)


async def test_a_session_ends_at_its_absolute_timeout_however_much_it_is_used() -> None:
    now = Now()
    manager, _, session_id = await manager_at(now, maxAge=3600)
    for _ in range(59):
        now.pass_(minutes=1)
        await manager.user_for_session_id(session_id)
    now.pass_(minutes=1)
    with pytest.raises(CrossauthError) as refused:
        await manager.user_for_session_id(session_id)
    assert refused.value.code is ErrorCode.Expired


async def test_a_session_ends_when_it_is_idle_and_lives_while_it_is_used() -> None:
    now = Now()
    manager, _, session_id = await manager_at(now, idle_timeout=600)
    for _ in range(20):
        now.pass_(minutes=9)
        await manager.user_for_session_id(session_id)
    now.pass_(minutes=10)
    with pytest.raises(CrossauthError) as refused:
        await manager.user_for_session_id(session_id)
    assert refused.value.code is ErrorCode.Expired


@pytest.mark.parametrize("state", ["disabled", "passwordchangeneeded", "passwordresetneeded", "unheard-of"])
async def test_a_session_ends_when_its_user_is_no_longer_active(state: str) -> None:
    manager, users, session_id = await manager_at(Now())
    await manager.user_for_session_id(session_id)
    await users.update_user({"id": 1, "state": state})
    with pytest.raises(CrossauthError):
        await manager.user_for_session_id(session_id)


async def test_a_session_ends_with_its_user() -> None:
    manager, users, session_id = await manager_at(Now())
    await users.delete_user_by_id(1)
    with pytest.raises(CrossauthError) as refused:
        await manager.user_for_session_id(session_id)
    assert refused.value.code is ErrorCode.InvalidSession


def test_a_hook_may_refuse_a_session_and_nobody_is_logged_in_then() -> None:
    def refuse(key: Any, user: Any, request: Any) -> None:
        assert (user.username, request.url.path) == ("alice", "/me")
        raise CrossauthError(ErrorCode.InvalidSession)

    client, _ = signed_up(make_server(validate_session=refuse))
    assert client.get("/me").status_code == 401


def test_two_servers_on_one_application_are_a_mistake() -> None:
    app = FastAPI()
    make_server(app=app)
    with pytest.raises(CrossauthError, match="already has a session server"):
        make_server(app=app)
