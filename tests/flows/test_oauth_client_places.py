"""The flows of the OAuth client wherever the application is, and on sessions that are not ours."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request

from crossauth_backend import User
from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import FastApiServer, FastApiSessionAdapter
from tests.deployments import DEPLOYMENTS, Deployment, targets
from tests.deployments import Visitor as PublicVisitor
from tests.oauthclient import HTML, JSON, TOKENS, ClientSite
from tests.services.uvicorn import serve
from tests.support import SECRET

KEPT: dict[str, Any] = {"token_response_type": "save_in_session_and_redirect", **TOKENS}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


def press(visitor: PublicVisitor, page: httpx2.Response, **fields: str) -> httpx2.Response:
    """Fill in the first form of a page, and send it to where it goes."""
    form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL)
    assert form is not None, page.text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[2]))
    return visitor.send("POST", unescape(form[1]), data={n: unescape(v) for n, v in hidden.items()} | fields)


def walk(visitor: PublicVisitor, provider: FakeProvider) -> None:
    root = visitor.root
    page = visitor.get(f"{root}/passwordflow?scope=openid")
    asked = press(visitor, page, username="alice", password="password of alice")
    wrong = press(visitor, asked, otp="0")
    assert wrong.status_code == 401
    done = press(visitor, wrong, otp=provider.mfa.otp)
    assert (done.status_code, done.headers["location"]) == (303, f"{root}/authorized")
    question = visitor.get(f"{root}/deletetokens")
    assert "Disconnected" in press(visitor, question).text
    # Of a mounted application nobody runs the lifespan, which would close it.
    assert visitor.send("POST", f"{root}/close").status_code == 200
    for displayed in (page, asked, wrong, question):
        links, forms = targets(displayed.text)
        assert all(link.startswith((f"{root}/", "https://")) for link in links)
        assert all(action.startswith(f"{root}/") for _, action in forms)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d.name)
async def test_the_pages_lead_on_wherever_the_application_is(provider: FakeProvider, deployment: Deployment) -> None:
    provider.mfa.require("alice", "otp")
    site = ClientSite(provider, KEPT, app=deployment.new_app(), site_url=f"http://localhost:8000{deployment.root}")
    client = site.server.oauth_client
    assert client is not None

    @site.server.app.post("/close")
    async def close() -> None:
        await client.aclose()

    with deployment.open(site.server.app) as visitor:
        # In a thread: the provider answers in this one.
        await asyncio.to_thread(walk, visitor, provider)


class Foreign(FastApiSessionAdapter):
    """Sessions of another framework: one for each value of the header `X-Browser`."""

    def __init__(self) -> None:
        self.data: dict[str, dict[str, Any]] = {}

    def _of(self, request: Request) -> dict[str, Any]:
        return self.data.setdefault(request.headers.get("x-browser", ""), {})

    def csrf_protection_enabled(self) -> bool:
        return True

    def get_csrf_token(self, request: Request) -> str | None:
        return "right" if request.method == "GET" or request.headers.get("x-token") == "right" else None

    def get_user(self, request: Request) -> User | None:
        return None

    async def get_session_data(self, request: Request, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._of(request).get(name)
        return found

    async def update_session_data(self, request: Request, name: str, value: Any) -> None:
        self._of(request)[name] = value

    async def update_many_session_data(self, request: Request, data_array: Any) -> None:
        for entry in data_array:
            self._of(request)[entry["dataName"]] = entry["value"]

    async def delete_session_data(self, request: Request, name: str) -> None:
        self._of(request).pop(name, None)


async def test_tokens_are_kept_in_sessions_of_an_adapter(provider: FakeProvider) -> None:
    provider.mfa.require("alice", "sms")
    adapter = Foreign()
    options = {**provider.client_options, **KEPT, "valid_flows": ["all"], "secret": SECRET}
    app = FastAPI()
    FastApiServer(
        {"session_adapter": adapter, "oauth_client": {"auth_server_base_url": provider.url, "options": options}},
        {"app": app, "site_url": "http://localhost:8000"},
    )
    headers = {"X-Browser": "one", "X-Token": "right"}
    with serve(app) as url:
        async with httpx2.AsyncClient(base_url=url, trust_env=False, headers=headers) as browser:
            page = await browser.get("/passwordflow")
            assert 'name="csrfToken" value="right"' in page.text
            sent = {"username": "alice", "password": "password of alice", "scope": "openid"}
            asked = (await browser.post("/passwordflow", json=sent, headers=JSON)).json()
            fields = {name: asked[name] for name in ("mfa_token", "oob_code")} | {"binding_code": provider.mfa.sent[-1]}
            refused = await browser.post("/passwordoob", data=fields, headers={"X-Token": "wrong"})
            assert refused.status_code == 403
            done = await browser.post("/passwordoob", data=fields, headers=HTML)
            assert (done.status_code, done.headers["location"]) == (303, "/authorized")
            assert (await browser.post("/tokens")).json()["id_token"]["sub"] == "alice"
            assert (await browser.post("/tokens", headers={"X-Browser": "two"})).status_code == 204
            assert (await browser.post("/api/refreshtokens")).json()["ok"] is True
            for token in (*provider.access_tokens, *provider.refresh_tokens):
                assert token not in str(adapter.data)
            assert (await browser.post("/api/deletetokens")).json() == {"ok": True}
            assert (await browser.post("/tokens")).status_code == 204
