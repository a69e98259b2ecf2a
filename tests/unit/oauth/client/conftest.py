"""A provider on a real socket, and its client."""

from collections.abc import AsyncIterator

import pytest

from tests.oauth_login import Login, login_at_provider


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    async with login_at_provider(("ES256",)) as login:
        yield login
