"""Second factors, e-mail, recovery and administration in a browser without JavaScript, on the sample as it is run."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, Page, expect

from crossauth_backend.core.clock import utc_now
from tests.services.processes import running
from tests.support import PASSWORD

EXAMPLE = [str(Path(__file__).parents[2] / "examples" / "accounts.py")]
NEW = "Another1one"
ALICE = "alice@example.com"
IN_FORM = {"CROSSAUTH_FACTOR2_IN_SIGNUP_FORM": "true"}


class Person:
    """Somebody at a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url, self.codes_used = page, url, 0

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def fill(self, button: str, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.fill(f"#{name}", value)
        await self.press(button)

    async def press(self, button: str) -> None:
        await self.page.get_by_role("main").get_by_role("button", name=button, exact=True).click()

    async def choose(self, link: str) -> None:
        """Follow a link in the account menu."""
        await self.page.locator("details.menu > summary").click()
        await self.page.locator("details.menu").get_by_role("link", name=link).click()

    async def sees(self, text: str) -> None:
        await expect(self.page.get_by_role("main")).to_contain_text(text)

    async def sign_up(self, username: str, email: str, factor2: str = "none") -> None:
        await self.go("/signup")
        await self.page.check(f"input[name=factor2][value={factor2}]")
        await self.fill("Sign up", username=username, user_email=email, password=PASSWORD, repeat_password=PASSWORD)

    async def log_in(self, username: str = "alice", password: str = PASSWORD) -> None:
        await self.go("/login?next=/account")
        await self.fill("Log in", username=username, password=password)

    async def log_out(self) -> None:
        await self.go("/logout")
        await self.press("Log out")

    async def is_in(self) -> None:
        await self.go("/account")
        await expect(self.page.get_by_role("heading", level=1)).to_have_text("Your account")

    async def is_out(self) -> None:
        await self.go("/account")
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text("Log in")

    async def mail(self, to: str) -> str:
        """The newest mail to an address, read in the outbox in another tab."""
        tab = await self.page.context.new_page()
        await tab.goto(f"{self.url}/outbox")
        text = await tab.locator("article", has_text=f"To {to} ").first.inner_text()
        await tab.close()
        return text

    async def follow(self, to: str) -> None:
        """Follow the link in the newest mail."""
        found = re.search(r"http\S+", await self.mail(to))
        assert found is not None
        await self.page.goto(found.group())

    async def mailed_code(self, to: str) -> str:
        found = re.search(r"\b\d{6}\b", await self.mail(to))
        assert found is not None
        return found.group()

    async def totp(self, secret: str) -> str:
        """Each code counts once, so each call takes the next of the three that are good just now."""
        self.codes_used += 1
        left = 30 - utc_now().timestamp() % 30
        if left < 3:  # it must still be good when it arrives
            await asyncio.sleep(left)
        return pyotp.TOTP(secret).at(utc_now() + timedelta(seconds=30 * (self.codes_used - 2)))

    async def recover(self, code: str) -> None:
        """Give a recovery code instead."""
        await self.page.get_by_text("Lost your device?").click()
        await self.fill("Use recovery code", recovery_code=code)

    async def set_totp_up(self) -> tuple[str, list[str]]:
        """Type the secret that the page shows into an application, and confirm."""
        await expect(self.page.locator("svg").last).to_be_visible()
        await self.page.get_by_text("Can't scan it?").click()
        secret = await self.page.locator("code.key").inner_text()
        await self.fill("Confirm", otp=await self.totp(secret))
        codes = self.page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
        await expect(codes).to_have_count(10)
        return secret, await codes.all_inner_texts()


@asynccontextmanager
async def person(browser: Browser, url: str) -> AsyncIterator[Person]:
    context = await browser.new_context(java_script_enabled=False)
    yield Person(await context.new_page(), url)
    await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_sign_up_with_verification_and_totp_and_every_way_to_log_in(browser: Browser, tmp_path: Path) -> None:
    with running(EXAMPLE, tmp_path, IN_FORM) as url:
        async with person(browser, url) as alice:
            await alice.sign_up("alice", ALICE, "totp")
            secret, codes = await alice.set_totp_up()
            await alice.is_out()
            await alice.follow(ALICE)
            await alice.press("Verify my email address")
            await alice.sees("Your email address is verified.")
            await alice.is_out()

            await alice.log_in()
            await alice.fill("Continue", otp="000000")
            await expect(alice.page.get_by_role("alert")).to_contain_text("Invalid code")
            await alice.fill("Continue", otp=await alice.totp(secret))
            await alice.is_in()
            await alice.log_out()

            await alice.log_in()
            await alice.recover(codes[3])
            await alice.is_in()
            await alice.go("/recoverycodes")
            await alice.sees("You have 9 recovery codes left.")

            # The factor is changed: to codes by e-mail; the old factor is asked for first.
            await alice.go("/changefactor2")
            await alice.page.check("input[value=email]")
            await alice.press("Continue")
            await alice.sees("authenticator app")
            await alice.recover(codes[4])
            await alice.fill("Confirm", otp=await alice.mailed_code(ALICE))
            await alice.sees("Two-factor authentication is set up.")
            await alice.log_out()

            await alice.log_in()
            await alice.sees("We sent a code to a•••@example.com.")
            await alice.fill("Continue", otp=await alice.mailed_code(ALICE))
            await alice.is_in()


@pytest.mark.asyncio(loop_scope="session")
async def test_forgotten_password_change_of_address_and_the_other_browser(browser: Browser, tmp_path: Path) -> None:
    with running(EXAMPLE, tmp_path, IN_FORM) as url:
        async with person(browser, url) as alice, person(browser, url) as elsewhere:
            await alice.sign_up("alice", ALICE)
            await alice.sees("link")
            await alice.follow(ALICE)
            await alice.is_out()
            await alice.follow(ALICE)
            await alice.press("Verify my email address")
            await alice.is_in()

            await elsewhere.go("/login")
            await elsewhere.page.get_by_role("link", name="Forgot your password?").click()
            await elsewhere.fill("Send link", email=ALICE)
            await elsewhere.follow(ALICE)
            await elsewhere.fill("Save password", new_password=NEW, repeat_password=NEW)
            await elsewhere.sees("Your password has been changed.")
            await elsewhere.is_in()
            await alice.is_out()
            await alice.log_in(password=PASSWORD)
            await expect(alice.page.get_by_role("alert")).to_have_text("Invalid username or password")
            await alice.log_in(password=NEW)
            await alice.is_in()

            await alice.go("/sessions")
            await expect(alice.page.locator(".rows > li")).to_have_count(2)
            await alice.page.get_by_role("button", name=re.compile("^Log out .*, logged in")).click()
            await expect(alice.page.get_by_role("status")).to_be_visible()
            await elsewhere.is_out()
            await alice.is_in()

            await alice.go("/updateuser")
            await alice.fill("Save", user_email="new@example.com")
            await alice.sees("link")
            await alice.go("/account")
            await alice.sees(ALICE)
            assert "asked to change its email address" in await alice.mail(ALICE)
            await alice.follow("new@example.com")
            await alice.press("Change my email address")
            await alice.go("/account")
            await alice.sees("new@example.com")
            assert "was changed" in await alice.mail(ALICE)


@pytest.mark.asyncio(loop_scope="session")
async def test_an_administrator_creates_changes_disables_and_deletes_a_user(browser: Browser, tmp_path: Path) -> None:
    with running(EXAMPLE, tmp_path, {"CROSSAUTH_ADMIN": f"root:{PASSWORD}", **IN_FORM}) as url:
        async with person(browser, url) as root, person(browser, url) as bob:
            await root.log_in("root")
            await root.choose("Users")
            await root.page.get_by_role("link", name="Create a user").click()
            await root.fill(
                "Create", username="bob", user_email="bob@example.com", password=PASSWORD, repeat_password=PASSWORD
            )
            await bob.log_in("bob")
            await bob.is_in()

            await root.go("/admin/selectuser?search=bob")
            await root.page.get_by_role("link", name="Edit bob").click()
            await root.page.select_option("#state", "passwordchangeneeded")
            await root.press("Save")
            await expect(root.page.get_by_role("status")).to_be_visible()
            await bob.log_in("bob")
            await expect(bob.page.get_by_role("heading", level=1)).to_contain_text("password")
            await bob.fill("Change password", old_password=PASSWORD, new_password=NEW, repeat_password=NEW)
            await bob.is_in()

            await root.go("/admin/selectuser?search=bob@example.com")
            await root.page.get_by_role("link", name="Edit bob").click()
            await root.page.select_option("#state", "disabled")
            await root.press("Save")
            await bob.is_out()
            await bob.log_in("bob", NEW)
            await expect(bob.page.get_by_role("alert")).to_be_visible()

            await root.go("/admin/selectuser?search=bob")
            await root.page.get_by_role("link", name="Delete bob").click()
            await root.fill("Delete the account", confirm_username="bobby")
            await expect(root.page.get_by_role("alert")).to_be_visible()
            await root.fill("Delete the account", confirm_username="bob")
            await expect(root.page.get_by_role("status")).to_be_visible()
            await root.go("/admin/selectuser?search=bob")
            await root.sees("No users match “bob”.")
            await root.choose("Security log")
            await root.sees("User deleted")
            await bob.log_in("bob", NEW)
            await expect(bob.page.get_by_role("alert")).to_have_text("Invalid username or password")
