"""Making an API key with what was stolen: a cookie, another key, a form of another site, a request that was held back."""

import asyncio
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from crossauth_fastapi._api_keys.actions import ACTIONS
from tests.accounts import NEW, Browser, World, name_of
from tests.security.test_held_requests import Held
from tests.services.processes import running
from tests.support import CSRF, PASSWORD, SECRET

ALICE, ROOT = 1, 2
EXAMPLE = Path(__file__).parents[2] / "examples" / "api_keys.py"
CHANGES = [f"/{a.api_endpoint}{'/1' if a.parameter else ''}" for a in ACTIONS]
FORMS = [f"/{a.page_endpoint}{'/1' if a.parameter else ''}" for a in ACTIONS]


class Site:
    """A server; alice and an administrator are logged in, and a thief has what the test says."""

    def __init__(self, url: str, world: World, browsers: list[Browser]) -> None:
        self.url, self.world = url, world
        self.alice, self.root, self.thief = browsers
        self.alice.sign_up("alice", factor2="none")
        self.root.sign_up("root", factor2="none")
        asyncio.run(world.users.update_user({"id": ROOT, "admin": True}))
        made = self.alice.call("/api/apikeys", name="script", scope="edit").json()
        self.token, self.id = made["token"], made["apiKey"]["id"]

    def steal_cookie(self, victim: Browser) -> None:
        for cookie in victim.cookies.jar:
            self.thief.cookies.set(cookie.name, str(cookie.value), domain="127.0.0.1")

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The names and beginnings of alice's keys."""
        return [(key["name"], key["hint"]) for key in self.alice.get("/api/apikeys").json()["apiKeys"]]

    def works(self) -> bool:
        return bool(self.thief.get("/me", headers=with_key(self.token)).is_success)


@pytest.fixture
def site() -> Iterator[Site]:
    world = World(api_key={"scopes": ["edit"]}, edit_user_scope="edit")
    with world.open() as url, Browser(url) as alice, Browser(url) as root, Browser(url) as thief:
        yield Site(url, world, [alice, root, thief])


def with_key(token: str) -> dict[str, str]:
    return {"Authorization": f"ApiKey {token}"}


def sent(site: Site) -> dict[str, Any]:
    return {"name": "mole", "key": site.id}


def test_a_stolen_cookie_does_not_become_a_key(site: Site) -> None:
    """A stolen session whose login is not recent makes no key and learns no text of one."""
    before = site.keys
    site.steal_cookie(site.alice)
    site.world.later(hours=2)
    for path in ("/api/apikeys", "/api/rotateapikey"):
        assert name_of(site.thief.call(path, **sent(site))) == "Unauthorized"
    assert site.keys == before
    assert site.token not in site.thief.get("/api/apikeys").text


def test_a_stolen_cookie_of_an_administrator_changes_no_keys(site: Site) -> None:
    """The stolen session of an administrator makes no key for a user, and takes none away."""
    before = site.keys
    site.steal_cookie(site.root)
    site.world.later(hours=2)
    for path in CHANGES:
        if path.startswith("/admin"):
            assert name_of(site.thief.call(path, **sent(site))) == "Unauthorized", path
    assert site.keys == before
    assert site.works()


@pytest.mark.parametrize("path", CHANGES)
def test_a_key_makes_no_keys(site: Site, path: str) -> None:
    """A stolen key, of an administrator even, cannot make, rotate, rename or revoke keys: neither alone nor beside a cookie."""
    before = site.keys
    asyncio.run(site.world.users.update_user({"id": ALICE, "admin": True}))
    for thief in (site.thief, site.root):
        answer = thief.post(path, json={**sent(site), "password": PASSWORD}, headers=with_key(site.token))
        assert (answer.status_code, name_of(answer)) == (401, "Unauthorized")
        assert thief.get("/api/apikeys", headers=with_key(site.token)).status_code == 401
    assert site.keys == before


@pytest.mark.parametrize("path", CHANGES)
def test_a_json_request_without_a_csrf_token(site: Site, path: str) -> None:
    """A page of another site that sends JSON makes no key."""
    before = site.keys
    browser = site.root if path.startswith("/admin") else site.alice
    assert name_of(browser.post(path, json=sent(site))) == "InvalidCsrf"
    assert site.keys == before


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_a_csrf_token(site: Site, path: str) -> None:
    """A form of another site makes no key, and a GET changes nothing."""
    before = site.keys
    browser = site.root if path.startswith("/admin") else site.alice
    assert browser.post(path, data={k: str(v) for k, v in sent(site).items()}).status_code == 403
    browser.get(path, params={"all": "true", **sent(site)})
    assert site.keys == before
    assert site.works()


@pytest.mark.parametrize("path", ["/api/updateapikey", "/api/rotateapikey", "/api/revokeapikey"])
def test_the_key_of_another_user(site: Site, path: str) -> None:
    """A user who knows the id of another user's key can neither see nor change it."""
    before = site.keys
    answer = site.root.call(path, key=site.id, name="mine")
    assert (answer.status_code, name_of(answer)) == (404, "BadRequest")
    assert site.root.get("/updateapikey", params={"key": site.id}).status_code == 404
    assert site.root.call("/api/revokeapikey", all=True).json()["ok"] is True, "which are only one's own"
    assert site.keys == before
    assert site.works()


@pytest.mark.parametrize("kind", ["json", "form"])
@pytest.mark.parametrize("name", ["apikeys", "rotateapikey"])
def test_a_request_for_a_key_that_is_held_back(site: Site, kind: str, name: str) -> None:
    """A thief who holds the body of a request back until the password was changed gets no key."""
    before = len(site.keys)
    site.steal_cookie(site.alice)
    held = Held(site.thief, f"/api/{name}" if kind == "json" else f"/{name}", kind, **sent(site))
    for _ in range(3):
        site.root.get("/maybe")
    asyncio.run(asyncio.sleep(0.1))
    assert site.alice.call("/api/changepassword", old_password=PASSWORD, new_password=NEW).json()["ok"] is True
    status, body = held.send()
    assert status == 401
    assert "xa_" not in body.replace(site.token[:7], "")
    assert len(site.keys) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 100_000}, {"name": "a\u0000b"}, {"name": "\ud800"}, {"name": ["a"]}, {"name": {"a": 1}}, {"name": 7},
        {"name": None}, {"name": "k", "scope": "edit " * 5000}, {"name": "k", "scope": ["edit"]},
        {"name": "k", "expiry": 10**400},
        {"name": "k", "expiry": "NaN"}, {"name": "k", "expiry": -1}, {"name": "k", "expiry": [1]}, {"name": "k", "scope": 1},
        {"name": "\u202e\u2066"}, {"name": "k", "scope_edit": {"a": []}}, {"name": "<script>alert(1)</script>"},
    ],
)  # fmt: skip
def test_garbage_is_refused_or_harmless(site: Site, fields: dict[str, Any]) -> None:
    """Fields that are huge, empty, of the wrong type or no text cause no 500, and nothing that a page shows unescaped."""
    headers = {CSRF: site.alice.token(), "Content-Type": "application/json"}
    answer = site.alice.post("/api/apikeys", content=json.dumps(fields), headers=headers)
    assert answer.status_code in (200, 400, 403, 413), answer.text
    page = site.alice.get("/apikeys")
    assert page.status_code == 200
    assert "<script>" not in page.text


@pytest.mark.parametrize("path", ["/api/rotateapikey", "/api/revokeapikey", "/api/updateapikey"])
def test_garbage_for_the_id_of_a_key(site: Site, path: str) -> None:
    """What is no id names no key, and causes no 500."""
    for key in ("", "x" * 50_000, "\u0000", "../x", [site.id], {"$ne": 1}, 1, None):
        assert site.alice.call(path, key=key, name="n").status_code in (400, 404, 413), key
    assert site.alice.get("/updateapikey", params={"key": "\u0000" * 99}).status_code == 404
    assert site.works()


def test_no_log_and_no_event_has_the_text_of_a_key(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A key is in the answer that hands it out, and nowhere else."""
    with caplog.at_level(logging.DEBUG):
        made = site.alice.call("/api/apikeys", name="k").json()
        site.alice.get("/me", headers=with_key(made["token"]))
        new = site.alice.call("/api/rotateapikey", key=made["apiKey"]["id"]).json()["token"]
        site.alice.call("/api/revokeapikey", all=True)
        site.alice.get("/me", headers=with_key(new))
    response = caplog.text + repr(site.world.heard.events) + repr(site.world.server.api_key_server)
    for token in (made["token"], new):
        assert token[7:] not in response


def test_workers_know_each_others_keys(tmp_path: Path) -> None:
    """A key that one worker revokes is refused by the other at once, and both count one limit."""
    (tmp_path / "app.py").write_text(EXAMPLE.read_text())
    settings = {"CROSSAUTH_SECRET": SECRET, "CROSSAUTH_ADMIN": f"root:{PASSWORD}"}
    command = ["-m", "uvicorn", "app:app", "--workers", "2"]
    with running(command, tmp_path, settings) as url, Browser(url) as root:
        root.log_in("root")
        made = root.call("/api/apikeys", name="k").json()
        limited = root.call("/admin/api/apikeys/1", name="few", limit_requests=10, limit_seconds=86_400).json()

        def ask(token: str) -> int:
            # A new connection each time, so that every worker is asked.
            return httpx2.get(f"{url}/api/me", headers=with_key(token), trust_env=False, timeout=60).status_code

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, [made["token"]] * 30)) == {200}
            statuses = list(pool.map(ask, [limited["token"]] * 40))
            assert (statuses.count(200), statuses.count(429)) == (10, 30)
            assert root.call("/api/revokeapikey", key=made["apiKey"]["id"]).json()["ok"] is True
            assert set(pool.map(ask, [made["token"]] * 30)) == {401}
