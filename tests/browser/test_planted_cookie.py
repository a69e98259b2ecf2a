"""A hostile neighbour domain, in a real browser over https: what it plants is not believed."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import Request
from fastapi.responses import HTMLResponse
from playwright.async_api import async_playwright, expect
from starlette.responses import Response

from tests.security.test_proxies import as_users_run_it
from tests.services.browser import CHROMIUM, FLAGS
from tests.support import PASSWORD, Client, make_server

HOSTS = ("site.test", "evil.site.test")


def certificate(folder: Path) -> dict[str, str]:
    """A certificate for both hosts, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"ssl_certfile": str(folder / "cert.pem"), "ssl_keyfile": str(folder / "key.pem")}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    """One server that is both: the site, and on another host the neighbour."""
    server = make_server(site_url="https://site.test")

    @server.app.get("/neighbour/plant")
    async def plant(request: Request) -> Response:
        """Set the intruder's own CSRF cookie for the victim's site, under a name that is no prefixed one to a browser."""
        disguise = bytes.fromhex(request.query_params["disguise"])
        cookie = request.query_params["cookie"].encode()
        header = disguise + b"__Host-CSRFTOKEN=" + cookie + b"; Domain=site.test; Path=/deleteuser; Secure"
        response = HTMLResponse("planted")
        response.raw_headers.append((b"set-cookie", header))
        return response

    @server.app.get("/neighbour/form")
    async def form(token: str, port: str) -> HTMLResponse:
        return HTMLResponse(
            f'<form method="post" action="https://site.test:{port}/deleteuser"><input name="csrfToken" value="{token}">'
            "<button>Win a prize</button></form>"
        )

    with as_users_run_it(server.app, **certificate(tmp_path)) as url:
        yield url.rpartition(":")[2]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("disguise", ["a0", "85"])
async def test_a_neighbour_cannot_delete_the_account(port: str, disguise: str) -> None:
    site, evil = (f"https://{host}:{port}" for host in HOSTS)
    with Client(f"https://127.0.0.1:{port}", verify=False) as intruder:
        own = intruder.get("/api/getcsrftoken")
        cookie = own.headers["set-cookie"].partition("=")[2].partition(";")[0]
        token = own.json()["csrfToken"]
    async with async_playwright() as playwright:
        flags = [*FLAGS, "--host-resolver-rules=MAP *.test 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            context = await browser.new_context(ignore_https_errors=True)
            page = await context.new_page()
            await page.goto(f"{site}/signup")
            for field, value in {"username": "victim", "password": PASSWORD, "repeat_password": PASSWORD}.items():
                await page.fill(f"#{field}", value)
            async with page.expect_response(f"{site}/signup"):
                await page.get_by_role("button", name="Sign up").click()
            await page.goto(f"{site}/me")
            assert "victim" in await page.content()

            await page.goto(f"{evil}/neighbour/plant?disguise={disguise}&cookie={cookie}")
            planted = [c for c in await context.cookies(f"{site}/deleteuser") if c["value"] == cookie]
            assert planted, "the browser takes it"
            await page.goto(f"{evil}/neighbour/form?token={token}&port={port}")
            async with page.expect_response(f"{site}/deleteuser") as answer:
                await page.get_by_role("button", name="Win a prize").click()
            assert (await answer.value).status == 403
            await expect(page.get_by_role("alert")).to_contain_text("Your session timed out.")

            await page.goto(f"{site}/me")
            assert "victim" in await page.content(), "the account is still there, and logged in"
        finally:
            await browser.close()
