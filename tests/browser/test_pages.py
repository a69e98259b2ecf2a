"""Every page, in light and dark, on a phone and on a desk: accessible, styled, and blocked by no policy."""

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from fastapi import Request, Response
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from crossauth_fastapi import FastApiServer
from crossauth_fastapi.fastapisession import default_create_user
from tests.accounts import Browser as Person
from tests.accounts import World
from tests.services.uvicorn import serve
from tests.support import PASSWORD, make_server

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "test-screenshots"
TIPS = [{"title": "Sign up", "text": "Make an account.", "href": "/signup"}, {"title": "Look around", "text": "Do."}]
LONG_NAME = "a-rather-long-name-" * 8


def sample(server: FastApiServer | None = None) -> Any:
    """A server with a home page and an account page."""
    server = server or make_server()

    @server.app.get("/")
    async def home(request: Request) -> Response:
        return server.render(request, "home.jinja2", {"tips": TIPS, "protectedUrl": "/account"})

    @server.app.get("/account")
    async def account(request: Request) -> Response:
        return server.render(request, "account.jinja2", {"sessionCreated": request.state.session_key.created})

    return server.app


class Visitor:
    """Looks at pages: takes a picture, runs axe, and collects what the browser complains of."""

    def __init__(self, page: Page, url: str, kind: str, folder: str = "") -> None:
        self.page, self.url, self.kind = page, url, kind
        # Where pictures are kept, while `scripts/make_pictures.py` makes them anew.
        self.kept = ROOT / "docs" / "pictures" / folder if folder and os.environ.get("CROSSAUTH_PICTURES") else None
        self.complaints: list[str] = []
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            self.complaints.append(message.text)

    async def look(self, name: str) -> None:
        """Check the page that is open."""
        SHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}-{self.kind}.png", full_page=True)
        if self.kept is not None:
            self.kept.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=self.kept / f"{name}-{self.kind}.png")
        results = await Axe().run(self.page)
        assert results.violations_count == 0, f"{name} {self.kind}: {results.generate_report()}"
        await expect(self.page.locator("h1")).to_have_count(1)
        wide = await self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide, f"{name} {self.kind} scrolls sideways"

    async def visit(self, path: str, name: str) -> None:
        """Open a page and check it."""
        await self.page.goto(self.url + path)
        await self.look(name)

    async def send(self, button: str, **fields: str) -> None:
        """Fill in the form and send it."""
        for field, value in fields.items():
            await self.page.fill(f"#{field}", value)
        await self.page.get_by_role("main").get_by_role("button", name=button).click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.asyncio(loop_scope="session")
async def test_every_page(browser: Browser, scheme: Any, width: int) -> None:
    # axe is put into the page by the test; the policy that keeps everybody else's scripts out is checked elsewhere.
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    with serve(sample()) as url:
        visitor = Visitor(await context.new_page(), url, f"{scheme}-{width}")
        await visitor.visit("/", "home")
        await visitor.visit("/login", "login")
        await visitor.send("Log in", username="nobody", password="x")
        await visitor.look("login-refused")
        await visitor.visit("/signup", "signup")
        await visitor.send("Sign up", username="xy", password="password1", repeat_password="password2")
        await visitor.look("signup-refused")
        await visitor.visit("/changepassword", "error")
        await visitor.page.goto(f"{url}/signup")
        await visitor.send(
            "Sign up", username=LONG_NAME, user_email="a@example.com", password=PASSWORD, repeat_password=PASSWORD
        )
        await visitor.look("home-logged-in")
        for name in ("account", "updateuser", "changepassword", "deleteuser", "logout"):
            await visitor.visit(f"/{name}", name)
        await visitor.page.goto(f"{url}/updateuser")
        await visitor.send("Save", user_nickname="Al")
        await visitor.look("updateuser-done")
        await visitor.page.goto(f"{url}/changepassword")
        await visitor.send(
            "Change password", old_password=PASSWORD, new_password="Another1one", repeat_password="Another1one"
        )
        await visitor.look("changepassword-done")
        await visitor.page.goto(f"{url}/deleteuser")
        await visitor.send("Delete my account", confirm_username=LONG_NAME)
        await visitor.look("deleteuser-done")
        assert visitor.complaints == []
    await context.close()


def administrator(request: Request, body: dict[str, Any], editable: list[str], factors: list[str]) -> Any:
    return {**default_create_user(request, body, editable, factors), "admin": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.asyncio(loop_scope="session")
async def test_every_page_of_factors_mail_and_administration(browser: Browser, scheme: Any, width: int) -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    context = await browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True, user_agent=agent
    )
    world = World(
        create_user_fn=administrator,
        enable_email_verification=True,
        api_key={"scopes": ["orders:read", "orders:write"]},
    )
    with serve(sample(world.server)) as url, Person(url) as person, Person(url) as elsewhere:
        visitor = Visitor(await context.new_page(), url, f"{scheme}-{width}")
        page = visitor.page
        await visitor.visit("/signup", "signup-factors")
        await page.check("input[value=totp]")
        email = f"somebody.with.a.rather.long.address.{'x' * 20}@example.com"
        await visitor.send("Sign up", username="root", user_email=email, password=PASSWORD, repeat_password=PASSWORD)
        await visitor.look("configurefactor2")
        await visitor.send("Confirm", otp="000000")
        await visitor.look("configurefactor2-refused")
        await page.get_by_text("Can't scan it?").click()
        await visitor.look("configurefactor2-key")
        secret = await page.locator("code.key").inner_text()
        await visitor.send("Confirm", otp=world.code(secret))
        await visitor.look("signup-done")
        await visitor.send("Resend email")
        await visitor.look("requestemailverification-done")
        await visitor.visit("/requestemailverification", "requestemailverification")
        await visitor.visit(person.link(email), "verifyemail")
        await visitor.send("Verify my email address")
        await visitor.look("emailverified")
        await page.get_by_role("link", name="Continue with two-factor authentication").click()
        await visitor.send("Continue", otp=world.code(secret))
        for name in ("account", "changefactor2", "recoverycodes", "sessions", "outbox"):
            await visitor.visit(f"/{name}", f"{name}-first")
        elsewhere.asked("root")
        elsewhere.give(world.code(secret))
        await visitor.visit("/sessions", "sessions")
        await page.goto(f"{url}/recoverycodes")
        await visitor.send("Generate new codes")
        await visitor.look("factor2-visit")
        await visitor.send("Continue", otp="000000")
        await visitor.look("factor2-visit-refused")
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("recoverycodes-done")

        await visitor.visit("/apikeys", "apikeys-none")
        await page.check("input[name='scope_orders:read']")
        await visitor.send("Create API key", name="Deploy script")
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("apikeys-created")
        await page.get_by_role("link", name="Manage Deploy script").click()
        await visitor.look("apikey")
        await visitor.send("Rename", name=LONG_NAME[:100])
        await visitor.look("apikey-renamed")
        await visitor.send("Replace")
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("apikey-replaced")
        await visitor.visit("/apikeys", "apikeys")
        await visitor.send("Create API key", name=" ")
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("apikeys-refused")
        await visitor.visit("/admin/apikeys/1", "admin-apikeys")
        await page.get_by_role("link", name="Manage").first.click()
        await visitor.look("admin-apikey")
        await page.get_by_role("link", name="Back to the API keys").click()

        await visitor.visit("/admin/createuser", "admin-createuser")
        await visitor.send(
            "Create", username="x y", user_email="any@body", password="password1", repeat_password="password2"
        )
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("admin-createuser-refused")
        await visitor.send("Create", username=LONG_NAME, user_email=email.replace("some", "any"), password="",
                           repeat_password="")  # fmt: skip
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("admin-selectuser")
        await page.goto(f"{url}/admin/createuser")
        await visitor.send("Create", username="bob", user_email="bob@example.com")
        await visitor.send("Continue", otp=world.code(secret))
        for name in ("updateuser/2", "changepassword/2", "deleteuser/2", "audit", "selectuser?search=nobody"):
            await visitor.visit(f"/admin/{name}", f"admin-{name.split('/')[0].split('?')[0]}-page")
        await page.goto(f"{url}/admin/updateuser/2")
        await page.select_option("#state", "disabled")
        await visitor.send("Save")
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("admin-updateuser-done")
        await page.goto(f"{url}/admin/changepassword/2")
        await page.fill("#new_password", PASSWORD)
        await page.fill("#repeat_password", PASSWORD)
        await page.locator("main button[type=submit]").first.click()
        await visitor.send("Continue", otp=world.code(secret))
        await visitor.look("admin-changepassword-done")

        await visitor.visit("/outbox", "outbox")
        await context.clear_cookies()
        await visitor.visit("/requestpasswordreset", "requestpasswordreset")
        await visitor.send("Send link", email="bob@example.com")
        await visitor.look("requestpasswordreset-done")
        await visitor.visit("/resetpassword?token=wrong", "resetpassword-wrong")
        await visitor.visit(person.link("bob@example.com"), "resetpassword")
        await visitor.send("Save password", new_password="password1", repeat_password="password1")
        await visitor.look("resetpassword-refused")
        await visitor.send("Save password", new_password="Third1one", repeat_password="Third1one")
        await visitor.look("resetpassword-done")
        await context.clear_cookies()
        await page.goto(f"{url}/login")
        await visitor.send("Log in", username="root", password=PASSWORD)
        await visitor.look("factor2")
        await visitor.visit("/verifyemail/wrong", "verifyemail-wrong")
        await page.goto(f"{url}/login")
        for _ in range(25):
            person.log_in("nobody", "Wrong1password")
        await visitor.send("Log in", username="nobody", password="Wrong1password")
        await visitor.look("login-limited")
        assert visitor.complaints == []
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_dark_is_dark_and_light_is_light_under_the_real_policy(browser: Browser) -> None:
    with serve(sample()) as url:
        seen = {}
        for scheme in ("light", "dark"):
            context = await browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
            visitor = Visitor(await context.new_page(), url, scheme)
            await visitor.page.goto(f"{url}/login")
            colour = await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
            seen[scheme] = [int(part) for part in colour.strip("rgb()").split(",")]
            assert visitor.complaints == [], "the stylesheet must not be blocked"
            await context.close()
    assert min(seen["light"]) > 200
    assert max(seen["dark"]) < 60


@pytest.mark.asyncio(loop_scope="session")
async def test_a_form_can_be_sent_from_the_keyboard(browser: Browser) -> None:
    with serve(sample()) as url:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(url)
        await page.keyboard.press("Tab")
        assert await page.locator(":focus").inner_text() == "Skip to the content"
        await page.goto(f"{url}/login")
        await expect(page.locator("#username")).to_be_focused()
        await page.keyboard.type("nobody")
        await page.keyboard.press("Tab")
        await page.keyboard.type("x")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_new_password_that_is_shown_need_not_be_typed_again(browser: Browser) -> None:
    with serve(sample()) as url:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{url}/signup")
        await page.fill("#username", "alice")
        await page.get_by_role("button", name="Show: Password").click()
        await expect(page.locator("#repeat_password")).to_be_hidden()
        await page.fill("#password", PASSWORD)
        await page.get_by_role("button", name="Hide: Password").click()
        await expect(page.locator("#repeat_password")).to_be_visible()
        await expect(page.locator("#repeat_password")).to_have_value(PASSWORD)
        await page.get_by_role("button", name="Show: Password").click()
        await page.get_by_role("main").get_by_role("button", name="Sign up").click()
        await expect(page.locator(".who")).to_have_text("alice")
        await context.close()
