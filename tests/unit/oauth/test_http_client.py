"""The client that everything sends by which leaves the server."""

import asyncio
from datetime import timedelta

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.fetch import FetchRequest
from crossauth_backend.core.http_client import HttpClient
from crossauth_backend.testing import FakeIssuer, Fault
from tests.patience import IMPATIENCE, PATIENCE


async def test_a_response_of_any_status_is_returned_and_no_redirect_followed(issuer: FakeIssuer) -> None:
    client = HttpClient()
    found = await client.fetch(FetchRequest(url=f"{issuer.origin}/jwks"))
    assert (found.status, found.is_json) == (200, True)
    issuer.fault = Fault.REDIRECT
    moved = await client.fetch(FetchRequest(url=f"{issuer.origin}/jwks"))
    assert (moved.status, moved.headers["location"]) == (302, "/moved/jwks")
    await client.aclose()


@pytest.mark.parametrize("fault", [
    Fault.HUGE, Fault.CHUNKS, Fault.DIES, Fault.HANGS, Fault.DRIPS, Fault.GARBAGE, Fault.COMPRESSED,
])  # fmt: skip
async def test_what_is_no_whole_response_in_time_is_an_error_that_names_only_the_host(
    fault: Fault, issuer: FakeIssuer
) -> None:
    client, issuer.fault = HttpClient(), fault
    timeout = IMPATIENCE if fault in (Fault.HANGS, Fault.DRIPS) else timedelta(seconds=PATIENCE)
    request = FetchRequest(url=f"{issuer.origin}/secret?token=abc", timeout=timeout, max_bytes=1000)
    with pytest.raises(CrossauthError) as refused:
        await client.fetch(request)
    assert refused.value.code is ErrorCode.Connection
    assert "127.0.0.1: " in str(refused.value.detail)
    assert ("more than 1000 bytes" in str(refused.value.detail)) is (fault in (Fault.HUGE, Fault.CHUNKS))
    assert "secret" not in f"{refused.value} {refused.value.detail}"
    assert "token" not in repr(FetchRequest(url="https://a.example", body=b"token", headers={"Authorization": "token"}))
    await client.aclose()


async def test_a_proxy_of_the_environment_is_not_asked(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = HttpClient()
    assert (await client.fetch(FetchRequest(url=f"{issuer.origin}/jwks"))).status == 200
    await client.aclose()


def test_one_client_serves_several_event_loops() -> None:
    client = HttpClient()

    async def once() -> int:
        async with FakeIssuer() as issuer:
            found = await client.fetch(FetchRequest(url=f"{issuer.origin}/jwks"))
            await client.aclose()
            return found.status

    assert [asyncio.run(once()) for _ in range(2)] == [200, 200]
