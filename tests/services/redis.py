"""Redis servers of the tests' own: on loopback, on free ports, in memory only."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from tests.services.processes import free_port

_PROGRAM = shutil.which("redis-server")
_SLOTS = 16384


class RedisServer:
    """One server, which can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        if _PROGRAM is None:
            raise RuntimeError("no Redis found: install Debian's package redis-server")
        self.port = free_port()
        self._command = [
            _PROGRAM, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(folder), *options,
        ]  # fmt: skip
        self.start()

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> "redis.Redis":
        """A client of the tests' own."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError("Redis did not start") from None
                    time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(20)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A server until the end of the block."""
    server = RedisServer(folder, *options)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def redis_cluster(folder: Path, nodes: int = 3) -> Iterator[RedisServer]:
    """A Redis Cluster of `nodes` masters until the end of the block; yields one of them."""
    with ExitStack() as stack:
        servers = []
        for number in range(nodes):
            own = folder / str(number)
            own.mkdir()
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
            bus = ("--cluster-port", str(free_port()))
            servers.append((stack.enter_context(redis_server(own, *options, *bus)), bus[1]))
        for number, (server, _) in enumerate(servers):
            first, last = _SLOTS * number // nodes, _SLOTS * (number + 1) // nodes - 1
            with server.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
                for other, bus in servers[:number]:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", other.port, bus)
        deadline = time.monotonic() + 30
        for server, _ in servers:
            with server.client() as client:
                while not _formed(client.cluster("info"), nodes):
                    assert time.monotonic() < deadline, "the cluster did not form"
                    time.sleep(0.05)
        yield servers[0][0]


def _formed(info: dict[str, str], nodes: int) -> bool:
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(nodes)
