"""How logins end at the provider for tests."""

from collections.abc import AsyncIterator

import pytest

from crossauth_backend.core.jose import read_unverified
from crossauth_backend.testing import FakeIssuer, FakeProvider, ProviderFault
from crossauth_backend.testing.fake_provider_faults import LOGOUT_EVENT
from crossauth_backend.testing.wire import Received, Reply
from tests.unit.testing.conftest import Walk


class Client(FakeIssuer):
    """What logout tokens are sent to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    async def _answer(self, received: Received) -> Reply:
        self.told.append(received.fields["logout_token"])
        return Reply(200, {})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as client:
        yield client


def test_a_logout_token_has_its_type_and_its_event() -> None:
    header, claims = read_unverified(FakeProvider().logout_token(sub="alice", sid="s"))
    assert (header["typ"], claims["events"], claims["aud"]) == ("logout+jwt", {LOGOUT_EVENT: {}}, "client")
    faulty = FakeProvider().logout_token(sub="alice", fault=ProviderFault.WITH_NONCE)
    assert "nonce" in read_unverified(faulty)[1]
    assert "exp" not in read_unverified(FakeProvider().logout_token(sub="alice", exp=None))[1]


async def test_a_logout_token_is_sent(walk: Walk, client: Client) -> None:
    answer = await walk.provider.send_logout_token(f"{client.origin}/logout", sid="s")
    assert answer.status == 200
    assert read_unverified(client.told[0])[1]["sid"] == "s"


async def test_a_logout_in_the_browser_tells_clients_of_the_session(walk: Walk, client: Client) -> None:
    walk.provider.settings.backchannel_logout = {"client": f"{client.origin}/logout", "public": "http://127.0.0.1:1/"}
    tokens = (await walk.tokens()).json()
    query = {
        "id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "http://localhost:8000/out", "state": "s",
    }  # fmt: skip
    answer = await walk.http.get(f"{walk.provider.base}/end_session", params=query)
    assert answer.headers["location"] == "http://localhost:8000/out?state=s"
    assert read_unverified(client.told[0])[1]["sid"] == read_unverified(tokens["id_token"])[1]["sid"]
    again = (await walk.tokens()).json()
    assert read_unverified(again["id_token"])[1]["sid"] != read_unverified(tokens["id_token"])[1]["sid"]


async def test_a_browser_without_a_user_is_logged_out_too(walk: Walk) -> None:
    walk.provider.user = None
    assert (await walk.http.get(f"{walk.provider.base}/end_session")).is_success


@pytest.mark.parametrize("query", [
    {}, {"post_logout_redirect_uri": "http://localhost:8000/out"},
    {"client_id": "client", "post_logout_redirect_uri": "http://localhost:8000/other"},
    {"id_token_hint": "x", "post_logout_redirect_uri": "http://localhost:8000/out"},
])  # fmt: skip
async def test_a_browser_stays_where_nobody_knows_who_sent_it(walk: Walk, query: dict[str, str]) -> None:
    walk.provider.settings.post_logout_redirect_uris = ["http://localhost:8000/out"]
    answer = await walk.http.get(f"{walk.provider.base}/end_session", params=query)
    assert (answer.status_code, "logged out" in answer.text) == (200, True)


async def test_tokens_are_revoked(walk: Walk) -> None:
    walk.provider.settings.opaque_access_tokens = True
    tokens = (await walk.tokens()).json()
    assert len(walk.provider.tokens) == 1
    assert (await walk.ask("revoke", token=tokens["access_token"])).is_success
    assert walk.provider.tokens == {}
    assert (await walk.ask("revoke", token=tokens["refresh_token"])).is_success
    assert (await walk.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await walk.ask("revoke", token="x")).is_success
    assert (await walk.http.post(f"{walk.provider.base}/revoke", data={"token": "x"})).status_code == 401
