"""What docs/dependencies.md and the README say of protecting an API, run as written."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossauth_fastapi.testing import issue_token
from tests.resource import bearer
from tests.shop import Shop

ROOT = Path(__file__).parents[2]
PAGE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dependencies.md").read_text(), re.DOTALL)
README = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_an_api_is_protected_in_under_fifteen_lines() -> None:
    block = next(block for block in README if "FastApiOAuthResourceServer" in block)
    assert len([line for line in block.splitlines() if line.strip()]) < 15
    provided: dict[str, Any] = {}
    exec(block, provided)
    with TestClient(provided["app"]) as client:
        refused = client.get("/orders")
        challenge = 'Bearer realm="api", scope="orders:read"'
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, challenge)
        good, weak = (bearer(issue_token(client, sub="alice", scope=scope)) for scope in ("orders:read", "x"))
        assert client.get("/orders", headers=good).json() == {"orders of": "alice"}
        assert client.get("/orders", headers=weak).status_code == 403
        described = client.get("/openapi.json").json()["paths"]["/orders"]["get"]
        assert described["security"] == [{"Bearer": ["orders:read"]}]
        assert {"401", "403"} <= set(described["responses"])


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page as a module: its application, with the servers of the tests."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for block in PAGE[:-1]:
        exec(block, module.__dict__)
    return module


def test_every_block_is_run_here() -> None:
    assert len(PAGE) == 5


def test_the_application_of_the_page(page: ModuleType) -> None:
    shop = Shop(app=page.app, record=page.Shopper)
    alice = shop.alice
    page.test_orders(alice)
    with TestClient(page.app) as client:
        key = shop.key(alice, scope=["orders:read", "jobs"])
        assert client.get("/orders", headers=key).json() == "orders of a, number 1"
        assert client.post("/jobs", headers=key).json() == "for a"
        robot = bearer(issue_token(client, client_id="robot", sub="robot", scope="jobs"))
        assert client.post("/jobs", headers=robot).json() == "for the client robot"
        with client.websocket_connect("/updates", headers=key) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "a: hello"
        assert client.get("/orders").status_code == 401
        exec(PAGE[-1], {**page.__dict__, "alice": alice})
        assert client.get("/orders").json() == "orders of a, number 1"
