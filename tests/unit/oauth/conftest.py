"""An issuer on a real socket, and what reads its tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.testing import FakeClock, FakeIssuer
from tests.patience import PATIENCE, Impatient

MakeConsumer = Callable[..., OAuthTokenConsumer]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
async def issuer(clock: FakeClock) -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(clock=clock) as issuer:
        yield issuer


@pytest.fixture
async def impatient(issuer: FakeIssuer) -> AsyncIterator[Impatient]:
    async with aclosing(Impatient(issuer)) as client:
        yield client


@pytest.fixture
async def make_consumer(issuer: FakeIssuer, clock: FakeClock) -> AsyncIterator[MakeConsumer]:
    async with AsyncExitStack() as stack:

        def make(audience: Any = "api", of: FakeIssuer = issuer, **options: Any) -> OAuthTokenConsumer:
            consumer = OAuthTokenConsumer(
                audience, {"auth_server_base_url": of.url, "fetch_timeout": PATIENCE, **options}, clock=clock
            )
            stack.push_async_callback(consumer.aclose)
            return consumer

        yield make
