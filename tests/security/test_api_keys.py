"""API keys in the wrong hands or the wrong place: beside another user's cookie, in a URL, twice, torn, revoked."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, UserStorage
from crossauth_backend.events.record import EventName
from tests.accounts import Browser, World, name_of
from tests.support import CSRF, PASSWORD

ALICE, BOB = 1, 2


class CountingKeys(InMemoryKeyStorage):
    """Counts how often an API key is looked for."""

    reads = 0
    away = False

    def key_with_user_reader(self, users: UserStorage) -> Any:
        read = super().key_with_user_reader(users)
        assert read is not None

        async def count(value: str) -> Any:
            self.reads += value.startswith("api:")
            if self.away and value.startswith("api:"):
                raise CrossauthError(ErrorCode.Connection)
            return await read(value)

        return count


class Site:
    """A server with API keys and sessions; alice has a key, bob is logged in."""

    def __init__(self) -> None:
        self.keys = CountingKeys()
        self.world = World(keys=self.keys, api_key={}, edit_user_scope="edit")
        assert self.world.server.api_key_server is not None
        self.manager = self.world.server.api_key_server.manager

    def key(self, userid: int = ALICE, **fields: Any) -> str:
        return asyncio.run(self.manager.create_key("script", userid, **fields)).token


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def bob(site: Site) -> Iterator[Browser]:
    with site.world.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none")
        browser.cookies.clear()
        browser.sign_up("bob", factor2="none")
        yield browser


def with_key(token: str) -> dict[str, str]:
    return {"Authorization": f"ApiKey {token}"}


def test_a_key_is_not_as_fresh_as_the_login_beside_it(site: Site, bob: Browser) -> None:
    """A stolen key with the scope to edit its user deletes no account on the strength of the thief's own fresh login."""
    headers = with_key(site.key(scope=["edit"]))
    refused = bob.post("/api/deleteuser", json={}, headers=headers)
    assert (refused.status_code, name_of(refused)) == (401, "Unauthorized")
    moved = bob.post("/api/updateuser", json={"user_email": "thief@evil.example.com"}, headers=headers)
    assert moved.status_code == 401
    assert bob.post("/api/updateuser", json={"user_phone": "+49123456"}, headers=headers).json()["ok"] is True


def test_a_password_sent_with_a_key_refreshes_no_session(site: Site, bob: Browser) -> None:
    """A stolen cookie does not become a fresh login by the thief's own key and password beside it."""
    site.world.later(hours=2)
    headers = with_key(site.key(scope=["edit"]))
    sent = {"user_email": "alice@example.com", "password": PASSWORD}
    assert bob.post("/api/updateuser", json=sent, headers=headers).json()["ok"] is True
    assert name_of(bob.call("/api/deleteuser")) == "Unauthorized"


def test_deleting_an_account_by_key_leaves_the_session_beside_it(site: Site, bob: Browser) -> None:
    """A key that deletes its user logs nobody else out."""
    done = bob.post("/api/deleteuser", json={"password": PASSWORD}, headers=with_key(site.key(scope=["edit"])))
    assert done.json()["ok"] is True
    assert bob.who() == "bob"


def test_a_key_beside_the_cookie_of_another_user(site: Site, bob: Browser) -> None:
    """A key beside another user's cookie: the key counts, and a bad one leaves nothing to the cookie."""
    assert bob.get("/me", headers=with_key(site.key())).json()["username"] == "alice"
    assert bob.get("/me", headers=with_key("xa_bad")).status_code == 401
    assert bob.post("/change", headers=with_key("xa_bad")).status_code == 401
    assert bob.get("/maybe", headers=with_key("xa_bad")).json()["username"] is None


def test_a_key_in_the_url_or_a_cookie_is_none(site: Site, bob: Browser) -> None:
    """A key in the URL, where logs would keep it, is not read."""
    token = site.key()
    bob.cookies.clear()
    for path in (f"/me?api_key={token}", f"/me?apiKey={token}", f"/me?access_token={token}&key={token}"):
        assert bob.get(path).status_code == 401
    assert bob.get("/me", headers={"Cookie": f"ApiKey={token}; Authorization=ApiKey {token}"}).status_code == 401


@pytest.mark.parametrize("other", ["ApiKey {other}", "ApiKey {token}", "Bearer x", "Basic YTpi", ""])
@pytest.mark.parametrize("first", [True, False])
def test_two_authorization_headers(site: Site, bob: Browser, other: str, first: bool) -> None:
    """Two `Authorization` headers: whoever is between may have read the other one, so neither counts."""
    token = site.key()
    headers = [("Authorization", f"ApiKey {token}"), ("Authorization", other.format(token=token, other=site.key(BOB)))]
    asked = httpx2.get(
        f"{bob.base_url}/me", headers=headers if first else headers[::-1], cookies=dict(bob.cookies), trust_env=False
    )
    assert asked.status_code == 401
    joined = f"ApiKey {token}, ApiKey {token}"
    assert bob.get("/me", headers={"Authorization": joined}).status_code == 401


@pytest.mark.parametrize(
    "token",
    ["x" * 60_000, "xa_" + "a" * 49, "xa_" + "a" * 40_000, "e30.AAAA", "." * 5000, "\x80\xff", "xa_\u00e9", "%00", "{}",
     "eyJ2IjoiYSJ9." * 300, "null", "[" * 9000, "1e999"],
)  # fmt: skip
def test_garbage_for_a_key_is_refused_without_a_read(site: Site, bob: Browser, token: str) -> None:
    """Garbage instead of a key, however long, costs no look into the storage and no 500."""
    site.keys.reads = 0
    answer = bob.get("/me", headers={"Authorization": b"ApiKey " + token.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'ApiKey realm="api"'
    assert site.keys.reads == 0


def test_a_key_with_one_letter_changed_is_refused_without_a_read(site: Site, bob: Browser) -> None:
    """A mistyped key is known by its checksum."""
    token = site.key()
    site.keys.reads = 0
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert bob.get("/me", headers=with_key(wrong)).status_code == 401
    assert site.keys.reads == 0
    assert bob.get("/me", headers=with_key(token)).is_success
    assert site.keys.reads == 1


def test_a_key_of_a_user_who_was_deleted_or_disabled(site: Site, bob: Browser) -> None:
    """A key ends with its user, and is refused as long as the user is disabled."""
    headers = with_key(site.key())
    asyncio.run(site.world.users.update_user({"id": ALICE, "state": "disabled"}))
    assert bob.get("/me", headers=headers).status_code == 401
    asyncio.run(site.world.users.update_user({"id": ALICE, "state": "active"}))
    assert bob.get("/me", headers=headers).is_success
    asyncio.run(site.world.users.delete_user_by_id(ALICE))
    assert bob.get("/me", headers=headers).status_code == 401


def test_a_key_opens_nothing_that_only_a_login_may(site: Site, bob: Browser) -> None:
    """A key changes no password and no second factor, and sees no sessions."""
    bob.cookies.clear()
    headers = with_key(site.key(scope=["edit"]))
    for path in ("/api/changepassword", "/api/changefactor2", "/api/sessions", "/api/recoverycodes"):
        answer = bob.post(path, json={"old_password": PASSWORD, "new_password": "Another1one"}, headers=headers)
        assert answer.status_code == 401, path
    assert bob.get("/api/sessions", headers=headers).status_code == 401


def by_revoking(site: Site) -> None:
    asyncio.run(site.manager.revoke_all(ALICE))


def by_disabling(site: Site) -> None:
    asyncio.run(site.world.users.update_user({"id": ALICE, "state": "disabled"}))


def by_deleting(site: Site) -> None:
    asyncio.run(site.world.users.delete_user_by_id(ALICE))


@pytest.mark.parametrize("ends", [by_revoking, by_disabling, by_deleting])
@pytest.mark.parametrize("path", ["/change", "/api/updateuser"])
def test_a_key_that_ends_while_the_body_is_sent(site: Site, bob: Browser, path: str, ends: Any) -> None:
    """A key that is revoked after the headers of a request came, and before its body, does nothing any more."""
    parts, body = urlsplit(str(bob.base_url)), b'{"user_phone": "+49666"}'
    with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=20) as held:
        held.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: ApiKey {site.key(scope=['edit'])}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body[:1]
        )
        for _ in range(3):
            bob.get("/maybe")
        asyncio.run(asyncio.sleep(0.1))
        ends(site)
        held.sendall(body[1:])
        answer = b""
        while chunk := held.recv(65536):
            answer += chunk
    assert int(answer.split()[1]) == 401, answer
    found = [u for u in asyncio.run(site.world.users.get_users()) if u.id == ALICE]
    assert not found or found[0].get("phone") is None


def test_a_storage_that_is_away(site: Site, bob: Browser) -> None:
    """Where the storage of keys does not answer, a request with a key is answered 503, and not as if nobody asked."""
    headers = with_key(site.key())
    site.keys.away = True
    for path in ("/me", "/maybe"):
        assert bob.get(path, headers=headers).status_code == 503
    site.keys.away = False
    assert bob.get("/maybe", headers=headers).json()["username"] == "alice"


def test_a_key_beside_a_session_logs_nobody_out_by_itself(site: Site, bob: Browser) -> None:
    """What is done to the session of a cookie needs the CSRF token, whatever else was sent, and is said of the session's user."""
    for token, status in (("bad", 401), (site.key(), 403)):
        assert bob.post("/api/logout", headers=with_key(token)).status_code == status
        assert bob.post("/logout", headers=with_key(token)).status_code == status
        assert bob.get("/api/userforsessionkey").json()["user"]["username"] == "bob"
    csrf = bob.get("/api/getcsrftoken").json()["csrfToken"]
    assert bob.post("/api/logout", headers={**with_key(site.key()), CSRF: csrf}).json()["ok"] is True
    assert bob.get("/api/userforsessionkey").json()["user"] is None
    last = [event for event in site.world.heard.events if event.name is EventName.logged_out][-1]
    assert last.userid == BOB
