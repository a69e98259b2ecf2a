"""A newcomer's walk through the sample application, in a browser without JavaScript."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.services.processes import free_port, running
from tests.support import PASSWORD

EXAMPLE = [str(Path(__file__).parents[2] / "examples" / "session_server.py")]


async def fill(page: Page, button: str, **fields: str) -> None:
    for name, value in fields.items():
        await page.fill(f"#{name}", value)
    await page.get_by_role("button", name=button).click()


@pytest.mark.asyncio(loop_scope="session")
async def test_sign_up_log_out_log_in_change_password_delete_account(browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page, port = await context.new_page(), free_port()
    with running(EXAMPLE, tmp_path, port=port) as url:
        await page.goto(url)
        await page.get_by_role("main").get_by_role("link", name="Open a protected page").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Log in")
        await page.get_by_role("main").get_by_role("link", name="Sign up").click()
        await fill(
            page,
            "Sign up",
            username="alice",
            user_email="alice@example.com",
            password=PASSWORD,
            repeat_password="Another1one",
        )
        await expect(page.get_by_role("alert")).to_contain_text("match")
        await expect(page.locator("#username")).to_have_value("alice")
        await fill(page, "Sign up", password=PASSWORD, repeat_password=PASSWORD)
        await expect(page).to_have_url(f"{url}/account")
        await expect(page.get_by_role("main")).to_contain_text("alice@example.com")

        await page.locator("details.menu > summary").click()
        await page.get_by_role("link", name="Log out").click()
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("main")).to_contain_text("You're not logged in.")

    # The server is restarted: accounts are kept, and so is the secret that signs the cookies.
    with running(EXAMPLE, tmp_path, port=port) as url:
        await page.goto(f"{url}/login")
        await fill(page, "Log in", username="alice", password="Wrong1password")
        await expect(page.get_by_role("alert")).to_have_text("Invalid username or password")
        await fill(page, "Log in", username="ALICE", password=PASSWORD)
        await expect(page.get_by_role("main")).to_contain_text("Logged in as alice")

        await page.locator("details.menu > summary").click()
        await page.get_by_role("link", name="Account settings").click()
        tabs = page.get_by_role("navigation", name="Account settings")
        await expect(tabs.locator("[aria-current=page]")).to_have_text("Profile")
        await tabs.get_by_role("link", name="Password").click()
        await expect(tabs.locator("[aria-current=page]")).to_have_text("Password")
        await fill(
            page, "Change password", old_password=PASSWORD, new_password="Another1one", repeat_password="Another1one"
        )
        await expect(page.get_by_role("status")).to_contain_text("Your password has been changed")

    with running(EXAMPLE, tmp_path, port=port) as url:
        await page.goto(f"{url}/account")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
        await page.get_by_role("link", name="Delete account").click()
        await page.fill("#confirm_username", "alice")
        await page.get_by_role("button", name="Delete my account").click()
        await expect(page.get_by_role("status")).to_have_text("Your account has been deleted.")
        await page.goto(f"{url}/login")
        await fill(page, "Log in", username="alice", password="Another1one")
        await expect(page.get_by_role("alert")).to_have_text("Invalid username or password")
    await context.close()
