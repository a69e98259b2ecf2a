"""A light load generator: keep-alive connections, prepared bytes, one request at a time on each."""

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """What a run of the generator found."""

    requests: int = 0
    seconds: float = 0.0
    failures: int = 0
    waits: list[float] = field(default_factory=list)


def request_bytes(url: str, path: str, headers: dict[str, str], method: str = "GET", body: bytes = b"") -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *(f"{n}: {v}" for n, v in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request and read the answer; returns its status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start >= 0:
        length = int(lowered[start + 15 : lowered.find(b"\r\n", start)])
        if length:
            await reader.readexactly(length)
    return int(head[9:12])


async def run(url: str, requests: list[bytes], seconds: float, connections: int = 8, ok: int = 200) -> Load:
    """Send `requests` in turn over `connections` connections for `seconds`, at least one on each."""
    parts, load = urlsplit(url), Load()
    deadline = time.perf_counter() + seconds

    async def worker(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        turn = number
        while True:
            started = time.perf_counter()
            try:
                status = await exchange(reader, writer, requests[turn % len(requests)])
            except (OSError, EOFError):
                # The server gave up on the connection: that request failed, the next one goes over a new one.
                status = 0
                writer.close()
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            load.waits.append(time.perf_counter() - started)
            load.requests += 1
            load.failures += status != ok
            turn += connections
            if time.perf_counter() >= deadline:
                break
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(worker(n) for n in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
