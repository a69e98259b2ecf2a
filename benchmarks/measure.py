"""Servers as processes, and what a request costs them."""

import asyncio
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

from benchmarks.load import percentile, request_bytes, run

SERVERS = Path(__file__).parent / "servers"
TIMEOUT = 30
# Seconds that a server is measured before it is another one's turn.
WINDOW = 0.25
# What `uvicorn[standard]` and `fastapi[standard]` run, and what plain `uvicorn` runs.
STANDARD = ("--loop", "uvloop", "--http", "httptools")
PLAIN = ("--loop", "asyncio", "--http", "h11")


@dataclass
class Server:
    """One server, and how a client of it shows who is asking."""

    name: str
    python: str
    app: str
    environment: dict[str, str] = field(default_factory=dict)
    enter: Callable[["Server"], dict[str, str]] = lambda server: {}
    why_not: str | None = None
    options: tuple[str, ...] = STANDARD
    path: str = "/me"
    core: int = 0
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    process: psutil.Popen | None = None
    shares: list[tuple[float, float]] = field(default_factory=list)
    absolute: list[tuple[float, float]] = field(default_factory=list)

    def start(self) -> None:
        """Start it under uvicorn, one worker, on its core, and log in."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [self.python, "-m", "uvicorn", self.app, "--port", str(port), "--log-level", "error"]
        environment = {**os.environ, "BENCH_ROUTE": self.path, **self.environment}
        self.process = psutil.Popen([*command, *self.options], cwd=SERVERS, env=environment, stdout=subprocess.DEVNULL)
        self.process.cpu_affinity([self.core])
        self._wait()
        self.headers = self.enter(self)

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                httpx2.get(f"{self.url}/ping", trust_env=False)
                return
            except httpx2.TransportError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    @property
    def keeps_nothing(self) -> bool:
        """Whether it is as before where it is started anew."""
        return not self.environment.keys() & {"BENCH_DATABASE", "BENCH_REDIS"}

    def restart(self) -> None:
        """Start it anew, if it keeps nothing."""
        if self.keeps_nothing:
            self.stop()
            self.requests = []
            self.start()

    def rss(self) -> int:
        """Bytes of memory that the process holds."""
        assert self.process is not None
        return int(self.process.memory_info().rss)

    def cpu(self) -> float:
        """CPU seconds that the process has used, all threads."""
        assert self.process is not None
        times = self.process.cpu_times()
        return float(times.user + times.system)


def _measure(server: Server, seconds: float) -> tuple[int, float, float]:
    """Requests that were answered, CPU seconds of the server, and seconds."""
    requests = server.requests or [request_bytes(server.url, server.path, server.headers)]
    before = server.cpu()
    load = asyncio.run(run(server.url, requests, seconds))
    if load.failures:
        raise RuntimeError(f"{server.name}: {load.failures} of {load.requests} requests failed")
    # The next window goes on where this one ended: what was new stays new.
    done = load.requests % len(requests)
    server.requests = requests[done:] + requests[:done]
    return load.requests, server.cpu() - before, load.seconds


def in_turn(servers: list[Server], seconds: float) -> list[tuple[float, float]]:
    """Requests per CPU second of each server, and per second, measured in short windows by turns.

    A machine that is shared is faster now and slower a second later; so none of them has a better hour than the others.
    """
    windows = max(1, round(seconds / WINDOW))
    for server in servers:
        # Who was measured last is warm, and who waited a minute is not.
        _measure(server, WINDOW)
    sums = [[0.0, 0.0, 0.0] for _ in servers]
    for _ in range(windows):
        for server, total in zip(servers, sums, strict=True):
            for place, value in enumerate(_measure(server, seconds / windows)):
                total[place] += value
    return [(requests / used, requests / wall) for requests, used, wall in sums]


def interleaved(servers: list[Server], rounds: int, seconds: float) -> None:
    """Measure every server `rounds` times, each time beside the first and as a share of it.

    Where in memory a process happens to lie makes it several per cent faster or slower; so those that can are started anew.
    """
    for server in list(servers):
        try:
            _measure(server, min(1.0, seconds))
        except (RuntimeError, OSError, EOFError) as e:
            server.why_not = f"did not run: {e}"
            server.stop()
            servers.remove(server)
    first = servers[0]
    for _ in range(rounds):
        for server in servers:
            both = [first] if server is first else [first, server]
            for one in both:
                one.restart()
            found = in_turn(both, seconds)
            base, own = found[0], found[-1]
            server.absolute.append(own)
            server.shares.append((own[0] / base[0], own[1] / base[1]))


def quartiles(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The quartiles of the first halves."""
    first = sorted(p[0] for p in pairs)
    if len(first) < 2:
        return first[0], first[0]
    low, _, high = statistics.quantiles(first, n=4, method="inclusive")
    return low, high


def middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The medians of both halves."""
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


@dataclass
class Waits:
    """How long an unrelated request waits, in milliseconds, and how many logins are served meanwhile."""

    calm_p50: float
    calm_p99: float
    busy_p50: float
    busy_p99: float
    logins_per_second: float
    failed: float


def waits(server: Server, login: list[bytes], seconds: float, ok: int) -> Waits:
    """An unrelated request every few milliseconds, alone and while eight logins are in flight.

    `failed` is the share of logins that were not answered as they should be.
    """
    ping = [request_bytes(server.url, "/ping", {})]

    async def both(with_logins: bool) -> tuple[list[float], float, float]:
        found: list[float] = []
        logins = asyncio.create_task(run(server.url, login, seconds, 8, ok)) if with_logins else None
        if logins is not None:
            await asyncio.sleep(0.3)
        deadline = time.perf_counter() + seconds - 0.4
        while time.perf_counter() < deadline:
            found += (await run(server.url, ping, 0.0, 1)).waits
            await asyncio.sleep(0.01)
        if logins is None:
            return found, 0.0, 0.0
        done = await logins
        return found, (done.requests - done.failures) / done.seconds, done.failures / done.requests

    calm, _, _ = asyncio.run(both(False))
    busy, rate, failed = asyncio.run(both(True))
    return Waits(*(1000 * percentile(v, s) for v in (calm, busy) for s in (0.5, 0.99)), rate, failed)
