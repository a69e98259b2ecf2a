"""CSRF tokens count in the session for which they were made, and scripts are told when they change."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, DoubleSubmitCsrfToken, SessionManager
from crossauth_backend.core.secrets import derive_key, sign
from tests.accounts import NEW, Browser, World
from tests.support import CSRF, PASSWORD, SECRET, Client, make_server

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    with world.open() as url, Browser(url) as browser:
        yield browser


def test_a_token_counts_in_its_own_session_only() -> None:
    tokens = DoubleSubmitCsrfToken({"secret": SECRET})
    token = tokens.create_csrf_token()
    sessions = [None, "one", "another"]
    for made in sessions:
        cookie = tokens.make_csrf_cookie(token, session_id=made).value
        assert re.fullmatch(r"[\w-]{22}\.[\w-]{43}", cookie), "the format is the documented one"
        for used in sessions:
            if used == made:
                tokens.validate_double_submit_csrf_token(cookie, tokens.mask_csrf_token(token), used)
                continue
            with pytest.raises(CrossauthError):
                tokens.validate_double_submit_csrf_token(cookie, tokens.mask_csrf_token(token), used)


def test_a_csrf_cookie_from_before_gets_a_new_token(client: Client) -> None:
    """Tokens were not bound to sessions once; such a cookie counts no more, and the next page replaces it."""
    client.sign_up()
    tokens = DoubleSubmitCsrfToken({"secret": SECRET})
    token = tokens.create_csrf_token()
    old = sign(token, derive_key(SECRET, "csrf cookie"))
    session = client.cookies["SESSIONID"]
    client.cookies.clear()
    for cookie in (f"SESSIONID={session}; CSRFTOKEN={old}", f"CSRFTOKEN={old}"):
        refused = client.post("/api/login", headers={"Cookie": cookie, CSRF: tokens.mask_csrf_token(token)}, json={})
        assert refused.json()["errorCodeName"] == "InvalidCsrf"
        page = client.get("/api/getcsrftoken", headers={"Cookie": cookie})
        new = next(c for c in page.headers.get_list("set-cookie") if c.startswith("CSRFTOKEN="))
        cookie = cookie.replace(old, new.partition("=")[2].partition(";")[0])
        token_again = page.json()["csrfToken"]
        answer = client.post("/api/logout", headers={"Cookie": cookie, CSRF: token_again})
        assert answer.status_code == 200
        client.cookies.clear()


def test_a_token_from_before_the_login_is_worth_nothing_after_it(client: Client) -> None:
    """Who knows the token of the browser's anonymous time does not know the one of its session."""
    client.sign_up()
    client.call("/api/logout")
    before, cookie = client.token(), client.cookies["CSRFTOKEN"]
    client.log_in()
    session = client.cookies["SESSIONID"]
    client.cookies.clear()
    planted = f"SESSIONID={session}; CSRFTOKEN={cookie}"
    refused = client.post("/change", headers={"Cookie": planted, CSRF: before})
    assert refused.json()["errorCodeName"] == "InvalidCsrf"


def test_every_json_answer_that_changes_the_token_says_the_new_one(world: World, browser: Browser) -> None:
    """One token after the other, as a script without pages has them; never asked for again."""
    response = browser.get("/api/userforsessionkey").json()["csrfToken"]

    def call(path: str, **fields: object) -> dict[str, object]:
        nonlocal response
        answer = browser.post(path, json=fields, headers={CSRF: response})
        body: dict[str, object] = answer.json()
        assert answer.status_code == 200, (path, body)
        changed = any(c.startswith("CSRFTOKEN=") for c in answer.headers.get_list("set-cookie"))
        assert changed == ("csrfToken" in body), path
        response = str(body.get("csrfToken", response))
        return body

    def changes(path: str, **fields: object) -> dict[str, object]:
        body = call(path, **fields)
        assert "csrfToken" in body, path
        return body

    changes("/api/signup", username="alice", password=PASSWORD, factor2="none", user_email="alice@example.com")
    call("/api/updateuser", user_phone="+441632960961")
    secret = str(call("/api/changefactor2", factor2="totp")["totpsecret"])
    changes("/api/configurefactor2", otp=world.code(secret))
    assert call("/api/changepassword", old_password=PASSWORD, new_password=NEW)["factor2Required"] is True
    changes("/api/factor2", otp=world.code(secret))
    changes("/api/logout")
    changes("/api/login", username="alice", password=NEW)
    changes("/api/cancelfactor2")
    changes("/api/login", username="alice", password=NEW)
    changes("/api/loginfactor2", otp=world.code(secret))
    changes("/api/logout")
    call("/api/requestpasswordreset", email="alice@example.com")
    token = browser.link("alice@example.com").rpartition("/")[2].rpartition("=")[2]
    changes("/api/resetpassword", token=token, new_password=PASSWORD)
    changes("/api/loginfactor2", otp=world.code(secret))
    assert browser.get("/api/userforsessionkey").json()["csrfToken"]


def test_a_refusal_that_changes_the_token_says_the_new_one(world: World, browser: Browser) -> None:
    """A login that ends in a demand for another password opens a session for it."""
    browser.sign_up("alice", factor2="none", user_email="alice@example.com")
    found = world.server.session_server
    assert found is not None
    browser.call("/api/logout")
    import asyncio

    asyncio.run(world.users.update_user({"id": 1, "state": "passwordchangeneeded"}))
    refused = browser.log_in().json()
    assert refused["errorCodeName"] == "PasswordChangeNeeded"
    done = browser.post(
        "/api/changepassword",
        json={"old_password": PASSWORD, "new_password": NEW},
        headers={CSRF: refused["csrfToken"]},
    )
    assert done.status_code == 200, done.text


def test_the_page_that_logs_out_deletes_both_cookies(client: Client) -> None:
    client.sign_up()
    answer = client.submit("/logout")
    gone = {c.partition("=")[0] for c in answer.headers.get_list("set-cookie") if "Max-Age=0" in c}
    assert gone == {"SESSIONID", "CSRFTOKEN"}


def test_openapi_shows_the_token_in_answers(client: Client) -> None:
    schema = client.get("/openapi.json").json()
    for path in ("/api/login", "/api/signup", "/api/logout", "/api/changepassword", "/api/userforsessionkey"):
        answers = schema["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        model = schema["components"]["schemas"][answers["$ref"].rpartition("/")[2]]
        assert "csrfToken" in model["properties"], path


def test_the_session_manager_binds_the_token_to_the_session_it_opens(world: World) -> None:
    import asyncio

    manager: SessionManager = world.manager

    async def run() -> None:
        await manager.create_user(
            {"username": "bob", "state": "active", "factor1": "localpassword"}, {"password": PASSWORD}
        )
        for tokens in (await manager.login("bob", {"password": PASSWORD}), await manager.create_anonymous_session()):
            assert tokens.csrf_cookie is not None
            assert tokens.session_cookie is not None
            session_id = manager.get_session_id(tokens.session_cookie.value)
            masked = manager.create_csrf_form_or_header_value(tokens.csrf_cookie.value, session_id)
            manager.validate_double_submit_csrf_token(tokens.csrf_cookie.value, masked, session_id)
            with pytest.raises(CrossauthError):
                manager.validate_csrf_cookie(tokens.csrf_cookie.value)

    asyncio.run(run())


def test_whoever_is_known_by_a_header_needs_no_token(world: World) -> None:
    """A request that another site cannot make is no forgery: CSRF is required where a cookie says who is asking."""
    from crossauth_fastapi._middleware.identity import Identity
    from crossauth_fastapi._middleware.order import attach_source

    class Bearer:
        name, ambient, header = "bearer", False, b"authorization"

        async def identify(self, scope, state):  # type: ignore[no-untyped-def]
            if state.header(b"authorization") != "Bearer good":
                return None
            found = await world.users.get_user_by_username("alice")
            return Identity("oauth", found.user, scopes=("edit",))

        async def recheck(self, scope, state):  # type: ignore[no-untyped-def]
            pass

    edits = World(users=world.users, edit_user_scope="edit")
    attach_source(edits.server.app, Bearer())
    with edits.open() as url, Browser(url) as browser:
        browser.sign_up("alice", factor2="none", user_email="alice@example.com")
        browser.cookies.clear()
        bearer = {"Authorization": "Bearer good"}
        assert browser.post("/api/updateuser", json={"user_phone": "1"}, headers=bearer).status_code == 200
        assert browser.post("/api/login", json={"username": "alice"}).json()["errorCodeName"] == "InvalidCsrf"


def test_the_documented_login_with_a_second_factor_runs_as_written(world: World, browser: Browser) -> None:
    browser.sign_up("alice", factor2="none", user_email="alice@example.com")
    secret, _ = browser.add_totp(world)
    browser.call("/api/logout")
    block = next(
        b
        for b in re.findall(r"```python\n(.*?)```", (DOCS / "second_factors.md").read_text(), re.DOTALL)
        if "/api/login" in b
    )
    names = {"client": browser, "password": PASSWORD}
    exec(block.replace('"123456"', repr(world.code(secret))), names)
    assert browser.who() == "alice"


def test_the_documented_script_runs_as_written(client: Client) -> None:
    client.sign_up()
    client.call("/api/logout")
    block = next(
        b
        for b in re.findall(r"```python\n(.*?)```", (DOCS / "session_server.md").read_text(), re.DOTALL)
        if "/api/login" in b
    )
    exec(block, {"client": client, "password": PASSWORD})
    assert client.who() is None, "it logs out at the end"


def test_the_documented_test_runs_as_written() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "session_server.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"TestClient": TestClient, "app": make_server().app}
    exec(next(block for block in blocks if "def test_a_login" in block), names)
    names["test_a_login"]()
