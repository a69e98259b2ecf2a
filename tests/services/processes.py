"""Servers as processes of their own, as somebody would run them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.services.wheel import clean_environment

_processes: dict[str, "subprocess.Popen[bytes]"] = {}


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str],
    folder: Path,
    settings: dict[str, str] | None = None,
    port: int | None = None,
    python: Path | None = None,
    told: bool = True,
) -> Iterator[str]:
    """Run `python command` in `folder` until the end of the block; yields its URL.

    The port is given as PORT, and to uvicorn as an option; unless it is `told` it has to be the server's own. `python` may be
    that of another environment.
    """
    port = port or free_port()
    url = f"http://localhost:{port}"
    options = ["--port", str(port)] if "uvicorn" in command else []
    settings = {"PORT": str(port), **(settings or {})}
    environment = clean_environment(**settings) if python else {**os.environ, **settings}
    if not told:
        del environment["PORT"]
    process = subprocess.Popen([python or sys.executable, *command, *options], cwd=folder, env=environment)
    _processes[url] = process
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"{url}/openapi.json", trust_env=False)
                break
            except httpx2.TransportError:
                assert process.poll() is None, "the server did not start"
                assert time.monotonic() < deadline, "the server did not answer"
                time.sleep(0.1)
        yield url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(30)


def kill(url: str) -> None:
    """End the server at `url` as a power cut would."""
    _processes[url].kill()
