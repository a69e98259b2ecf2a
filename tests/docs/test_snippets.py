"""Every Python block of the README and the docs is a program that a test runs; what the reader has already is given to it."""

import ast
import asyncio
import inspect
import re
import textwrap
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

import crossauth_backend
import crossauth_fastapi
from crossauth_backend import InMemoryKeyStorage, InMemoryUserStorage, LocalPasswordAuthenticator, open_engine
from crossauth_fastapi import CurrentUser, FastApiServer
from crossauth_fastapi.fastapi_users import BaseUserManager, FastAPIUsers
from crossauth_fastapi.fastapi_users.db import CrossauthUserDatabase
from crossauth_fastapi.testing import PASSWORD, client_for, create_user
from tests.fastapi_users.app import Site
from tests.support import CHEAP, SECRET

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^( *)```python[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
# Pages whose programs other tests run, with more than "it runs" to check.
ELSEWHERE = {
    "README.md": "tests/unit/test_readme.py",
    "docs/api_keys.md": "tests/unit/test_api_keys_docs.py",
    "docs/backend_for_frontend.md": "tests/browser/test_backend_for_frontend_page.py",
    "docs/dependencies.md": "tests/unit/test_dependencies_docs.py",
    "docs/flow_authorization_code.md": "tests/unit/test_oauth_client_docs.py",
    "docs/flow_client_credentials.md": "tests/unit/test_oauth_client_docs.py",
    "docs/flow_device_code.md": "tests/unit/test_oauth_client_docs.py",
    "docs/flow_password.md": "tests/unit/test_oauth_client_docs.py",
    "docs/flow_refresh_token.md": "tests/unit/test_oauth_client_docs.py",
    "docs/login_with.md": "tests/unit/test_login_with_docs.py",
    "docs/oauth_client.md": "tests/unit/test_oauth_client_docs.py",
    "docs/resource_server.md": "tests/flows/test_resource_documented.py",
    "docs/testing.md": "tests/unit/test_testing_docs.py",
}
FOLDERS = {
    "docs/tutorial": "tests/docs/test_tutorial.py",
    "docs/howto": "tests/flows/test_howto.py",
    "docs/concepts": "tests/flows/test_howto.py",
    "docs/faq.md": "tests/flows/test_howto.py",
}
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]}


def blocks(name: str) -> list[str]:
    return [textwrap.dedent(found[2]) for found in BLOCK.finditer(PAGES[name].read_text())]


def run_by(name: str) -> str | None:
    """The test that runs the programs of a page; `None` for those that are run here."""
    folder = next((test for folder, test in FOLDERS.items() if name.startswith(folder)), None)
    return ELSEWHERE.get(name) or folder


HERE = [name for name in PAGES if blocks(name) and run_by(name) is None]


def compiled(block: str) -> CodeType:
    return compile(block, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(name)])
def test_every_block_is_a_program(name: str) -> None:
    """Without gaps: `...` stands only where Python has it."""
    for block in blocks(name):
        tree = ast.parse(block)
        compiled(block)
        gaps = [
            node.lineno for node in ast.walk(tree)
            if isinstance(node, ast.Dict | ast.List | ast.Call | ast.Module | ast.If | ast.For | ast.With)
            for child in ast.iter_child_nodes(node)
            if getattr(getattr(child, "value", child), "value", None) is ...
        ]  # fmt: skip
        assert gaps == [], block


def test_every_page_that_is_run_elsewhere_is_named_there() -> None:
    for name, test in ELSEWHERE.items():
        assert Path(name).stem.split("_")[0] in (ROOT / test).read_text(), f"{test} does not run {name}"


def given(tmp_path: Path) -> dict[str, Any]:
    """What the reader of a page has: imports, storages, an application with a server, and a client."""
    users, keys, app = InMemoryUserStorage(), InMemoryKeyStorage(), FastAPI()
    passwords = LocalPasswordAuthenticator(users, CHEAP)
    server = FastApiServer(
        {"session": {"key_storage": keys}},
        {"app": app, "user_storage": users, "authenticators": {"localpassword": passwords}, "secret": SECRET},
    )
    return {
        **{name: getattr(crossauth_backend, name) for name in crossauth_backend.__all__},
        **{name: getattr(crossauth_fastapi, name) for name in crossauth_fastapi.__all__},
        "server": server, "users": users, "keys": keys, "passwords": passwords, "inner": FastAPI(), "password": PASSWORD,
        "engine": open_engine(f"sqlite:///{tmp_path}/app.db"), "TestClient": TestClient, "FastAPI": FastAPI,
    }  # fmt: skip


class Nothing:
    """Something that the reader has and that is not ours; whatever is called on it does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


async def execute(block: str, names: dict[str, Any]) -> None:
    found = eval(compiled(block), names)
    if inspect.isawaitable(found):
        await found


def in_a_request(block: str, names: dict[str, Any]) -> None:
    """Run a block in a route, where it has a request of a user who is logged in."""
    app = names["server"].app

    @app.get("/block")
    async def route(request: Request, response: Response, user: CurrentUser) -> str:
        await execute(block, {**names, "request": request, "response": response})
        return "done"

    with client_for(app, create_user(app, "zoe")) as client:
        answer = client.get("/block")
        assert (answer.status_code, answer.json()) == (200, "done"), answer.text


@pytest.mark.parametrize("name", HERE)
def test_the_programs_of_a_page_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    names: dict[str, Any] = {}
    for block in blocks(name):
        # Each block has an application of its own, as the reader's file does, and a server that served nobody yet.
        names |= given(tmp_path) | more(name, tmp_path)
        if "client" in block and "def test_" not in block:
            create_user(names["server"].app, "alice")
            names["client"] = TestClient(names["server"].app, base_url="https://testserver")
        names["app"] = names["server"].app if "def test_" in block else FastAPI()
        if re.search(r"\brequest\b", block):
            in_a_request(block, names)
        else:
            asyncio.run(execute(block, names))
        for test in [names.pop(key) for key in list(names) if key.startswith("test_")]:
            test()


def more(name: str, tmp_path: Path) -> dict[str, Any]:
    """What the reader of one page has besides."""
    if name == "docs/fastapi_users.md":
        site = Site(f"sqlite:///{tmp_path}/users.db")
        return {
            "fastapi_users": site.users, "backend": site.jwt, "some_user": object(), "UserManager": BaseUserManager,
            "CrossauthUserDatabase": CrossauthUserDatabase, "FastAPIUsers": FastAPIUsers,
        }  # fmt: skip
    if name == "docs/session_server.md":
        return {"MyStorage": InMemoryUserStorage}
    return {"statsd": Nothing(), "context": Nothing(), "connection": None, "target_metadata": None}
