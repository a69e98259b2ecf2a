"""What one hostile client can make the others wait for, and what it makes the server hold."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks import enter, millions
from benchmarks.load import percentile, request_bytes, run
from benchmarks.measure import Server
from tests.services.postgres import PostgresServer

MANY_LOGINS, FLOOD, BODIES, BODY_BYTES, FIELDS, ALONE_SECONDS = 100, 256, 4, 38 * 2**20, 8000, 60


class Attack(NamedTuple):
    """One row."""

    what: str
    measured: str
    wanted: str
    holds: bool


async def _waits_during(server: Server, request: bytes, attack: Coroutine[Any, Any, Any]) -> list[float]:
    """How long `request` takes in milliseconds, one after the other, while `attack` runs."""
    running, found = asyncio.create_task(attack), []
    await asyncio.sleep(0.05)
    while not running.done():
        found += [1000 * wait for wait in (await run(server.url, [request], 0.0, 1)).waits]
        await asyncio.sleep(0.005)
    await running
    return found


def _under(what: str, waits: list[float], share: float, limit: float) -> Attack:
    found = percentile(waits, share)
    name = "longest" if share == 1 else f"p{share * 100:.0f}"
    return Attack(what, f"{name} {found:.1f} ms of {len(waits)}", f"under {limit:.0f} ms", found < limit)


def _many_logins(server: Server, login: bytes, ok: int) -> Attack:
    me = request_bytes(server.url, "/me", server.headers)
    waits = asyncio.run(_waits_during(server, me, run(server.url, [login], 3.0, MANY_LOGINS, ok)))
    return _under(f"`GET /me` while {MANY_LOGINS} logins of one address are in flight, {server.name}", waits, 0.99, 100)


def _many_fields(server: Server) -> Attack:
    fields = {f"field{n}": 1 for n in range(FIELDS)}
    body = (json.dumps(fields, separators=(",", ":"))[:-1] + ',"field0":1}')[: 64 * 1024].encode()
    headers = {**server.headers, "Content-Type": "application/json"}
    post = request_bytes(server.url, "/api/login", headers, "POST", body)
    ping = request_bytes(server.url, "/ping", {})
    waits = asyncio.run(_waits_during(server, ping, run(server.url, [post], 2.0, 1, 400)))
    return _under(f"`GET /ping` while bodies of {len(body) // 1000} kB with {FIELDS} fields come in", waits, 1, 20)


async def _post_bodies(server: Server) -> None:
    parts = urlsplit(server.url)
    head = (
        f"POST /auth/register HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {BODY_BYTES}\r\n\r\n"
    ).encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(head + b'{"email": "')
            for _ in range(BODY_BYTES // 2**20):
                writer.write(b"a" * 2**20)
                await writer.drain()
            await asyncio.wait_for(reader.read(64), 10)
        except (OSError, TimeoutError):
            pass  # refused before it was read
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(BODIES)))


def _large_bodies(server: Server) -> Attack:
    before, most = server.rss(), 0

    async def watched() -> None:
        nonlocal most
        sending = asyncio.create_task(_post_bodies(server))
        while not sending.done():
            most = max(most, server.rss())
            await asyncio.sleep(0.02)
        await sending

    asyncio.run(watched())
    risen = (max(most, server.rss()) - before) / 2**20
    return Attack(
        f"memory for {BODIES} bodies of {BODY_BYTES >> 20} MiB at the routes",
        f"{risen:.1f} MiB more",
        "under 20 MiB",
        risen < 20,
    )


def _known_browser(server: Server) -> Attack:
    """A login in a browser where the user logged in before, while strangers guess."""
    with enter.client_of(server) as client:
        token = client.get("/api/getcsrftoken").json()["csrfToken"]
        fields = {"username": "alice@example.com", "password": enter.PASSWORD}
        answer = client.post("/api/login", json=fields, headers={enter.CSRF: token})
        assert answer.status_code == 200, answer.text
        device = next(c for c in client.cookies.jar if c.name == "KNOWNDEVICE")
    login = enter.crossauth_login(server, f"KNOWNDEVICE={device.value}")
    wrong = enter.crossauth_login(server, password="Wrong1horse")

    async def calm() -> list[float]:
        return [1000 * w for _ in range(20) for w in (await run(server.url, [login], 0.0, 1)).waits]

    quiet = percentile(asyncio.run(calm()), 0.5)
    waits = asyncio.run(_waits_during(server, login, run(server.url, [wrong], 5.0, FLOOD, 401)))
    delay = percentile(waits, 0.5) - quiet
    return Attack(
        f"a known browser's login while {FLOOD} wrong ones are in flight",
        f"{delay:.0f} ms later than alone (p50 of {len(waits)})", "under 150 ms", delay < 150,
    )  # fmt: skip


def _purge(folder: Path, count: int) -> Attack:
    """Logins while a million expired keys are thrown away."""
    url = f"sqlite:///{folder}/purge.db"
    server = Server(
        "purge", sys.executable, "ours:app", {"BENCH_DATABASE": url, "BENCH_RECOVERY": "1"}, enter.crossauth
    )
    server.start()
    try:
        millions.fill(url, count, expired=True)
        login = enter.crossauth_login(server)
        purge = request_bytes(server.url, "/purge", {})
        failures = 0

        async def logins(until: Callable[[], bool]) -> list[float]:
            nonlocal failures
            found: list[float] = []
            while not until():
                load = await run(server.url, [login], 0.0, 1)
                failures += load.failures
                found += load.waits
            return found

        async def both() -> tuple[list[float], list[float]]:
            began = time.perf_counter()
            alone = await logins(lambda: time.perf_counter() - began > ALONE_SECONDS)
            purging: Awaitable[Any] = asyncio.create_task(run(server.url, [purge], 0.0, 1))
            return alone, await logins(purging.done)  # type: ignore[attr-defined]

        alone, meanwhile = asyncio.run(both())
        # The longest of many with the longest of many: one login in some hundreds waits for the disk or the scheduler anyway.
        longest, before = 1000 * max(meanwhile), 1000 * max(alone)
        return Attack(
            f"logins on SQLite while {count:,} expired keys are purged",
            f"longest {longest:.0f} ms (alone {before:.0f} ms of {len(alone)}), {failures} of {len(meanwhile)} refused",
            "under 100 ms longer and none refused", longest - before < 100 and not failures,
        )  # fmt: skip
    finally:
        server.stop()


def measure(folder: Path, postgres: PostgresServer, quick: bool) -> list[Attack]:
    """Every row."""
    found: list[Attack] = []
    settings = {"BENCH_DATABASE": postgres.create_database(), "BENCH_RECOVERY": "1"}
    server = Server("session server on PostgreSQL", sys.executable, "ours:app", settings, enter.crossauth)
    server.start()
    try:
        found.append(_many_logins(server, enter.crossauth_login(server), 200))
        found.append(_many_fields(server))
        found.append(_known_browser(server))
    finally:
        server.stop()
    settings = {"BENCH_DATABASE": postgres.create_database(), "BENCH_STRATEGY": "database"}
    routes = Server("routes on PostgreSQL", sys.executable, "ours_routes:app", settings, enter.fastapi_users)
    routes.start()
    try:
        found.append(_many_logins(routes, enter.fastapi_users_login(routes), 200))
        found.append(_large_bodies(routes))
    finally:
        routes.stop()
    found.append(_purge(folder, 50_000 if quick else 1_000_000))
    return found
