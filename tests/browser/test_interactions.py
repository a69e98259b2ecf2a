"""A login form that ends at another site, in a browser that holds the whole chain of redirects to the page's policy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response
from playwright.async_api import Browser, Page
from starlette.responses import RedirectResponse

from tests.accounts import World
from tests.authorize import Provider
from tests.services.uvicorn import serve
from tests.support import PASSWORD, Client


@contextmanager
def client_site() -> Iterator[str]:
    """Another origin: another port of this host."""
    app = FastAPI()

    @app.get("/callback")
    async def callback(request: Request) -> dict[str, str]:
        return {"arrived": "at the client", **dict(request.query_params)}

    with serve(app) as url:
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page, with what the browser complains of."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def log_in(page: Page) -> None:
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("main").get_by_role("button", name="Log in").click()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_login_arrives_at_the_client(page: Page) -> None:
    with client_site() as client:
        world = World()
        Provider(world.server.app, (f"{client}/callback",))
        with world.open() as url, Client(url) as person:
            assert person.sign_up(user_email="alice@example.com", factor2="none").status_code == 200
            await page.goto(f"{url}/authorize?state=s1")
            await log_in(page)
            await page.wait_for_url(f"{client}/callback?*")
            assert "code-of-alice" in await page.inner_text("body")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_second_factor_arrives_at_the_client(page: Page) -> None:
    with client_site() as client:
        world = World()
        Provider(world.server.app, (f"{client}/callback",))
        with world.open() as url, Client(url) as person:
            assert person.sign_up(user_email="alice@example.com", factor2="none").status_code == 200
            displayed = person.call("/api/changefactor2", factor2="totp").json()
            assert person.call("/api/configurefactor2", otp=world.code(displayed["totpsecret"])).status_code == 200
            await page.goto(f"{url}/authorize?state=s1")
            await log_in(page)
            await page.fill("#otp", world.code(displayed["totpsecret"]))
            await page.get_by_role("main").get_by_role("button", name="Continue").click()
            await page.wait_for_url(f"{client}/callback?*")


@pytest.mark.asyncio(loop_scope="session")
async def test_without_a_flow_the_browser_stays(page: Page) -> None:
    """The control: what makes the other tests pass is what the page allows."""
    with client_site() as client:
        world = World()

        @world.server.app.get("/go")
        async def go() -> Response:
            return RedirectResponse(f"{client}/callback", 302)

        with world.open() as url, Client(url) as person:
            assert person.sign_up(user_email="alice@example.com", factor2="none").status_code == 200
            await page.goto(f"{url}/login?next=/go")
            async with page.expect_console_message(lambda message: "form-action" in message.text):
                await log_in(page)
            assert not page.url.startswith(client)
