"""Every flow of examples/oauth_client.py by its buttons, in a browser without JavaScript, at a real OpenID provider."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.test_pages import Visitor
from tests.services.oidc import NODE
from tests.services.processes import free_port, running
from tests.support import PASSWORD

ROOT = Path(__file__).parents[2]
EXAMPLE = [str(ROOT / "examples" / "oauth_client.py")]
SHOTS = ROOT / "test-screenshots"
USER = "alice"


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

    async def is_in(self, name: str) -> None:
        """At home, the page says who is logged in."""
        await expect(self.page.locator("main .lead")).to_have_text(f"Logged in as {name}.")

    async def is_out(self) -> None:
        """At home, the page says that nobody is logged in."""
        await expect(self.page.locator("main .lead")).to_have_text("You're not logged in.")

    async def look(self, name: str) -> None:
        SHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"oauth-{name}.png", full_page=True)


@asynccontextmanager
async def person(browser: Browser, url: str) -> AsyncIterator[Person]:
    context = await browser.new_context(java_script_enabled=False)
    yield Person(await context.new_page(), url)
    await context.close()


@contextmanager
def a_provider(port: int, client_url: str) -> Iterator[str]:
    """The provider that `make provider` runs; yields its URL."""
    environment = {**os.environ, "PORT": str(port), "CLIENT_URL": client_url}
    process = subprocess.Popen(
        [NODE, "examples/provider.mjs"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert any(b"An OpenID provider is at" in line for line in process.stdout), "is `npm ci` of tests/peers done?"
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example as somebody runs it, and its provider."""
    provider_port, port = free_port(), free_port()
    url = f"http://localhost:{port}"
    with a_provider(provider_port, url) as provider:
        settings = {"ISSUER": provider}
        with running(EXAMPLE, tmp_path_factory.mktemp("client"), settings, port=port):
            yield url


def test_the_example_is_short() -> None:
    assert len(Path(EXAMPLE[0]).read_text().splitlines()) < 80


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.asyncio(loop_scope="session")
async def test_the_home_page_has_a_button_for_every_flow(browser: Browser, site: str, width: int) -> None:
    # As in test_pages.py: axe is put into the page by the test.
    context = await browser.new_context(viewport={"width": width, "height": 800}, bypass_csp=True)
    visitor = Visitor(await context.new_page(), site, f"{width}")
    await visitor.visit("/", "oauth-client-home")
    page = visitor.page
    for starter in ("authzcodeflow", "authzcodeflowpkce", "passwordflow"):
        await expect(page.locator(f'main a[href^="/{starter}?"]')).to_be_visible()
    for starter in ("devicecodeflow", "clientcredflow", "refreshtokens"):
        await expect(page.locator(f'main form[action="/{starter}"] button')).to_be_visible()
    assert visitor.complaints == []
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_code_flow_api_call_refresh_and_logout(browser: Browser, site: str) -> None:
    async with person(browser, site) as alice:
        await alice.home()
        await alice.look("home")
        await alice.follow("Call the API")
        await alice.look("bff-refused")
        await alice.home()
        await alice.follow("Log in at the provider")
        await alice.at_the_provider()
        await expect(alice.page).to_have_url(f"{site}/")
        await alice.is_in("alice")
        await alice.look("home-logged-in")

        await alice.follow("Call the API")
        await expect(alice.page.locator("body")).to_contain_text('"sub":"alice"')
        await alice.home()
        await alice.press("Try it: See your tokens")
        await expect(alice.page.locator("body")).to_contain_text('"sub":"alice"')
        await alice.home()
        await alice.press("Try it: Refresh them")
        await expect(alice.page).to_have_url(f"{site}/")
        await alice.is_in("alice")

        await alice.follow("Log out at the provider")
        await alice.look("logout")
        await alice.press("Log out")
        await alice.page.get_by_role("button", name="Yes, sign me out").click()
        await alice.sees("You're logged out")
        await alice.look("loggedout")
        await alice.home()
        await alice.is_out()
        await alice.follow("Call the API")
        await expect(alice.page.locator("body")).to_contain_text("log in first")


@pytest.mark.asyncio(loop_scope="session")
async def test_code_flow_with_pkce(browser: Browser, site: str) -> None:
    async with person(browser, site) as erin:
        await erin.home()
        async with erin.page.expect_request(lambda request: "/auth?" in request.url) as asked:
            await erin.follow("Log in with PKCE")
        query = parse_qs(urlsplit((await asked.value).url).query)
        assert (query["code_challenge_method"], len(query["code_challenge"][0])) == (["S256"], 43)
        await erin.at_the_provider("erin")
        await expect(erin.page).to_have_url(f"{site}/")
        await erin.is_in("erin")
        await erin.press("Try it: See your tokens")
        await expect(erin.page.locator("body")).to_contain_text('"sub":"erin"')


@pytest.mark.asyncio(loop_scope="session")
async def test_refresh_token_flow_of_the_session(browser: Browser, site: str) -> None:
    """A page whose button begins the flow itself; that of the example renews the tokens of the session by another path."""

    async def another_button(route: Route) -> None:
        answer = await route.fetch()
        text = (await answer.text()).replace('action="/refreshtokens"', 'action="/refreshtokenflow"')
        await route.fulfill(response=answer, body=text)

    async with person(browser, site) as frank:
        await frank.page.route(f"{site}/", another_button)
        await frank.home()
        await frank.press("Try it: Refresh them")
        await frank.look("refreshtokenflow-refused")
        await expect(frank.page).to_have_url(f"{site}/refreshtokenflow")
        await expect(frank.page.get_by_role("main")).to_contain_text("There is no refresh token")
        await frank.home()
        await frank.follow("Log in at the provider")
        await frank.at_the_provider("frank")
        for _ in range(2):
            await frank.home()
            async with frank.page.expect_request(f"{site}/refreshtokenflow"):
                await frank.press("Try it: Refresh them")
            await expect(frank.page).to_have_url(f"{site}/")
            await frank.is_in("frank")
        await frank.follow("Call the API")
        await expect(frank.page.locator("body")).to_contain_text('"sub":"frank"')


@pytest.mark.asyncio(loop_scope="session")
async def test_device_code_flow_with_a_phone(browser: Browser, site: str) -> None:
    async with person(browser, site) as television, person(browser, site) as phone:
        await television.home()
        await television.press("Try it: Log in by device code")
        await expect(television.page.get_by_role("img", name="QR code")).to_be_visible()
        await television.look("devicecodeflow")
        code = await television.page.locator(".usercode").inner_text()
        await television.press("I have confirmed it there")
        await expect(television.page.get_by_role("status")).to_be_visible()
        await television.look("devicecodeflow-pending")

        link = television.page.get_by_role("main").get_by_role("link").first
        await phone.page.goto(await link.get_attribute("href") or "")
        await phone.look("phone")
        await phone.page.fill("[name=user_code]", code)
        await phone.page.click("[type=submit]")
        await phone.look("phone2")
        await phone.page.click("[type=submit]")
        await phone.at_the_provider("bob")
        await phone.look("phone3")

        await television.press("I have confirmed it there")
        await television.is_in("bob")


@pytest.mark.asyncio(loop_scope="session")
async def test_password_flow_and_deleting_the_tokens(browser: Browser, site: str) -> None:
    async with person(browser, site) as carol:
        await carol.home()
        await carol.follow("Log in by password")
        await carol.look("passwordflow")
        await carol.fill("Log in", username="carol", password="any")
        await carol.is_in("carol")
        await carol.follow("Delete them")
        await carol.look("deletetokens")
        await carol.press("Disconnect")
        await carol.look("deletetokens-done")
        await carol.home()
        await carol.is_out()


@pytest.mark.asyncio(loop_scope="session")
async def test_client_credentials_flow(browser: Browser, site: str) -> None:
    async with person(browser, site) as somebody:
        await somebody.home()
        await somebody.press("Try it: Get a token for this application")
        await expect(somebody.page).to_have_url(f"{site}/")
        await somebody.is_out()
        await somebody.press("Try it: See your tokens")
        await expect(somebody.page.locator("body")).to_contain_text('"have_access_token":true')


@pytest.mark.asyncio(loop_scope="session")
async def test_an_account_is_linked_used_and_unlinked(browser: Browser, site: str) -> None:
    async with person(browser, site) as dave, person(browser, site) as elsewhere:
        await dave.page.goto(f"{site}/signup")
        await dave.fill("Sign up", username="dave", password=PASSWORD, repeat_password=PASSWORD)
        await dave.home()
        await dave.follow("Link an account")
        await dave.look("linkedaccounts-none")
        await dave.page.get_by_role("main").get_by_role("button").last.click()
        await dave.at_the_provider("dave-at-the-provider")
        await dave.look("linkedaccounts")

        await elsewhere.home()
        await elsewhere.follow("Log in at the provider")
        await elsewhere.at_the_provider("dave-at-the-provider")
        await elsewhere.is_in("dave")

        await dave.press("Unlink localhost")
        await expect(dave.page.get_by_role("main")).to_contain_text("No accounts are linked yet")
        # Whoever came in by the account is out, wherever that was.
        await elsewhere.home()
        await expect(elsewhere.page.get_by_role("main")).not_to_contain_text("dave")
