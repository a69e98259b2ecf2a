"""What it costs to pass requests on to an API, beside a bare route that does it by aiohttp; and a login by code flow."""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from benchmarks.load import request_bytes
from benchmarks.measure import Server, interleaved, middle
from crossauth_backend.testing import FakeProvider

MB, READ = 1_000_000, 2**18
LEAST_SHARE, MOST_GROWTH_MB = 0.38, 5
# 2,500 of the 3,500 MB per CPU second that a bare route with aiohttp has where bare FastAPI serves 16,400 requests in one. How
# many megabytes it is depends on the machine; which part of what a proxy can be at best, much less.
LEAST_OF_BARE_PROXY = 0.71
OURS, BARE_PROXY = "Crossauth", "a bare route with aiohttp"


class Row(NamedTuple):
    """One row."""

    what: str
    ours: str
    bare: str
    wanted: str = ""
    holds: bool = True


def log_in(server: Server, client: httpx2.Client) -> None:
    """Log in at the provider by the code flow, as a browser does."""
    to_provider = client.get(f"{server.url}/authzcodeflow").headers["location"]
    back = httpx2.get(to_provider, trust_env=False).headers["location"]
    # The redirect URI is that of the site, which is not where this server listens.
    done = client.get(f"{server.url}/authzcode?{urlsplit(back).query}")
    assert done.is_redirect, done.text


def enter(server: Server) -> dict[str, str]:
    """Log in; the cookies are the credential."""
    with httpx2.Client(trust_env=False, timeout=30) as client:
        log_in(server, client)
        headers = {"Cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)}
        assert client.get(f"{server.url}/bff/orders", headers=headers).json() == {"username": "alice"}
    return headers


@contextmanager
def _started(servers: list[Server]) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.stop()


@asynccontextmanager
async def _asked(server: Server, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """The body of an answer, as it comes; what the connection says of its length is left out."""
    parts = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=READ)
    try:
        writer.write(request_bytes(server.url, path, {**server.headers, "Connection": "close"}))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head[9:12] == b"200", head
        yield reader
    finally:
        writer.close()


async def _download(server: Server) -> tuple[int, int]:
    """Bytes that came, and by how many the memory of the server grew meanwhile."""
    size, before = 0, server.rss()
    most, looked = before, 0.0
    async with _asked(server, "/bff/download") as reader:
        while chunk := await reader.read(READ):
            size += len(chunk)
            if time.perf_counter() - looked > 0.01:
                most, looked = max(most, server.rss()), time.perf_counter()
    return size, most - before


def download(server: Server, count: int) -> tuple[float, float]:
    """Megabytes per CPU second, and the growth of memory in megabytes, of `count` downloads after a first one."""
    asyncio.run(_download(server))
    before, total, grown = server.cpu(), 0, 0
    for _ in range(count):
        size, growth = asyncio.run(_download(server))
        total, grown = total + size, max(grown, growth)
    assert total > 90 * MB * count, f"{server.name}: {total} bytes of {count} downloads"
    return total / MB / (server.cpu() - before), grown / MB


async def _first_byte(server: Server) -> float:
    began = time.perf_counter()
    async with _asked(server, "/bff/events") as reader:
        await reader.readuntil(b"data: 0")
        return 1000 * (time.perf_counter() - began)


def first_byte(server: Server, count: int) -> float:
    """Median milliseconds until the first event is there."""
    return statistics.median(asyncio.run(_first_byte(server)) for _ in range(count))


def logins(server: Server, count: int) -> float:
    """Logins by code flow per CPU second of the application."""
    before = server.cpu()
    for _ in range(count):
        with httpx2.Client(trust_env=False, timeout=30) as client:
            log_in(server, client)
    return count / (server.cpu() - before)


def measure(provider: FakeProvider, rounds: int, seconds: float, quick: bool) -> list[Row]:
    """The rows. The API and the provider run on the core of the load generator, the proxies on the other."""
    # No token is refreshed meanwhile.
    provider.settings.token_lifetime = 4 * 3600
    upstream = Server("the API", sys.executable, "upstream:app", core=1)
    with _started([upstream]):
        where = {"BENCH_UPSTREAM": upstream.url, "BENCH_PROVIDER": provider.url}
        bare = Server("bare FastAPI", sys.executable, "bare:app")
        proxy = Server(BARE_PROXY, sys.executable, "bare_proxy:app", where, path="/bff/orders")
        ours = Server(OURS, sys.executable, "ours_bff:app", where, enter, path="/bff/orders")
        direct = Server("the same route without a proxy", sys.executable, "ours_bff:app", where, enter, path="/orders")
        with _started([bare, proxy, ours, direct]):
            interleaved([bare, proxy, ours], rounds, seconds)
            shares = [middle(server.shares)[0] for server in (ours, proxy)]
            ours.shares.clear()
            interleaved([direct, ours], rounds, seconds)
            of_its_own = middle(ours.shares)[0]
            loads = [[download(server, 1 if quick else 5) for server in (ours, proxy)] for _ in range(rounds)]
            firsts = [first_byte(server, 5 if quick else 50) for server in (ours, proxy)]
            rate = logins(ours, 20 if quick else 300)
    ours_mb, proxy_mb = (statistics.median(load[0] for load in of_one) for of_one in zip(*loads, strict=True))
    ours_grown, proxy_grown = (max(load[1] for load in of_one) for of_one in zip(*loads, strict=True))
    of_bare = statistics.median(ours[0] / proxy[0] for ours, proxy in loads)
    return [
        Row("GET, share of the same route of the same session without a proxy, per CPU second", f"{of_its_own:.2f}",
            f"{shares[1]:.2f}", f"at least {LEAST_SHARE}", of_its_own >= LEAST_SHARE),
        Row("GET, share of bare FastAPI per CPU second", *(f"{share:.2f}" for share in shares)),
        Row("100 MB download, share of the bare route with aiohttp, per CPU second", f"{of_bare:.2f}", "1.00",
            f"at least {LEAST_OF_BARE_PROXY}", of_bare >= LEAST_OF_BARE_PROXY),
        Row("100 MB download, MB per CPU second", f"{ours_mb:,.0f}", f"{proxy_mb:,.0f}"),
        Row("memory for a 100 MB download", f"{ours_grown:.1f} MB more", f"{proxy_grown:.1f} MB more",
            f"under {MOST_GROWTH_MB} MB", ours_grown < MOST_GROWTH_MB),
        Row("first byte of an event stream, p50", *(f"{first:.1f} ms" for first in firsts)),
        Row("logins by code flow per CPU second", f"{rate:,.0f}", ""),
    ]  # fmt: skip
