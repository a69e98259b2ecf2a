"""Access tokens on an application: which routes need one, and what a refused one is worth."""

from collections.abc import AsyncIterator

import pytest

from crossauth_backend.testing import FakeIssuer
from tests.resource import AUDIENCE, an_api, bearer


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer() as issuer:
        yield issuer


async def test_a_protected_route_needs_a_token_with_its_scopes(issuer: FakeIssuer) -> None:
    async with an_api(issuer, {"/orders": {"scope": ["read", "write"]}}, error_body={"no": 1}) as client:
        nothing = await client.get("/orders")
        assert (nothing.status_code, nothing.json()) == (401, {"no": 1})
        assert nothing.headers["www-authenticate"] == 'Bearer scope="read write"'
        bad = await client.get("/orders", headers=bearer("abc"))
        assert (bad.status_code, bad.json()) == (401, {"no": 1})
        assert bad.headers["www-authenticate"] == (
            'Bearer error="invalid_token", error_description="The access token is not valid", scope="read write"'
        )
        weak = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="read")))
        assert (weak.status_code, weak.json()) == (403, {"no": 1})
        assert 'error="insufficient_scope"' in weak.headers["www-authenticate"]
        assert 'scope="read write"' in weak.headers["www-authenticate"]
        good = await client.get("/orders", headers=bearer(issuer.issue_token(AUDIENCE, scope="read write more")))
        assert good.json() == {"user": "1", "auth_type": "oauth", "scope": ["read", "write", "more"], "sub": "1"}
