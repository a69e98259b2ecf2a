"""Every mail in a browser, on a phone and on a desk, in light and in dark, and in the outbox."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser

from tests.accounts import Browser as Person
from tests.accounts import World
from tests.mails import ACME, MAILS, SCHEMES, WIDTHS, mail, picture_name

SHOTS = Path(__file__).parents[2] / "test-screenshots"
PICTURES = Path(__file__).parents[2] / "docs" / "pictures" / "mails"
# A mail is shown within a page of the mail program, which has the landmarks.
NO_PAGE = {rule: {"enabled": False} for rule in ("region", "landmark-one-main")}
LONG = "a.rather-long-name_" * 5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.asyncio(loop_scope="session")
async def test_every_mail(browser: Browser, scheme: Any, width: int) -> None:
    """Axe measures contrast, too."""
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 600})
    page = await context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    SHOTS.mkdir(exist_ok=True)
    for name in MAILS:
        for brand, values in ((ACME, {}), (ACME, {"username": LONG, "name": LONG})):
            await page.set_content((await mail(name, brand=brand, **values)).html or "")
            wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide, f"{name} scrolls sideways"
        await page.set_content((await mail(name)).html or "")
        await page.screenshot(path=SHOTS / f"mail-{picture_name(name, scheme, width)}", full_page=True)
        results = await Axe().run(page, options={"rules": NO_PAGE})
        assert results.violations_count == 0, f"{name} {scheme}: {results.generate_report()}"
        dark = await page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
        assert (dark == "rgb(24, 27, 36)") == (scheme == "dark")
    assert requests == [], "nothing is loaded"
    await context.close()


def test_every_mail_has_its_pictures_in_the_docs() -> None:
    """Made by `scripts/mail_pictures.py`."""
    expected = {picture_name(name, scheme, width) for name in MAILS for scheme in SCHEMES for width in WIDTHS}
    assert {path.name for path in PICTURES.iterdir()} == expected
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 1_000_000


@pytest.mark.asyncio(loop_scope="session")
async def test_the_outbox_shows_a_mail_as_html_that_can_do_nothing(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "passwordresethtmlbody.jinja2").write_text(
        '<p id="said">{{ token }}</p><script>document.title = "ran"</script><form action="/logout" method="post"></form>'
    )
    world = World(views=str(tmp_path))
    with world.open() as url, Person(url) as person:
        person.sign_up(factor2="none", user_email="alice@example.com")
        person.call("/api/requestpasswordreset", email="alice@example.com")
        page = await browser.new_page()
        await page.goto(f"{url}/outbox")
        await page.locator("article a", has_text="HTML").first.click()
        assert await page.locator("#said").inner_text() in person.mail()[0]["text"]
        assert await page.title() != "ran"
        assert await page.evaluate("origin") == "null", "it belongs to no site"
        await page.close()
