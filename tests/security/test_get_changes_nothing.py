"""A GET changes nothing, sends nothing and logs nobody in: every GET route of every example, the database before and after."""

import importlib.util
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from tests.accounts import Browser
from tests.services.oidc import oidc_provider
from tests.services.uvicorn import serve
from tests.support import CSRF, PASSWORD, SECRET

EXAMPLES = Path(__file__).parents[2] / "examples"
# The shop is made by its tests, in memory; its GET routes are those of the others.
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem not in ("shop", "test_shop"))

# Paths whose reading is counted or told to listeners, and changes nothing else.
COUNTED: set[str] = set()


def load(name: str) -> ModuleType:
    """The example as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def databases(folder: Path) -> dict[str, list[Any]]:
    """Every row of every table of every database in `folder`."""
    found: dict[str, list[Any]] = {}
    for file in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                found[f"{file.name} {table}"] = sorted(map(repr, connection.execute(f'SELECT * FROM "{table}"')))
    return found


def settled(folder: Path) -> dict[str, list[Any]]:
    """The same, once what is written in the background has been written."""
    before = databases(folder)
    while True:
        time.sleep(0.3)
        after = databases(folder)
        if after == before:
            return after
        before = after


def get_paths(app: Any) -> Iterator[str]:
    """The paths of all GET routes."""
    for context in iter_route_contexts(app.routes):
        if "GET" in (getattr(context, "methods", None) or ()):
            yield str(context.path)


def filled(path: str, tokens: list[str]) -> list[str]:
    """`path` with every value for its parameters that could mean something."""
    if "{" not in path:
        return [path, *(f"{path}?token={token}&next=/&code=x&state=x" for token in tokens)]
    values = [*tokens, "1", "2", "nothing"]
    return [re.sub(r"\{[^}]*\}", value, path) for value in values]


def sign_up_by_session(browser: Browser) -> None:
    for name in ("alice", "bob"):
        fields = {"username": name, "password": PASSWORD, "repeat_password": PASSWORD,
                  "user_email": f"{name}@example.com", "factor2": "none"}  # fmt: skip
        browser.post("/api/signup", json=fields, headers={CSRF: browser.token()})
        browser.post(
            "/api/requestpasswordreset", json={"email": f"{name}@example.com"}, headers={CSRF: browser.token()}
        )


def sign_up_by_routes(browser: Browser) -> None:
    for name in ("alice", "bob"):
        browser.post("/auth/register", json={"email": f"{name}@example.com", "password": PASSWORD})
    for path in ("/auth/request-verify-token", "/auth/forgot-password"):
        browser.post(path, json={"email": "alice@example.com"})


def mailed_tokens(browser: Browser) -> list[str]:
    """The tokens in what was mailed, where the example shows its mail."""
    answer = browser.get("/api/outbox")
    mails = answer.json() if answer.status_code == 200 else []
    return sorted({t for m in mails for t in re.findall(r"(?:token=|verifyemail/)([\w.-]{20,})", m["text"])})


@pytest.mark.parametrize("name", NAMES)
def test_no_get_of_an_example_changes_anything(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    monkeypatch.setenv("CROSSAUTH_ADMIN", f"root:{PASSWORD}")
    with oidc_provider("http://localhost:8000/authzcode") if name == "oauth_client" else nullcontext() as provider:
        if provider is not None:
            monkeypatch.setenv("ISSUER", provider.url)
        every_get_changes_nothing(name, tmp_path)


def every_get_changes_nothing(name: str, tmp_path: Path) -> None:
    app = load(name).app
    paths = sorted(set(get_paths(app)) - COUNTED)
    assert len(paths) >= 5
    with serve(app) as url, Browser(url) as anonymous, Browser(url) as user, Browser(url) as admin:
        by_session = "/api/getcsrftoken" in paths
        (sign_up_by_session if by_session else sign_up_by_routes)(anonymous)
        if by_session:
            user.sign_up("carol", user_email="carol@example.com", factor2="totp" if "/api/factor2" in paths else "none")
            admin.log_in("root")
        else:
            for path in ("/auth/cookie/login", "/auth/jwt/login"):
                answer = user.post(path, data={"username": "alice@example.com", "password": PASSWORD})
                if answer.status_code == 200:
                    user.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        tokens = mailed_tokens(anonymous)
        if name == "accounts":
            assert len(tokens) > 1
        before = settled(tmp_path)
        for path in paths:
            for browser in (anonymous, user, admin):
                for target in filled(path, tokens):
                    answer = browser.get(target)
                    assert answer.status_code < 500, (target, answer.text)
                    if by_session:
                        assert "SESSIONID" not in answer.cookies, f"{target} opened a session"
            after = databases(tmp_path)
            assert after == before, path
        assert settled(tmp_path) == before
        assert mailed_tokens(anonymous) == tokens
