"""Every page of the example application: on a phone and on a desktop, in light and in dark, mirrored and with large text.

With CROSSAUTH_PICTURES=1 the pictures in `docs/pictures/pages` are made anew (`scripts/make_pictures.py` sets it).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request

from tests.browser.pictures import DESKTOP, SCENES, Scene, prepare
from tests.services.processes import running
from tests.support import PASSWORD

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = [str(ROOT / "examples" / "accounts.py")]
MAKING: Final = bool(os.environ.get("CROSSAUTH_PICTURES"))
SHOTS: Final = ROOT / "test-screenshots"
PICTURES: Final = ROOT / "docs" / "pictures" / "pages"
Scheme = Literal["light", "dark"]
LOOKS: Final[tuple[tuple[int, Scheme], ...]] = ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark"))
# Both color schemes and both widths; axe takes its time.
CHECKED: Final = ((390, "dark"), (1280, "light"))
MOST_BYTES: Final = 20_000
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
LINKED = "[...document.querySelectorAll('link[rel=stylesheet], script[src]')].map(e => e.href || e.src)"


class Gallery:
    """Looks at pages, and notes what is wrong with them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.problems: list[str] = []
        self._weights: dict[str, int] = {}

    def watch(self, page: Page) -> None:
        """Note what the browser complains of, and requests to other hosts."""

        def asked(request: Request) -> None:
            if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
                self.problems.append(f"{page.url} asks {request.url}")

        def said(message: ConsoleMessage) -> None:
            if message.type == "error" and "status of 4" not in message.text:
                self.problems.append(f"{page.url}: {message.text}")

        page.on("request", asked)
        page.on("console", said)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))

    async def look(self, page: Page, scene: Scene) -> None:
        """Take the pictures of a scene, and check it in each look."""
        for width, scheme in LOOKS:
            await page.set_viewport_size({"width": width, "height": 800})
            await page.emulate_media(color_scheme=scheme)
            if MAKING:
                await page.screenshot(path=SHOTS / f"{scene.name}-{width}-{scheme}.png", full_page=True)
                await page.screenshot(path=PICTURES / f"{scene.name}-{width}-{scheme}.png")
            await self._check(page, scene.name, width, scheme)
        await self._weigh(page, scene.name)

    async def _check(self, page: Page, name: str, width: int, scheme: str) -> None:
        if await page.evaluate(WIDER):
            self.problems.append(f"{name} scrolls sideways at {width}")
        await page.evaluate("document.documentElement.dir = 'rtl'")
        if await page.evaluate(WIDER):
            self.problems.append(f"{name} scrolls sideways at {width} from right to left")
        if MAKING:
            await page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}-rtl.png", full_page=True)
        await page.evaluate("document.documentElement.dir = 'ltr'; document.documentElement.style.fontSize = '200%'")
        if await page.evaluate(WIDER):
            self.problems.append(f"{name} scrolls sideways at {width} with text of 200 %")
        await page.evaluate("document.documentElement.style.fontSize = ''")
        if (width, scheme) in CHECKED:
            results = await Axe().run(page)
            if results.violations_count:
                self.problems.append(f"{name} {width} {scheme}: {results.generate_report()}")

    async def _sent(self, page: Page, url: str) -> int:
        """How many bytes of a file travel."""
        answer = await page.request.get(url, headers={"Accept-Encoding": "gzip"})
        return int(answer.headers["content-length"])

    async def _weigh(self, page: Page, name: str) -> None:
        weight = len((await page.content()).encode())
        for linked in await page.evaluate(LINKED):
            if linked not in self._weights:
                self._weights[linked] = await self._sent(page, linked)
            weight += self._weights[linked]
        if weight > MOST_BYTES:
            self.problems.append(f"{name} weighs {weight} bytes")


@asynccontextmanager
async def opened(browser: Browser, gallery: Gallery, username: str = "") -> AsyncIterator[Page]:
    """A page in a browser of its own, where a user is logged in."""
    # axe is put into the page by the test; the policy that keeps everybody else's scripts out is checked elsewhere.
    context = await browser.new_context(bypass_csp=True, user_agent=DESKTOP, reduced_motion="reduce")
    page = await context.new_page()
    if username:
        await page.goto(f"{gallery.url}/login")
        await page.fill("#username", username)
        await page.fill("#password", PASSWORD)
        await page.get_by_role("main").get_by_role("button", name="Log in").click()
    gallery.watch(page)
    yield page
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_every_page_in_every_look(browser: Browser, tmp_path: Path) -> None:
    if MAKING:
        SHOTS.mkdir(exist_ok=True)
        PICTURES.mkdir(parents=True, exist_ok=True)
    with running(EXAMPLE, tmp_path, {"CROSSAUTH_ADMIN": f"root:{PASSWORD}"}) as url:
        prepare(url)
        gallery = Gallery(url)
        async with opened(browser, gallery, "alice") as alice, opened(browser, gallery, "root") as root:
            people: dict[str, Any] = {"alice": alice, "root": root}
            for scene in SCENES:
                if scene.who != "nobody":
                    await visit(people[scene.who], gallery, scene)
                    continue
                async with opened(browser, gallery) as page:
                    await visit(page, gallery, scene)
        assert not gallery.problems, "\n".join(gallery.problems)


async def visit(page: Page, gallery: Gallery, scene: Scene) -> None:
    """Open a scene, do what it says, and look at it."""
    await page.goto(gallery.url + scene.path)
    if scene.act is not None:
        await scene.act(page)
        await page.wait_for_load_state()
    await gallery.look(page, scene)
