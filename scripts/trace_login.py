"""Counts how much code a login with a password and an authenticator app runs through.

    python scripts/trace_login.py            the figures
    python scripts/trace_login.py --files    and each file, with its lines and those of them that ran

It serves a session server on storages in memory within this process, signs a user up, sets TOTP up and logs in once, so that what
is made at the first use is made. Then it traces the two requests of a second login: `POST api/login` with name and password, and
`POST api/loginfactor2` with the code. Counted are

- files: those of `src/` of which a line ran between the sending of each request and the last byte of its answer, in any thread;
- lines: all lines of these files, blank ones and comments included: what one opens to follow the login;
- functions: different functions of `src/` that were entered;
- lines that ran: different lines of these files.

Installed packages, the client and this script are not counted, nor what is done when a module is imported.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx2
import pyotp
from fastapi import FastAPI

from crossauth_backend import (
    Argon2Parameters,
    InMemoryKeyStorage,
    InMemoryUserStorage,
    LocalPasswordAuthenticator,
    TotpAuthenticator,
)
from crossauth_backend.core.clock import utc_now
from crossauth_backend.delivery import queue
from crossauth_fastapi import FastApiServer

SOURCE = str(Path(__file__).parents[1] / "src")
PASSWORD = "Correct1horse"
CHEAP = Argon2Parameters(memory_cost=8, time_cost=1, parallelism=1)


@dataclass
class Trace:
    """What ran while it was recording."""

    ran: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    functions: set[CodeType] = field(default_factory=set)
    recording: bool = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """The hook of `sys.settrace`."""
        file = frame.f_code.co_filename
        if not file.startswith(SOURCE):
            return None
        if self.recording:
            if event == "call" and frame.f_code.co_name != "<module>":
                self.functions.add(frame.f_code)
            elif event == "line":
                self.ran[file].add(frame.f_lineno)
        return self

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record what runs in this block."""
        self.recording = True
        try:
            yield
        finally:
            self.recording = False

    def table(self) -> list[tuple[str, int, int]]:
        """Each file, its lines, and how many of them ran."""
        return [
            (Path(file).relative_to(SOURCE).as_posix(), Path(file).read_text().count("\n"), len(lines))
            for file, lines in sorted(self.ran.items())
        ]


class Login:
    """A server and one user of it, who has an authenticator app."""

    def __init__(self) -> None:
        users = InMemoryUserStorage({"user_editable_fields": ["email"]})
        app, keys = FastAPI(), InMemoryKeyStorage()
        server = FastApiServer(
            {"session": {"key_storage": keys}},
            {
                "app": app,
                "user_storage": users,
                "secret": "a secret for a measurement, long enough to sign with",
                "authenticators": {
                    "localpassword": LocalPasswordAuthenticator(users, {"argon2": CHEAP}),
                    "totp": TotpAuthenticator("Trace"),
                },
                "allowed_factor2": ["none", "totp"],
                "site_url": "http://localhost:8000",
                "enable_email_verification": False,
            },
        )
        assert server.session_server is not None
        # A code counts once, and the next one comes in 30 seconds.
        self.ahead = timedelta(0)
        server.session_server.session_manager.session.clock = lambda: utc_now() + self.ahead
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, client=("127.0.0.1", 50000)), base_url="http://localhost:8000"
        )
        self.totp = pyotp.TOTP("A" * 32)

    async def send(self, path: str, **fields: Any) -> dict[str, Any]:
        """Send a form as JSON, as a page of the application would."""
        token = (await self.client.get("/api/getcsrftoken")).json()["csrfToken"]
        return await self.post(path, token, **fields)

    async def post(self, path: str, token: str, **fields: Any) -> dict[str, Any]:
        """The request alone, without the one for its token."""
        answer = await self.client.post(path, json=fields, headers={"X-CROSSAUTH-CSRF": token})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def code(self) -> str:
        """The next code."""
        self.ahead += timedelta(seconds=30)
        return self.totp.at(utc_now() + self.ahead)

    async def sign_up(self) -> None:
        """A user with TOTP who is logged out."""
        await self.send("/api/signup", username="alice", password=PASSWORD, repeat_password=PASSWORD, factor2="none")
        displayed = await self.send("/api/changefactor2", factor2="totp")
        self.totp = pyotp.TOTP(displayed["totpsecret"])
        await self.send("/api/configurefactor2", otp=self.code())
        await self.send("/api/logout")

    async def log_in(self, trace: Trace | None = None) -> None:
        """Log in, recording both requests where a trace is given."""
        for path, fields in (
            ("/api/login", {"username": "alice", "password": PASSWORD}),
            ("/api/loginfactor2", {"otp": self.code()}),
        ):
            token = (await self.client.get("/api/getcsrftoken")).json()["csrfToken"]
            if trace is None:
                await self.post(path, token, **fields)
            else:
                with trace.record():
                    await self.post(path, token, **fields)
        assert (await self.client.get("/api/userforsessionkey")).json()["user"]["username"] == "alice"


def trace_login() -> Trace:
    """Trace one login."""

    async def run() -> None:
        login = Login()
        await login.sign_up()
        await login.log_in()
        await login.send("/api/logout")
        await login.log_in(trace)

    # What the server does by itself each second is no part of a login, however slow the machine is.
    queue.TICK_SECONDS = 3600  # type: ignore[misc]
    trace, before = Trace(), sys.gettrace()
    # From the beginning, so that threads which hash passwords have the hook as well.
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        asyncio.run(run())
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]
    return trace


def main() -> int:
    """Print the figures."""
    trace = trace_login()
    table = trace.table()
    if "--files" in sys.argv:
        for name, lines, ran in sorted(table, key=lambda row: -row[1]):
            print(f"{lines:5} lines, {ran:4} ran   {name}")
    lines, ran = sum(row[1] for row in table), sum(row[2] for row in table)
    print(f"{len(table)} files, {lines} lines, {len(trace.functions)} functions, {ran} lines ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
