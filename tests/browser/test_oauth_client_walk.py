"""Every flow of examples/oauth_client.py by its buttons, in a browser without JavaScript, at a real OpenID provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
EXAMPLE = [str(ROOT / "examples" / "oauth_client.py")]
SHOTS = ROOT / "tests" / "browser" / "shots"
USER = "alice@example.com"


class Person:
    """Somebody at a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url

    async def home(self) -> None:
        await self.page.goto(self.url)

    async def press(self, button: str) -> None:
        await self.page.get_by_role("main").get_by_role("button", name=button, exact=True).click()

    async def follow(self, link: str) -> None:
        await self.page.get_by_role("main").get_by_role("link", name=link, exact=True).click()

    async def fill(self, button: str, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.fill(f"#{name}", value)
        await self.press(button)

    async def at_the_provider(self, user: str = USER) -> None:
        """Log in there and agree, as its own pages ask."""
        await self.page.fill("[name=login]", user)
        await self.page.fill("[name=password]", "any")
        await self.page.click("[type=submit]")
        await self.page.click("[type=submit]")

    async def sees(self, heading: str) -> None:
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    async def look(self, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"oauth-{name}.png", full_page=True)


@asynccontextmanager
async def person(browser: Browser, url: str) -> AsyncIterator[Person]:
    context = await browser.new_context(java_script_enabled=False)
    yield Person(await context.new_page(), url)
    await context.close()
