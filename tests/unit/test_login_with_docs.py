"""What docs/login_with.md says, run as written."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.client.provider_settings import FLOW_OPTIONS
from crossauth_backend.oauth.client.providers import PROVIDERS
from crossauth_fastapi import FastApiOAuthClientOptions, FastApiServer
from crossauth_fastapi.fastapi_users import FastAPIUsers
from crossauth_fastapi.fastapi_users.authentication import AuthenticationBackend
from tests.fastapi_users.app import Site
from tests.unit.oauth.client.test_provider_settings import DISCOVERY, PEM

PAGE = (Path(__file__).parents[2] / "docs" / "login_with.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SECRET = "a secret of the tests, which is long enough for anything"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the blocks define, one after the other."""
    names: dict[str, Any] = {
        "FastAPIUsers": FastAPIUsers, "AuthenticationBackend": AuthenticationBackend,
        "FastApiOAuthClientOptions": FastApiOAuthClientOptions,
    }  # fmt: skip
    for block in BLOCKS:
        exec(block, names)
    return names


def test_every_example_is_short() -> None:
    assert len(BLOCKS) == 3 + len(PROVIDERS)
    assert max(block.count("\n") for block in BLOCKS) < 15


def test_every_provider_is_in_the_table_with_its_settings() -> None:
    rows = {
        cells[0].strip(" `"): cells[1]
        for cells in (row[2:].split(" | ") for row in PAGE.splitlines() if row[:3] == "| `")
    }
    assert set(rows) == set(PROVIDERS)
    for name, row in PROVIDERS.items():
        assert all(f"`{setting}`" in rows[name] for setting in row.settings), name


def test_the_applications(page: dict[str, Any]) -> None:
    server: FastApiServer = page["server"]
    assert len(server.oauth_clients) == 2
    with TestClient(server.app, base_url="https://example.com") as client:
        started = client.get("/github/authzcodeflow", follow_redirects=False)
        assert started.headers["location"].startswith("https://github.com/login/oauth/authorize?")
        assert "example.com%2Fgithub%2Fauthzcode" in started.headers["location"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_options_of_each_provider(page: dict[str, Any], name: str) -> None:
    named = {"microsoft": "one", "openid": "other"}.get(name, name)
    options = page["apple"](PEM) if name == "apple" else page[named]
    assert options["provider"] is PROVIDERS[name]
    client = OAuthClient(options={n: v for n, v in options.items() if n not in FLOW_OPTIONS})
    if name in DISCOVERY and name not in ("gitlab",):
        assert client.issuer == DISCOVERY[name]["issuer"]
    assert len(page["several"]["tenants"]) == 2


def test_the_router(page: dict[str, Any], tmp_path: Path) -> None:
    site, app = Site(f"sqlite:///{tmp_path}/users.db"), FastAPI()
    page["add_google"](app, site.users, site.jwt, SECRET)
    assert {"/auth/google/authorize", "/auth/google/callback"} <= set(app.openapi()["paths"])
