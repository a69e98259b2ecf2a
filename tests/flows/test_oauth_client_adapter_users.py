"""Who is asking, by an ID token in the sessions of another framework."""

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.middleware.sessions import SessionMiddleware
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crossauth_backend import InMemoryUserStorage
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import CurrentUser, FastApiServer, OptionalUser
from tests.oauthclient import CSRF, IN_SESSION, Visitor
from tests.oauthpeople import asking, come
from tests.patience import PATIENCE
from tests.services.uvicorn import serve
from tests.support import SECRET

EXAMPLE = Path(__file__).parents[2] / "examples" / "session_adapter.py"


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def sessions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The session adapter of the example."""
    monkeypatch.setenv("CROSSAUTH_SECRET", SECRET)
    spec = importlib.util.spec_from_file_location("adapter_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.StarletteSessions()


def application(provider: FakeProvider, adapter: Any, outside: bool, **client: Any) -> FastAPI:
    """An application whose own sessions come before our middleware, or after it."""
    app = FastAPI()
    provided = {
        **provider.client_options,
        "valid_flows": ["all"],
        "fetch_timeout": PATIENCE,
        "secret": SECRET,
        **IN_SESSION,
        **client,
    }
    keep: dict[str, Any] = {"secret_key": SECRET, "https_only": False}
    if not outside:
        app.add_middleware(SessionMiddleware, **keep)
    FastApiServer(
        {"session_adapter": adapter, "oauth_client": {"auth_server_base_url": provider.url, "options": provided}},
        {"app": app, "site_url": "http://localhost:8000"},
    )
    if outside:
        app.add_middleware(SessionMiddleware, **keep)

    @app.post("/enter/{name}")
    async def enter(name: str, request: Request) -> None:
        request.session["username"] = name

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.username

    @app.post("/change")
    async def change(user: CurrentUser) -> str:
        return user.username

    @app.get("/asking")
    async def who(request: Request) -> dict[str, Any]:
        state = request.state
        user = state.user
        sub = (state.id_payload or {}).get("sub")
        return {"user": user and user.username, "kind": type(user).__name__, "auth_type": state.auth_type, "sub": sub}

    @app.websocket("/talk")
    async def talk(socket: WebSocket, user: CurrentUser) -> None:
        await socket.accept()
        await socket.send_text(user.username)
        await socket.close()

    @app.get("/welcome")
    async def welcome(user: OptionalUser) -> str | None:
        return user.username if user is not None else None

    return app


@pytest.mark.parametrize("outside", [True, False])
async def test_a_user_is_made_of_the_id_token(
    provider: FakeProvider, outside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(application(provider, sessions(monkeypatch), outside)) as url:
        async with Visitor(url) as browser:
            assert await asking(browser) == {"user": None, "kind": "NoneType", "auth_type": None, "sub": None}
            done = await come(browser, provider)
            assert done.status_code == 302, done.text
            told = await asking(browser)
            assert told == {"user": "alice", "kind": "ClaimedUser", "auth_type": "oidc", "sub": "alice"}
            assert (await browser.get("/me")).json() == "alice"
            assert (await browser.get("/welcome")).json() == "alice"
            # These sessions check CSRF by themselves.
            assert (await browser.post("/change")).json() == "alice"


async def test_whoever_is_logged_in_there_goes_first(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(application(provider, sessions(monkeypatch), True)) as url:
        async with Visitor(url) as browser:
            await come(browser, provider)
            await browser.post("/enter/bob")
            told = await asking(browser)
            assert (told["user"], told["auth_type"], told["sub"]) == ("bob", "session", "alice")


async def test_an_account_is_found_there_too(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    users = InMemoryUserStorage()
    user = await users.create_user({"username": "wonder", "state": "active", "factor1": ""})
    provider.users[str(user.id)] = {"name": "Alice"}
    client = {"user_creation_type": "merge", "user_storage": users, "oauth_issuer": provider.url}
    with serve(application(provider, sessions(monkeypatch), True, **client)) as url:
        async with Visitor(url) as browser:
            await come(browser, provider, str(user.id))
            assert (await asking(browser))["user"] == "wonder"
            await users.update_user({"id": user.id, "state": "disabled"})
            assert (await browser.get("/me")).status_code == 401


async def test_where_the_adapter_has_csrf_tokens_a_change_needs_one(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = sessions(monkeypatch)
    monkeypatch.setattr(type(adapter), "csrf_protection_enabled", lambda self: True)
    monkeypatch.setattr(type(adapter), "get_csrf_token", lambda self, request: request.headers.get(CSRF))
    with serve(application(provider, adapter, True)) as url:
        async with Visitor(url) as browser:
            await come(browser, provider)
            assert (await browser.post("/change")).status_code == 403
            assert (await browser.post("/change", headers={CSRF: "t"})).json() == "alice"


async def test_a_socket_is_opened_by_a_page_of_this_site_only(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(application(provider, sessions(monkeypatch), True)) as url:
        async with Visitor(url) as browser:
            await come(browser, provider)
            cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            address = url.replace("http", "ws", 1) + "/talk"
            for origin, let_in in ((url, True), ("https://elsewhere.example", False)):
                headers = {"Cookie": cookies, "Origin": origin}
                if let_in:
                    async with connect(address, additional_headers=headers) as socket:
                        assert await socket.recv() == "alice"
                    continue
                with pytest.raises(InvalidStatus):
                    async with connect(address, additional_headers=headers):
                        pass
