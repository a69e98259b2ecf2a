"""How a client logs in at each server, and the bytes of a login."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.load import request_bytes
from benchmarks.measure import Server
from crossauth_backend.core.jose import sign_jwt

PASSWORD = "Correct1horse"
CSRF = "X-CROSSAUTH-CSRF"
MANY = 6000


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


def one_token(server: Server) -> dict[str, str]:
    """One token, which the server verifies again and again."""
    return {"Authorization": f"Bearer {_tokens(server, 1)[0]}"}


def many_tokens(server: Server) -> dict[str, str]:
    """More tokens than a server remembers, so that each is new to it."""
    headers = [{"Authorization": f"Bearer {token}"} for token in _tokens(server, MANY)]
    server.requests = [request_bytes(server.url, server.path, header) for header in headers]
    return {}


def _tokens(server: Server, count: int) -> list[str]:
    key, end = Path(server.environment["BENCH_PRIVATE_KEY"]).read_text(), int(time.time()) + 3600
    claims = {"aud": ["fastapi-users:auth"], "exp": end}
    return [sign_jwt({**claims, "sub": str(number)}, key, "RS256") for number in range(count)]
