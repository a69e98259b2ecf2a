"""The example of a resource server, and one that asks about opaque tokens, with tokens of a certified provider."""

import ast
import base64
import errno
import hashlib
import json
import os
import re
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import generate_signing_key
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.bff import soon
from tests.resource import add_routes, bearer
from tests.services.oidc import CLIENT_ID, CLIENT_SECRET, OidcProvider, example_provider, oidc_provider, private_jwks
from tests.services.processes import free_port, running
from tests.services.uvicorn import serve

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "resource_server.py"
BACK = "http://127.0.0.1:1/cb"
OPAQUE = "https://api.example.com/opaque"
MACHINE = ("machine", "a secret of the machine's, long enough")
RESOURCE = ("resource", "a secret of the resource server's, long enough")


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider(BACK) as provider:
        yield provider


def asked(url: str, **fields: str) -> httpx2.Response:
    return httpx2.post(url, data=fields, auth=MACHINE, trust_env=False)


def machine_token(provider: OidcProvider, resource: str, scope: str) -> str:
    answer = asked(f"{provider.url}/token", grant_type="client_credentials", resource=resource, scope=scope)
    token: str = answer.json()["access_token"]
    return token


def user_tokens(provider: OidcProvider, resource: str, scope: str) -> dict[str, Any]:
    """The tokens that a client gets when alice has logged in and consented."""
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    fields = {
        "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": BACK, "scope": f"openid {scope}", "state": "s",
        "resource": resource, "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    back = provider.sign_in(f"{provider.url}/auth?{urlencode(fields)}", "alice")
    exchange = {
        "grant_type": "authorization_code", "code": parse_qs(urlsplit(back).query)["code"][0], "redirect_uri": BACK,
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code_verifier": verifier, "resource": resource,
    }  # fmt: skip
    tokens: dict[str, Any] = httpx2.post(f"{provider.url}/token", data=exchange, trust_env=False).json()
    return tokens


def test_the_example_accepts_tokens_of_a_certified_provider(provider: OidcProvider, tmp_path: Path) -> None:
    port = free_port()
    resource = f"http://localhost:{port}"
    settings = {"ISSUER": provider.url, "RESOURCE": resource}
    with (
        running([str(EXAMPLE)], tmp_path, settings, port=port) as url,
        httpx2.Client(base_url=url, trust_env=False) as client,
    ):
        nothing = client.get("/orders")
        metadata = nothing.headers["www-authenticate"].split('resource_metadata="')[1].split('"')[0]
        document = client.get(metadata).json()
        assert (nothing.status_code, document["resource"]) == (401, resource)
        assert document["authorization_servers"] == [provider.url]
        assert document["scopes_supported"] == ["orders:read", "orders:write"]

        reader = bearer(machine_token(provider, resource, "orders:read"))
        assert client.get("/orders", headers=reader).json() == ["tea"]
        assert client.get("/me", headers=reader).json() == {"user": None, "client": "machine", "scope": ["orders:read"]}
        refused = client.post("/orders", params={"what": "milk"}, headers=reader)
        assert (refused.status_code, 'scope="orders:write"' in refused.headers["www-authenticate"]) == (403, True)
        writer = bearer(machine_token(provider, resource, "orders:write"))
        assert client.post("/orders", params={"what": "milk"}, headers=writer).json() == ["tea", "milk"]
        assert client.get("/orders", headers=writer).is_success

        tokens = user_tokens(provider, resource, "orders:read")
        alice = bearer(tokens["access_token"])
        assert client.get("/me", headers=alice).json() == {
            "user": "alice",
            "client": CLIENT_ID,
            "scope": ["orders:read"],
        }
        for other in (tokens["id_token"], machine_token(provider, "https://other.example.com", "orders:read")):
            assert client.get("/orders", headers=bearer(other)).status_code == 401


def documented() -> list[str]:
    """The commands of the page: the authorization server, the example, and a call of it."""
    page = (ROOT / "docs" / "resource_server.md").read_text()
    return [block.strip() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)[:3]]


def usual_or_free(port: int) -> int:
    """The port, where nobody has it."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as e:
                if e.errno == errno.EADDRINUSE:
                    return free_port()
    return port


def test_the_example_tells_of_the_same_commands_as_the_page() -> None:
    told = ast.get_docstring(ast.parse(EXAMPLE.read_text())) or ""
    assert textwrap.dedent(told.split("\n\n")[-1]) == "\n".join(documented())


def test_the_documented_commands_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings, but for the ports where somebody has them."""
    for name in ("PORT", "ISSUER", "RESOURCE", "CLIENT_URL", *(n for n in os.environ if n.startswith("CROSSAUTH_"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "localhost")
    provide, start, call = documented()
    assert (provide, start) == ("make provider", f".venv/bin/python {EXAMPLE.relative_to(ROOT)}")
    provider_port, port = usual_or_free(9000), usual_or_free(8000)
    issuer, api = f"http://localhost:{provider_port}", f"http://localhost:{port}"
    usual = (provider_port, port) == (9000, 8000)
    with (
        example_provider(**({} if usual else {"PORT": str(provider_port), "CLIENT_URL": api})),
        running([str(EXAMPLE)], tmp_path, {} if usual else {"ISSUER": issuer}, port=port, told=not usual),
    ):
        call = call.replace("http://localhost:8000", api).replace("http://localhost:9000", issuer)
        done = subprocess.run(["sh", "-c", call], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout == '["tea"]', done


def test_the_defaults_of_the_example_and_of_the_provider_fit() -> None:
    """Also where a port is taken, and the commands run at others."""
    example, provider = EXAMPLE.read_text(), (ROOT / "examples" / "provider.mjs").read_text()
    issuer = re.search(r'"ISSUER", "http://localhost:(\d+)"', example)
    port = re.search(r'"PORT", "(\d+)"', example)
    assert issuer is not None
    assert port is not None
    assert f"env.PORT ?? {issuer[1]})" in provider
    assert f'env.CLIENT_URL ?? "http://localhost:{port[1]}")' in provider


def test_opaque_tokens_are_asked_about_and_end_when_they_are_revoked(provider: OidcProvider) -> None:
    app = FastAPI()
    consumer = OAuthTokenConsumer(
        OPAQUE,
        {
            "auth_server_base_url": provider.url, "introspection": "opaque", "introspection_client_id": RESOURCE[0],
            "introspection_client_secret": RESOURCE[1], "introspection_cache_seconds": 0,
        },
    )  # fmt: skip
    FastApiOAuthResourceServer(app, [consumer], {"protected_endpoints": {"/orders": {"scope": ["orders:read"]}}})
    add_routes(app)
    with serve(app) as url, httpx2.Client(base_url=url, trust_env=False) as client:
        token = machine_token(provider, OPAQUE, "orders:read")
        assert client.get("/orders", headers=bearer(token)).is_success
        assert client.get("/orders", headers=bearer(machine_token(provider, OPAQUE, "orders:write"))).status_code == 403
        other = machine_token(provider, "https://other.example.com/opaque", "orders:read")
        assert client.get("/orders", headers=bearer(other)).status_code == 401
        assert asked(f"{provider.url}/token/revocation", token=token).is_success
        assert client.get("/orders", headers=bearer(token)).status_code == 401


class Time:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


def key_of(token: str) -> str:
    head = token.split(".")[0]
    kid: str = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    return kid


def test_the_provider_may_sign_with_a_new_key_and_later_withdraw_the_old_one() -> None:
    """This side is not started again, and goes by the keys that the provider publishes."""
    old, new = generate_signing_key("RS256"), generate_signing_key("RS256")
    port, time, app = free_port(), Time(), FastAPI()
    options: Any = {"auth_server_base_url": f"http://127.0.0.1:{port}", "jwks_max_age": 60, "jwks_cooldown": 30}
    consumer = OAuthTokenConsumer("https://api.example.com", options, clock=time)
    FastApiOAuthResourceServer(app, [consumer], {"protected_endpoints": {"/orders": {"scope": ["orders:read"]}}})
    add_routes(app)
    tokens = {}
    with serve(app) as url, httpx2.Client(base_url=url, trust_env=False) as client:

        def statuses() -> dict[str, int]:
            return {name: client.get("/orders", headers=bearer(token)).status_code for name, token in tokens.items()}

        with oidc_provider(BACK, port=port, jwks=private_jwks(old)) as provider:
            tokens["before"] = machine_token(provider, "https://api.example.com", "orders:read")
            assert (key_of(tokens["before"]), statuses()) == (old.kid, {"before": 200})
        with oidc_provider(BACK, port=port, jwks=private_jwks(new, old)) as provider:
            tokens["after"] = machine_token(provider, "https://api.example.com", "orders:read")
            assert key_of(tokens["after"]) == new.kid
            assert statuses() == {"before": 200, "after": 401}, "keys were fetched just now"
            time.ahead = timedelta(seconds=31)
            assert statuses() == {"before": 200, "after": 200}
            tokens["user"] = user_tokens(provider, "https://api.example.com", "orders:read")["access_token"]
            assert (key_of(tokens["user"]), statuses()["user"]) == (new.kid, 200)
        with oidc_provider(BACK, port=port, jwks=private_jwks(new)):
            assert set(statuses().values()) == {200}, "nobody has asked for the keys"
            time.ahead = timedelta(seconds=31 + 61)
            assert soon(lambda: statuses()["before"] == 401)
            assert statuses() == {"before": 401, "after": 200, "user": 200}
