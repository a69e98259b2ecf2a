"""Services for the tests, started when the first test asks for them."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import httpcore2
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.models import share_models
from tests.services.browser import chromium
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.redis import RedisServer, redis_cluster, redis_server
from tests.services.wheel import build_wheel

# A client reads all certificates of the machine when it is made, and the tests make thousands: they share one context.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
share_models()

skipped: list[str] = []
wheel_ran_on: list[str] = []

# What takes longest begins first: begun last, it would run on one worker while the others have nothing left.
LONGEST = (
    "tests/browser/",
    "tests/cli/test_create_superuser.py",
    "tests/docs/test_tutorial.py",
    "tests/fastapi_users/test_core.py",
    "tests/flows/test_bff_workers.py",
    "tests/flows/test_deployments.py",
    "tests/flows/test_examples_schema.py",
    "tests/security/test_bodies.py",
    "tests/security/test_column_values.py",
    "tests/security/test_database_faults.py",
    "tests/security/test_limits.py",
    "tests/security/test_login_machine.py",
    "tests/security/test_mail.py",
    "tests/security/test_step_up_routes.py",
    "tests/security/test_two_browsers_walk.py",
    "tests/structure/test_package.py",
    "tests/structure/test_wheel.py",
    "tests/unit/test_api_keys_docs.py",
    "tests/unit/test_readme.py",
    "tests/unit/test_typing.py",
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty PostgreSQL database."""
    return postgres.create_database()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new SQLite file."""
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(scope="session")
def redis_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server that lives as long as the tests."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_instance: RedisServer) -> str:
    """An empty Redis database."""
    with redis_instance.client() as client:
        client.flushall()
    return redis_instance.url


@pytest.fixture(scope="session")
def redis_cluster_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A node of a Redis Cluster."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; tests that use it run on the session's event loop."""
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; `tests.services.wheel` installs it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("CROSSAUTH_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _in_one_window() -> None:
    """Begins no test right before a quarter of an hour, where the windows of limits end: what it counts would be halved."""
    left = 900 - time.time() % 900
    if left < 15:
        time.sleep(left)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--without FIXTURE` leaves out the tests that need it: a browser or a peer that is not there."""
    parser.addoption("--without", action="append", default=[], metavar="FIXTURE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the longest first, and leaves out what `--without` names."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    without = set(config.getoption("--without"))
    left_out = [item for item in items if without & set(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes what was skipped, and the versions of Python that the wheel was tried on."""
    if report.skipped:
        skipped.append(report.nodeid)
    if report.when == "call":
        wheel_ran_on.extend(str(value) for name, value in report.user_properties if name == "wheel ran on")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which versions of Python the wheel was tried on."""
    if wheel_ran_on:
        terminalreporter.write_line(f"The wheel was installed and ran on Python {', '.join(sorted(wheel_ran_on))}.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed run: what is not tested is not known to work."""
    if skipped:
        session.exitstatus = 1
        print(f"\nskipped, which counts as failed: {', '.join(skipped)}")
