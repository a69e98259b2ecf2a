"""A backend-for-frontend in two processes of the operating system: what one has refreshed, the other does not refresh again."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from crossauth_backend.testing import FakeProvider
from crossauth_fastapi import FastApiServer
from tests.bffworker import PROCESS
from tests.oauthclient import Visitor
from tests.services.processes import running
from tests.services.uvicorn import serve

FOLDER = Path(__file__).parents[2]
CALLS = 100


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@contextmanager
def api(provider: FakeProvider) -> Iterator[str]:
    """An API that lets access tokens of the provider in, and nothing else; it says which one came."""
    app = FastAPI()
    FastApiServer(
        {
            "oauth_resserver": {
                "options": {
                    "auth_server_base_url": provider.url, "audience": provider.settings.audience,
                    "protected_endpoints": {"/me": {}},
                }
            }
        },
        {"app": app},
    )  # fmt: skip

    @app.get("/me")
    async def me(request: Request) -> dict[str, str]:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return {"sub": request.state.access_token_payload["sub"], "token": token}

    with serve(app) as url:
        yield url


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_hundred_calls_at_once_in_two_processes_make_one_refresh(
    provider: FakeProvider, kind: str, request: pytest.FixtureRequest
) -> None:
    with api(provider) as api_url:
        settings = {
            "SITE_DATABASE": request.getfixturevalue(f"{kind}_url"), "SITE_PROVIDER": provider.url, "SITE_API": api_url,
            "SITE_CLIENT_ID": provider.client_options["client_id"],
            "SITE_CLIENT_SECRET": provider.client_options["client_secret"],
        }  # fmt: skip
        command = ["-m", "uvicorn", "--factory", "tests.bffworker:create", "--log-level", "warning"]
        async with AsyncExitStack() as stack:
            workers = [stack.enter_context(running(command, FOLDER, settings)) for _ in range(2)]
            browsers = [await stack.enter_async_context(Visitor(url)) for url in workers]
            provider.settings.token_lifetime = 1
            await browsers[0].log_in_by_password()
            browsers[1].cookies.update(browsers[0].cookies)
            (old,) = provider.access_tokens
            while time.time() < provider.expiries[old]:
                await asyncio.sleep(0.05)
            provider.settings.token_lifetime = 3600
            # Whoever refreshes a second time does so while the first is still under way.
            provider.delays["token"] = 0.5
            asked = provider.requests["token"]

            answers = await asyncio.gather(*(browsers[n % 2].get("/bff/me") for n in range(CALLS)))

            assert Counter(answer.status_code for answer in answers) == {200: CALLS}
            (new,) = {answer.json()["token"] for answer in answers}
            assert new != old
            assert {answer.json()["sub"] for answer in answers} == {"alice"}
            assert list(Counter(answer.headers[PROCESS] for answer in answers).values()) == [CALLS // 2] * 2
            assert provider.requests["token"] - asked == 1
            # What it brought is kept, and does.
            assert {(await browser.get("/bff/me")).json()["token"] for browser in browsers} == {new}
            assert provider.requests["token"] - asked == 1
