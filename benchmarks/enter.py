"""How a client logs in at each server, and the bytes of a login."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey

from benchmarks.load import request_bytes
from benchmarks.measure import Server
from crossauth_backend.testing import FakeIssuer

PASSWORD = "Correct1horse"
CSRF = "X-CROSSAUTH-CSRF"
MANY = 6000
_ROUTES = {"aud": ["fastapi-users:auth"]}
# `type` is what pycrossauth tells access tokens by.
_ACCESS = {"iss": "https://issuer.example.com", "aud": "bench", "client_id": "client", "type": "access"}


def client_of(server: Server) -> httpx2.Client:
    """A client of it."""
    return httpx2.Client(base_url=server.url, trust_env=False, timeout=30)


def _cookies(client: httpx2.Client) -> str:
    return "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)


def crossauth(server: Server) -> dict[str, str]:
    """Sign up (or log in) at Crossauth; the cookie alone."""
    with client_of(server) as client:
        for path in ("/api/signup", "/api/login"):
            token = client.get("/api/getcsrftoken").json()["csrfToken"]
            fields = {"username": "alice@example.com", "password": PASSWORD, "repeat_password": PASSWORD,
                      "user_email": "alice@example.com", "csrfToken": token}  # fmt: skip
            client.post(path, json=fields, headers={CSRF: token})
        session = next(c for c in client.cookies.jar if c.name == "SESSIONID")
        headers = {"Cookie": f"SESSIONID={session.value}"}
        assert client.get("/me", headers=headers).json()["username"], server.name
        return headers


def crossauth_sessions(server: Server) -> dict[str, str]:
    """Five hundred sessions of fifty users at Crossauth, in rotation: no cache of a few can flatter a row."""
    crossauth(server)
    with client_of(server) as client:
        cookies = client.get("/sessions-in-rotation").json()
        headers = [{"Cookie": f"SESSIONID={cookie}"} for cookie in cookies]
        assert client.get(server.path, headers=headers[0]).json()["username"], server.name
    server.requests = [request_bytes(server.url, server.path, header) for header in headers]
    return headers[0]


def crossauth_api_keys(server: Server) -> dict[str, str]:
    """Five hundred API keys of fifty users at Crossauth, in rotation."""
    with client_of(server) as client:
        headers = [{"Authorization": f"ApiKey {key}"} for key in client.get("/api-keys-in-rotation").json()]
        assert client.get(server.path, headers=headers[0]).json()["username"], server.name
    server.requests = [request_bytes(server.url, server.path, header) for header in headers]
    return headers[0]


def crossauth_login(server: Server, cookie: str = "", password: str = PASSWORD) -> bytes:
    """A login at Crossauth, with a further cookie where one is given."""
    with client_of(server) as client:
        token = client.get("/api/getcsrftoken").json()["csrfToken"]
        body = json.dumps({"username": "alice@example.com", "password": password, "csrfToken": token}).encode()
        headers = {
            "Cookie": "; ".join(filter(None, (_cookies(client), cookie))),
            CSRF: token,
            "Content-Type": "application/json",
        }
        return request_bytes(server.url, "/api/login", headers, "POST", body)


def fastapi_users(server: Server) -> dict[str, str]:
    """Register and log in at FastAPI Users."""
    with client_of(server) as client:
        client.post("/auth/register", json={"email": "alice@example.com", "password": PASSWORD})
        answer: Any = client.post("/auth/login", data={"username": "alice@example.com", "password": PASSWORD}).json()
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        assert client.get("/me", headers=headers).json()["username"], server.name
        return headers


def fastapi_users_login(server: Server) -> bytes:
    """A login at FastAPI Users."""
    body = f"username=alice%40example.com&password={PASSWORD}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return request_bytes(server.url, "/auth/login", headers, "POST", body)


def one_claim(server: Server) -> dict[str, str]:
    """One token of the routes, which the server verifies again and again."""
    return _enter_by(server, _tokens(server, 1, _ROUTES, "JWT"))


def many_claims(server: Server) -> dict[str, str]:
    """More tokens of the routes than a server remembers, so that each is new to it."""
    return _enter_by(server, _tokens(server, MANY, _ROUTES, "JWT"))


def one_access_token(server: Server) -> dict[str, str]:
    """One access token of an issuer, which the server verifies again and again."""
    return _enter_by(server, _tokens(server, 1, _ACCESS, "at+jwt"))


def many_access_tokens(server: Server) -> dict[str, str]:
    """More access tokens of an issuer than a server remembers, so that each is new to it."""
    return _enter_by(server, _tokens(server, MANY, _ACCESS, "at+jwt"))


def opaque_tokens(issuer: FakeIssuer) -> Callable[[Server], dict[str, str]]:
    """Twenty access tokens that only `issuer` can say something of, and that last longer than the benchmark."""

    def enter(server: Server) -> dict[str, str]:
        ends = int(time.time()) + 4 * 3600
        return _enter_by(server, [issuer.issue_opaque_token(aud="bench", sub=str(n), exp=ends) for n in range(20)])

    return enter


def _enter_by(server: Server, tokens: list[str]) -> dict[str, str]:
    headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    with client_of(server) as client:
        answer = client.get(server.path, headers=headers[0])
        assert answer.is_success, f"{server.name}: {answer.text}"
    server.requests = [request_bytes(server.url, server.path, header) for header in headers]
    return {}


def _tokens(server: Server, count: int, claims: dict[str, Any], typ: str) -> list[str]:
    key, now = RSAKey.import_key(Path(server.environment["BENCH_PRIVATE_KEY"]).read_text()), int(time.time())
    header, claims = {"alg": "RS256", "typ": typ}, {**claims, "iat": now, "exp": now + 4 * 3600}
    return [jwt.encode(header, {**claims, "sub": str(number), "jti": str(number)}, key) for number in range(count)]
