"""The single-page application of docs/backend_for_frontend.md, in a browser, with its API behind it."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from playwright.async_api import Browser, expect

from tests.services.oidc import oidc_provider
from tests.services.processes import free_port, running
from tests.services.uvicorn import serve

PAGE = (Path(__file__).parents[2] / "docs" / "backend_for_frontend.md").read_text()
SEEN: list[str | None] = []


def an_api() -> FastAPI:
    """Orders and events for callers with an access token."""
    app, orders = FastAPI(), ["coffee"]

    def check(request: Request) -> None:
        SEEN.append(request.headers.get("cookie"))
        if not request.headers.get("authorization", "").startswith("Bearer "):
            raise HTTPException(401)

    @app.get("/orders")
    async def read(request: Request) -> list[str]:
        check(request)
        return orders

    @app.post("/orders")
    async def add(request: Request) -> list[str]:
        check(request)
        orders.append((await request.json())["what"])
        return orders

    @app.get("/events")
    async def events(request: Request) -> StreamingResponse:
        check(request)

        async def lines() -> AsyncIterator[str]:
            for number in range(1000):
                yield f"data: event {number}\n\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(lines(), media_type="text/event-stream")

    return app


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_calls_the_api_and_no_script_sees_a_token(browser: Browser, tmp_path: Path) -> None:
    (python,), (html,), (script,) = (
        re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("python", "html", "js")
    )
    port = free_port()
    site = f"http://localhost:{port}"
    with oidc_provider(f"{site}/authzcode") as provider, serve(an_api()) as api:
        values: dict[str, Any] = {
            "https://auth.example.com": provider.url, "https://api.example.com": api, "http://localhost:8000": site,
            '"shop"': '"client"', "the secret that the provider gave you": "a secret of the client's, long enough",
        }  # fmt: skip
        text = python
        for before, after in values.items():
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "app.py").write_text(text)
        (tmp_path / "index.html").write_text(html)
        (tmp_path / "app.js").write_text(script)
        context = await browser.new_context()
        page = await context.new_page()
        with running(["-m", "uvicorn", "app:app"], tmp_path, port=port):
            await page.goto(site)
            await page.get_by_role("link", name="Log in").click()
            await page.fill("[name=login]", "alice")
            await page.fill("[name=password]", "any")
            await page.click("[type=submit]")
            await page.click("[type=submit]")
            await expect(page).to_have_url(f"{site}/")
            await expect(page.get_by_role("listitem")).to_have_text(["coffee"])
            await page.get_by_role("button", name="Order tea").click()
            await expect(page.get_by_role("listitem")).to_have_text(["coffee", "tea"])
            await expect(page.locator("#latest")).to_contain_text("event 3")
            assert await page.evaluate("document.cookie") == "" or "SESSIONID" not in await page.evaluate(
                "document.cookie"
            )
            await page.close()
        await context.close()
    assert SEEN
    assert set(SEEN) == {None}
