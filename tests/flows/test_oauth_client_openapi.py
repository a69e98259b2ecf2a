"""What OpenAPI says of the OAuth client: every endpoint for scripts once, and no page."""

import warnings
from collections.abc import AsyncIterator

import pytest

from crossauth_backend.testing import FakeProvider
from tests.oauthclient import IN_SESSION, TOKENS, ClientSite

TAG = "OAuth client"
PAGES = {"/passwordflowotp", "/passwordflowoob", "/devicecodeflow", "/deletetokens", "/authzcode"}
JSON = {
    "/clientcredflow": "scope", "/refreshtokenflow": "refresh_token", "/refreshtokens": "csrfToken",
    "/refreshtokensifexpired": "csrfToken", "/api/refreshtokens": "csrfToken", "/api/refreshtokensifexpired": "csrfToken",
    "/passwordflow": "username", "/passwordotp": "otp", "/passwordoob": "binding_code", "/api/devicecodeflow": "scope",
    "/devicecodepoll": "device_code", "/api/devicecodepoll": "device_code", "/access_token": "decode", "/id_token": "decode",
    "/refresh_token": "decode", "/have_access_token": "csrfToken", "/have_id_token": "csrfToken",
    "/have_refresh_token": "csrfToken", "/tokens": "decode", "/api/deletetokens": "csrfToken",
}  # fmt: skip


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


async def test_every_endpoint_for_scripts_is_described_once(provider: FakeProvider) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = ClientSite(provider, {**IN_SESSION, **TOKENS}).server.app.openapi()
    ours = {
        path: ops for path, ops in document["paths"].items() if any(TAG in op.get("tags", ()) for op in ops.values())
    }
    assert ours.keys() >= JSON.keys()
    assert ours.keys().isdisjoint(PAGES)
    assert all(ops.keys() == {"post"} for path, ops in ours.items() if path in JSON)
    names = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("path", "field"), JSON.items())
async def test_its_fields_its_answers_and_its_csrf_token_are_described(
    provider: FakeProvider, path: str, field: str
) -> None:
    document = ClientSite(provider, {**IN_SESSION, **TOKENS}).server.app.openapi()
    operation = document["paths"][path]["post"]
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        assert field in operation["requestBody"]["content"][kind]["schema"]["properties"]
    assert operation["security"] == [{"CSRF": []}]
    assert {"200", "400", "403", "502", "503"} <= operation["responses"].keys()
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert operation["summary"]
