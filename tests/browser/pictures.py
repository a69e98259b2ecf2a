"""The pages of the example application in their states, one row each, for `test_pictures`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import httpx2
import pyotp
from playwright.async_api import Page

from tests.support import PASSWORD, Client

NEW: Final = "Another1one"
ALICE: Final = "alice@example.com"
# One who names browsers as they do: the pages show what they say of themselves.
DESKTOP: Final = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
PHONE: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile Safari/604.1"
)


class Scene(NamedTuple):
    """One page in one state.

    Parameters:
        name: its name, and that of its pictures.
        path: where it is.
        who: whose browser opens it: `nobody`, `alice`, or `root`, the administrator.
        act: what is done there before the picture is taken.
    """

    name: str
    path: str
    who: str = "nobody"
    act: Callable[[Page], Awaitable[None]] | None = None


def send(**fields: str) -> Callable[[Page], Awaitable[None]]:
    """What fills in a form and sends it."""
    form = f"main form:has(#{next(iter(fields))})"

    async def act(page: Page) -> None:
        # The server's answer is looked at, not what the browser says before it asks.
        await page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true })")
        for name, value in fields.items():
            await page.fill(f"#{name}", value)
        await page.locator(form).locator("button[type=submit]").click()

    return act


def follow(to: str, *then: Callable[[Page], Awaitable[None]]) -> Callable[[Page], Awaitable[None]]:
    """What opens the link in the newest mail to an address."""

    async def act(page: Page) -> None:
        url = "/".join(page.url.split("/")[:3])
        await page.goto(link(url, to))
        for one in then:
            await one(page)

    return act


async def totp(page: Page) -> None:
    """Choose the authenticator app as a second factor."""
    await page.check("input[value=totp]")
    await page.locator("main form button[type=submit]").first.click()


async def menu(page: Page) -> None:
    """Open the menu of the account."""
    await page.locator("details.menu > summary").click()


def link(url: str, to: str) -> str:
    """The link in the newest mail to an address."""
    sent = httpx2.get(f"{url}/api/outbox", trust_env=False).json()
    found = next(re.search(r"http\S+", mail["text"]) for mail in sent if mail["to"] == to and "http" in mail["text"])
    assert found is not None
    return found.group()


SCENES: Final = (
    Scene("home", "/"),
    Scene("home-alice", "/", "alice"),
    Scene("menu", "/account", "root", menu),
    Scene("login", "/login"),
    Scene("login-refused", "/login", act=send(username="alice", password="x")),
    Scene("signup", "/signup"),
    Scene("signup-refused", "/signup", act=send(username="x y", user_email="a@b", password="password1",
                                                 repeat_password="password2")),
    Scene("signup-done", "/signup", act=send(username="dora", user_email="dora@example.com",
                                              password=PASSWORD, repeat_password=PASSWORD)),
    Scene("requestpasswordreset", "/requestpasswordreset"),
    Scene("requestpasswordreset-done", "/requestpasswordreset", act=send(email=ALICE)),
    Scene("resetpassword", "/", act=follow(ALICE)),
    Scene("resetpassword-refused", "/", act=follow(ALICE, send(new_password="password1",
                                                                repeat_password="password1"))),
    Scene("resetpassword-wrong", "/resetpassword?token=wrong"),
    Scene("requestemailverification", "/requestemailverification"),
    Scene("verifyemail-wrong", "/verifyemail/wrong"),
    Scene("verifyemail", "/", act=follow("dora@example.com")),
    Scene("not-logged-in", "/changepassword"),
    Scene("account", "/account", "alice"),
    Scene("profile", "/updateuser", "alice"),
    Scene("profile-refused", "/updateuser", "alice", send(user_email="not an address")),
    Scene("profile-done", "/updateuser", "alice", send(user_email=ALICE)),
    Scene("password", "/changepassword", "alice"),
    Scene("password-refused", "/changepassword", "alice", send(old_password="x", new_password="password1",
                                                               repeat_password="z")),
    Scene("twofactor", "/changefactor2", "alice"),
    Scene("twofactor-setup", "/changefactor2", "alice", totp),
    Scene("sessions", "/sessions", "alice"),
    Scene("apikeys-none", "/apikeys", "alice"),
    Scene("apikeys-created", "/apikeys", "alice", send(name="Deploy script")),
    Scene("apikeys", "/apikeys", "alice"),
    Scene("no-access", "/admin/selectuser", "alice"),
    Scene("deleteuser", "/deleteuser", "alice"),
    Scene("logout", "/logout", "alice"),
    Scene("users", "/admin/selectuser", "root"),
    Scene("users-none", "/admin/selectuser?search=nobody", "root"),
    Scene("user", "/admin/updateuser/2", "root"),
    Scene("user-new", "/admin/createuser", "root"),
    Scene("user-password", "/admin/changepassword/2", "root"),
    Scene("user-apikeys", "/admin/apikeys/2", "root"),
    Scene("user-delete", "/admin/deleteuser/2", "root"),
    Scene("audit", "/admin/audit", "root"),
    Scene("outbox", "/outbox"),
)  # fmt: skip


def prepare(url: str) -> str:
    """Give the example application users, sessions and events; the secret of a user with a second factor."""
    with Client(url) as alice, Client(url) as phone, Client(url) as carol, Client(url) as root:
        for client, name in ((alice, "alice"), (carol, "carol")):
            email = f"{name}@example.com"
            client.call("/api/signup", username=name, user_email=email, password=PASSWORD, repeat_password=PASSWORD)
            client.call("/api/verifyemail", token=link(url, email).rpartition("/")[2])
        phone.headers["User-Agent"] = PHONE
        phone.log_in("alice")
        phone.log_in("alice", "Wrong1password")
        carol.log_in("carol")
        secret: str = carol.call("/api/changefactor2", factor2="totp").json()["totpsecret"]
        assert carol.call("/api/configurefactor2", otp=pyotp.TOTP(secret).now()).status_code == 200
        root.log_in("root")
        made = root.call("/admin/api/createuser", username="a-rather-long-username-of-someone", password=PASSWORD,
                         repeat_password=PASSWORD, user_email=f"{'long.' * 9}address@example.com")  # fmt: skip
        assert made.status_code == 200, made.text
        root.call(f"/admin/api/updateuser/{made.json()['user']['id']}", state="disabled")
    return secret
