"""The services that the other tests rely on."""

import asyncpg
import pytest
from fastapi import FastAPI
from playwright.async_api import Browser

from tests.services.uvicorn import serve


async def test_postgres_answers(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_chromium_opens_a_served_page(browser: Browser) -> None:
    app = FastAPI()
    app.get("/")(lambda: {"hello": "there"})
    with serve(app) as url:
        page = await browser.new_page()
        await page.goto(url)
        assert "there" in await page.content()
        await page.close()
