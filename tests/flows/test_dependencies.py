"""What a route can require, over every credential: `require`, `Principal`, and the helpers for tests of applications."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from crossauth_fastapi.testing import issue_token, login_as
from tests.resource import bearer
from tests.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop) -> Iterator[TestClient]:
    with TestClient(shop.app, follow_redirects=False) as client:
        yield client


def test_a_session_a_key_and_a_token_are_the_application_s_own_user(shop: Shop, client: TestClient) -> None:
    refused = client.get("/scope")
    assert (refused.status_code, refused.json()["errorCodeName"]) == (401, "Unauthorized")
    assert refused.headers.get_list("www-authenticate") == ['ApiKey realm="api"', 'Bearer realm="api", scope="orders"']
    assert client.get("/scope", headers=shop.key(shop.alice, scope=["orders"])).json() == "a 1"
    assert client.get("/scope", headers=bearer(issue_token(client, shop.bob, scope="x orders"))).json() == "b 2"
    csrf = login_as(client, shop.alice)
    assert client.get("/scope").json() == "a 1"
    assert client.post("/scope", headers=csrf).json() == "a 1"
