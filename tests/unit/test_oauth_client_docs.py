"""What the README, docs/oauth_client.md and the pages of its flows say, run as written."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request

from crossauth_backend import (
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    SqlAlchemyIdentityStorage,
    open_engine,
)
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import (
    BffEndpoint,
    FastApiOAuthClientOptions,
    FastApiOAuthClientParams,
    FastApiServer,
    FastApiSessionAdapter,
)
from tests.services.processes import free_port, running
from tests.services.uvicorn import serve
from tests.support import CHEAP, CSRF, SECRET

ROOT = Path(__file__).parents[2]
FLOWS = ("authorization_code", "client_credentials", "refresh_token", "device_code", "password")
CLIENT, CLIENT_SECRET = "shop", "the secret that the provider gave you"
ISSUER = "https://auth.example.com"


def blocks(page: str, kind: str = "python") -> list[str]:
    """The blocks of a kind on a page."""
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider in a thread of its own, which knows the clients of the pages."""
    loop, provider = asyncio.new_event_loop(), FakeProvider()
    provider.clients.update(
        {CLIENT: CLIENT_SECRET, "machine": "the secret of the machine", "television": CLIENT_SECRET}
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(provider.__aenter__(), loop).result(20)
    yield provider
    asyncio.run_coroutine_threadsafe(provider.stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


class Visitor(httpx2.Client):
    """A browser at an application whose `site_url` is not where it listens."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=30)

    def log_in(self, start: str = "/authzcodeflow") -> httpx2.Response:
        """Go to the provider, which agrees, and come back."""
        away = self.get(start)
        assert away.is_redirect, away.text
        back = urlsplit(httpx2.get(away.headers["location"], trust_env=False).headers["location"])
        return self.get(f"{back.path}?{back.query}")

    def submit(self, path: str, **fields: Any) -> httpx2.Response:
        """A POST with a CSRF token."""
        token = self.get("/api/getcsrftoken").json()["csrfToken"]
        return self.post(path, json=fields, headers={CSRF: token})


def run(block: str, provider: FakeProvider, **given: Any) -> dict[str, Any]:
    """What a block defines, with our provider instead of its."""
    names = {
        "BffEndpoint": BffEndpoint, "FastAPI": FastAPI, "FastApiOAuthClientOptions": FastApiOAuthClientOptions,
        "FastApiOAuthClientParams": FastApiOAuthClientParams, "FastApiServer": FastApiServer,
        "InMemoryKeyStorage": InMemoryKeyStorage, "Request": Request, **given,
    }  # fmt: skip
    exec(block.replace(ISSUER, provider.url), names)
    return names


@contextmanager
def serving(provider: FakeProvider, options: dict[str, Any], session: bool = True) -> Iterator[Visitor]:
    """An application with the options of a page."""
    app = FastAPI()

    @app.get("/orders")
    async def orders(request: Request) -> str | None:
        return request.state.user.username if request.state.user else None

    params: Any = {"oauth_client": {"auth_server_base_url": provider.url, "options": options}}
    if session:
        params["session"] = {"key_storage": InMemoryKeyStorage()}
    FastApiServer(params, {"app": app, "secret": SECRET, "site_url": "http://localhost:8000"})
    with serve(app) as url, Visitor(url) as visitor:
        yield visitor


def test_every_block_is_run_here() -> None:
    counts = {name: len(blocks(f"docs/flow_{name}.md")) for name in FLOWS}
    assert counts == {
        "authorization_code": 1, "client_credentials": 2, "refresh_token": 1, "device_code": 2, "password": 1,
    }  # fmt: skip
    assert len(blocks("docs/oauth_client.md")) == 8
    assert len(blocks("docs/backend_for_frontend.md")) == 1, "and in tests/browser/test_backend_for_frontend_page.py"


def test_logging_in_takes_fewer_than_fifteen_lines(provider: FakeProvider, tmp_path: Path) -> None:
    block = next(block for block in blocks("README.md") if "oauth_client" in block)
    assert len([line for line in block.splitlines() if line.strip()]) < 15
    port = free_port()
    (tmp_path / "app.py").write_text(block.replace("https://accounts.google.com", provider.url))
    settings = {
        "CROSSAUTH_SECRET": SECRET, "CROSSAUTH_SITE_URL": f"http://localhost:{port}", "CROSSAUTH_OAUTH_CLIENT_ID": CLIENT,
        "CROSSAUTH_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
    }  # fmt: skip
    with running(["-m", "uvicorn", "app:app"], tmp_path, settings, port=port) as url, Visitor(url) as visitor:
        assert visitor.get("/me").status_code == 401
        assert visitor.log_in().headers["location"] == "/me"
        assert visitor.get("/me").json()["hello"]


def test_the_application_of_the_page(provider: FakeProvider) -> None:
    provided = run(blocks("docs/oauth_client.md")[0], provider)
    with serve(provided["app"]) as url, Visitor(url) as visitor:
        assert visitor.get("/orders").status_code == 401
        assert visitor.log_in().headers["location"] == "/orders"
        (order,) = visitor.get("/orders").json()
        assert order.startswith("orders of ")
        assert visitor.submit("/tokens").status_code == 200


def test_tokens_are_given_to_a_function(provider: FakeProvider) -> None:
    more = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "valid_flows": ["oidcAuthorizationCode"]}
    options = run(blocks("docs/oauth_client.md")[1], provider)["options"]
    with serving(provider, {**more, **options}) as visitor:
        assert set(visitor.log_in().json()) == {"scope"}


def test_a_login_of_ones_own(provider: FakeProvider, tmp_path: Path) -> None:
    """Who logs in at the provider for the first time gets an account, and is logged in here."""
    provided = {
        "SqlAlchemyIdentityStorage": SqlAlchemyIdentityStorage,
        "engine": open_engine(f"sqlite:///{tmp_path}/a.db"),
    }
    options = eval(blocks("docs/oauth_client.md")[2], provided)
    users, app = InMemoryUserStorage(), FastAPI()
    client = {
        "client_id": CLIENT, "client_secret": CLIENT_SECRET, "valid_flows": ["oidcAuthorizationCode"],
        "token_response_type": "save_in_session_and_redirect", "authorized_url": "/", **options,
    }  # fmt: skip
    params: Any = {
        "session": {"key_storage": InMemoryKeyStorage()},
        "oauth_client": {"auth_server_base_url": provider.url, "options": client},
    }
    shared = {"authenticators": {"localpassword": LocalPasswordAuthenticator(users, CHEAP)}, "user_storage": users}
    FastApiServer(params, {"app": app, "secret": SECRET, "site_url": "http://localhost:8000", **shared})
    with serve(app) as url, Visitor(url) as visitor:
        assert visitor.log_in("/authzcodeflow?scope=openid%20email").is_redirect
        found = visitor.get("/api/userforsessionkey").json()
        assert found["user"]["username"], "not by the ID token alone, but by a session"
        assert "localhost" in visitor.get("/linkedaccounts").text or "127.0.0.1" in visitor.get("/linkedaccounts").text


async def test_several_providers_have_paths_of_their_own(provider: FakeProvider) -> None:
    async with FakeProvider() as other:
        block = blocks("docs/oauth_client.md")[3]
        provided = run(
            block.replace("https://accounts.google.com", provider.url).replace("https://gitlab.com", other.url),
            provider,
        )
        with serve(provided["server"].app) as url, Visitor(url) as visitor:
            for name, expected in (("google", provider.url), ("gitlab", other.url)):
                away = await asyncio.to_thread(visitor.get, f"/{name}/authzcodeflow")
                assert away.headers["location"].startswith(expected)
                assert f"%2F{name}%2Fauthzcode" in away.headers["location"]


class Memory(FastApiSessionAdapter):
    """Sessions of one browser."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def csrf_protection_enabled(self) -> bool:
        return False

    def get_csrf_token(self, request: Request) -> str | None:
        return None

    def get_user(self, request: Request) -> None:
        return None

    async def get_session_data(self, request: Request, name: str) -> Any:
        return self.data.get(name)

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        self.data[name] = value

    async def update_many_session_data(self, request: Request, data_array: Any) -> None:
        self.data.update({entry["data_name"]: entry.get("value") for entry in data_array})

    async def delete_session_data(self, request: Request, name: str) -> None:
        self.data.pop(name, None)


def test_tokens_in_sessions_of_another_framework(provider: FakeProvider) -> None:
    adapter, app = Memory(), FastAPI()
    options = {
        "app": app, "secret": SECRET, "site_url": "http://localhost:8000", "client_id": CLIENT,
        "client_secret": CLIENT_SECRET, "valid_flows": ["oidcAuthorizationCode"],
        "token_response_type": "save_in_session_and_redirect",
    }  # fmt: skip
    run(blocks("docs/oauth_client.md")[4], provider, adapter=adapter, issuer=provider.url, options=options)
    with serve(app) as url, Visitor(url) as visitor:
        assert visitor.log_in().is_redirect
    assert list(adapter.data) == ["oauth"]
    assert "access_token" not in str(adapter.data)


def test_tokens_without_a_session(provider: FakeProvider) -> None:
    server = run(blocks("docs/oauth_client.md")[5], provider)["server"]
    with serve(server.app) as url, Visitor(url) as visitor:
        answer = visitor.log_in("/authzcodeflowpkce?scope=openid")
        assert answer.json()["ok"] is True
        assert answer.json()["id_payload"]["iss"] == provider.url


async def test_the_protocol_alone_and_a_provider_for_tests() -> None:
    names: dict[str, Any] = {}
    for block in blocks("docs/oauth_client.md")[6:]:
        exec(block, names)
    await names["test_tokens"]()


def test_the_authorization_code_page(provider: FakeProvider) -> None:
    options = run(blocks("docs/flow_authorization_code.md")[0], provider)["options"]
    (link,) = re.findall(r'href="([^"]+)"', blocks("docs/flow_authorization_code.md", "html")[0])
    with serving(provider, options) as visitor:
        assert visitor.log_in(link).headers["location"] == "/orders"
        assert visitor.get("/orders").json()


async def test_the_client_credentials_page(provider: FakeProvider) -> None:
    program, options = blocks("docs/flow_client_credentials.md")
    assert await run(program, provider)["token"](provider.url)
    with serving(provider, run(options, provider)["options"]) as visitor:
        answer = await asyncio.to_thread(visitor.submit, "/clientcredflow", scope="orders:read")
        assert answer.is_redirect


def test_the_refresh_token_page(provider: FakeProvider) -> None:
    options = run(blocks("docs/flow_refresh_token.md")[0], provider)["options"]
    with serving(provider, options) as visitor:
        assert visitor.submit("/api/refreshtokens").status_code == 204
        visitor.log_in("/authzcodeflow?scope=openid%20offline_access")
        refreshed = visitor.submit("/api/refreshtokens").json()
        assert refreshed["ok"] is True
        assert isinstance(refreshed["expires_at"], int)


async def test_the_device_code_page(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    options, program = blocks("docs/flow_device_code.md")
    with serving(provider, run(options, provider)["options"]) as visitor:
        started = await asyncio.to_thread(visitor.submit, "/api/devicecodeflow", scope="openid")
        assert {"device_code", "user_code", "verification_uri", "verification_uri_qrdata"} <= set(started.json())
    provided = run(program, provider)
    client = provided["OAuthClient"](provider.url, {"client_id": "television", "client_secret": CLIENT_SECRET})
    waits: list[float] = []
    answers = iter(["authorization_pending", "slow_down", "authorization_pending", ""])

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def poll(device_code: str) -> dict[str, str]:
        error = next(answers)
        return {"error": error} if error else {"access_token": "a token"}

    monkeypatch.setattr(client, "poll_device_code_flow", poll)
    provided["asyncio"] = SimpleNamespace(sleep=sleep)
    assert await provided["log_in"](client, "openid") == "a token"
    assert [wait - waits[0] for wait in waits] == [0, 0, 5, 5]
    assert "enter" in capsys.readouterr().out
    await client.aclose()


def test_the_password_page(provider: FakeProvider) -> None:
    options = run(blocks("docs/flow_password.md")[0], provider)["options"]
    provider.passwords = {"alice": "any password"}
    with serving(provider, options) as visitor:
        assert visitor.get("/passwordflow").status_code == 200
        answer = visitor.submit("/passwordflow", username="alice", password="any password", scope="openid")
        assert answer.headers["location"] == "/orders"
