"""The programs of docs/howto, docs/concepts and the FAQ run as they stand, and do what their pages say."""

import asyncio
import json
import logging
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossauth_backend import Event, EventName, open_engine
from crossauth_backend.core.clock import utc_now

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*(DOCS / "howto").glob("*.md"), *(DOCS / "concepts").glob("*.md"), DOCS / "faq.md"])
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
PROGRAMS = [
    pytest.param(textwrap.dedent(found[2]), id=f"{page.stem}-{n}")
    for page in PAGES
    for n, found in enumerate(BLOCK.finditer(page.read_text()))
]
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSAUTH_SECRET", "a long secret of this application")
    events = logging.getLogger("crossauth.events")
    before = events.handlers[:], events.level, events.propagate
    yield
    events.handlers, level, events.propagate = before
    events.setLevel(level)


def run(code: str) -> dict[str, Any]:
    """The names that a program defines."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(code, "program", "exec"), names)
    return names


def program(page: str, n: int = 0) -> dict[str, Any]:
    """The n-th program of a page of docs/howto."""
    text = (DOCS / "howto" / f"{page}.md").read_text()
    return run(textwrap.dedent(list(BLOCK.finditer(text))[n][2]))


def sign_up(client: TestClient, username: str, **more: Any) -> Any:
    """The answer to a sign-up; its token is sent from now on."""
    client.headers["X-CROSSAUTH-CSRF"] = client.get("/api/getcsrftoken").json()["csrfToken"]
    fields = {"username": username, "password": PASSWORD, "repeat_password": PASSWORD, **more}
    answer = client.post("/api/signup", json=fields)
    if answer.status_code == 200:
        client.headers["X-CROSSAUTH-CSRF"] = answer.json()["csrfToken"]
    return answer


@pytest.mark.parametrize("code", PROGRAMS)
def test_a_program_runs_in_an_empty_folder(code: str) -> None:
    app = run(code).get("app")
    if isinstance(app, FastAPI):
        with TestClient(app, base_url="https://testserver") as client:
            assert client.get("/openapi.json").status_code == 200


def test_added_columns_are_set_by_those_who_may() -> None:
    with TestClient(program("own_tables")["app"], base_url="https://testserver") as client:
        assert sign_up(client, "alice", user_company="Acme", user_credit="100").status_code == 200
        assert client.get("/company").json() == {"company": "Acme", "credit": 0}


def test_a_table_of_the_applications_own_takes_users() -> None:
    with TestClient(program("own_tables", 1)["app"], base_url="https://testserver") as client:
        assert sign_up(client, "alice").status_code == 200


def test_orders_are_deleted_with_their_user() -> None:
    names = program("own_tables", 2)
    orders, metadata = names["Order"].__table__, names["Base"].metadata
    assert next(iter(orders.foreign_keys)).column is metadata.tables["User"].c.id


def test_an_account_needs_an_invitation() -> None:
    names = program("invite_only", 1)
    with TestClient(names["app"], base_url="https://testserver") as client:
        assert sign_up(client, "alice").status_code == 403
        assert sign_up(client, "alice", user_invitation="guessed").status_code == 403
        assert sign_up(client, "alice", user_invitation=names["CODE"]).status_code == 200


def test_without_the_endpoint_nobody_signs_up() -> None:
    with TestClient(program("invite_only")["app"], base_url="http://localhost:8000") as client:
        assert client.get("/signup").status_code == 404
        assert sign_up(client, "alice").status_code == 404
        assert client.get("/login").status_code == 200


def test_a_tenant_does_not_know_the_users_of_another() -> None:
    app = program("multi_tenant")["app"]
    with TestClient(app, base_url="https://acme.example.com") as acme:
        assert sign_up(acme, "alice").status_code == 200
        assert acme.get("/me").json() == {"tenant": "acme", "user": "alice"}
        globex = TestClient(app, base_url="https://globex.example.com")
        globex.headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in acme.cookies.jar)
        assert globex.get("/me").status_code == 401
        assert sign_up(TestClient(app, base_url="https://globex.example.com"), "alice").status_code == 200


def test_a_user_cannot_choose_a_tenant() -> None:
    with TestClient(program("multi_tenant", 1)["app"], base_url="https://testserver") as client:
        sign_up(client, "alice", user_tenant="acme")
        assert client.get("/orders").status_code == 403

        async def assign() -> None:
            engine = open_engine("sqlite:///tenants.db")
            async with engine.begin() as connection:
                await connection.exec_driver_sql("UPDATE \"User\" SET tenant = 'acme'")
            await engine.dispose()

        asyncio.run(assign())
        assert client.get("/orders").json() == {"orders of": "acme"}


def test_events_reach_the_collector() -> None:
    siem = program("siem", 1)
    with TestClient(siem["app"], base_url="https://testserver") as client:
        sign_up(client, "alice")
    queue = siem["siem"].waiting
    found = [queue.get_nowait().name for _ in range(queue.qsize())]
    assert EventName.signed_up in found
    assert EventName.login_succeeded in found


def test_events_are_json_lines() -> None:
    formatter = program("siem")["handler"].formatter
    record = logging.LogRecord("crossauth.events", logging.INFO, "", 0, "", (), None)
    record.crossauth_event = Event(name=EventName.signed_up, at=utc_now(), userid=1)
    line = json.loads(formatter.format(record))
    assert (line["name"], line["userid"], line["severity"]) == ("signed_up", 1, "INFO")


def test_another_origin_may_send_cookies() -> None:
    with TestClient(program("spa")["app"], base_url="https://api.example.com") as client:
        client.headers["Origin"] = "https://app.example.com"
        answer = sign_up(client, "alice")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert client.get("/orders").json() == {"orders of": "alice"}
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-crossauth-csrf"}
        assert client.options("/api/login", headers=asked).status_code == 200


def test_a_basket_is_kept_in_the_session() -> None:
    with TestClient(program("from_starlette_sessions", 1)["app"], base_url="https://testserver") as client:
        sign_up(client, "alice")
        client.post("/basket/tea")
        assert client.post("/basket/milk").json() == ["tea", "milk"]


def test_urls_behind_the_proxy_are_public() -> None:
    with TestClient(
        program("deployment")["app"], base_url="http://127.0.0.1:8000", client=("127.0.0.1", 4711)
    ) as client:
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example.com"}
        moved = client.get("/orders", headers=forwarded, follow_redirects=False)
        assert moved.headers["location"] == "https://shop.example.com/orders/"
