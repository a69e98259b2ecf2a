"""The token endpoint of the provider for tests."""

import pytest

from crossauth_backend.testing import ProviderFault
from crossauth_backend.testing.fake_provider_base import CLIENT_ID, CLIENT_SECRET
from tests.unit.testing.conftest import BACK, Walk, read


async def test_a_code_counts_once_and_ends_what_it_brought(walk: Walk) -> None:
    code = walk.back()["code"]
    tokens = (await walk.tokens(code)).json()
    assert (await walk.tokens(code)).json()["error"] == "invalid_grant"
    assert (await walk.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("wrong", [{"code_verifier": "w" * 43}, {"redirect_uri": "http://localhost:8000/other"}])
async def test_a_code_needs_its_verifier_and_its_redirect_uri(walk: Walk, wrong: dict[str, str]) -> None:
    assert (await walk.tokens(**wrong)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_rotates_and_its_reuse_ends_the_grant(walk: Walk) -> None:
    first = (await walk.tokens()).json()
    second = (await walk.refresh(first["refresh_token"])).json()
    assert "nonce" not in read(walk.provider, second["id_token"])
    assert (await walk.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await walk.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    walk.provider.settings.rotate = False
    third = (await walk.tokens()).json()
    assert "refresh_token" not in (await walk.refresh(third["refresh_token"])).json()
    assert (await walk.refresh(third["refresh_token"])).is_success


async def test_a_client_gets_a_token_for_itself(walk: Walk) -> None:
    answer = (
        await walk.ask(grant_type="client_credentials", scope="orders", resource="https://api.example.com")
    ).json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    public = await walk.http.post(
        f"{walk.provider.url}/token", data={"grant_type": "client_credentials", "client_id": "public"}
    )
    assert public.json()["error"] == "unauthorized_client"
    nobody = await walk.http.post(f"{walk.provider.url}/token", data={}, auth=("client", "wrong"))
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(("fault", "status", "error"), [
    (ProviderFault.ERROR, 400, "invalid_request"), (ProviderFault.ERROR_AS_SUCCESS, 200, "bad_verification_code"),
    (ProviderFault.UNNAMED_ERROR, 400, None), (ProviderFault.WRONG_SECRET, 401, "invalid_client"),
])  # fmt: skip
async def test_an_error_can_be_anything(walk: Walk, fault: ProviderFault, status: int, error: str | None) -> None:
    walk.provider.faults["authorization_code"] = fault
    answer = await walk.tokens()
    assert (answer.status_code, answer.json().get("error")) == (status, error)


async def test_a_grant_can_be_missing(walk: Walk) -> None:
    del walk.provider.grants["refresh_token"]
    assert (await walk.refresh("x")).json()["error"] == "unsupported_grant_type"


async def test_a_request_may_be_json(walk: Walk) -> None:
    body = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert (await walk.http.post(f"{walk.provider.base}/token", json=body)).json()["access_token"]
    assert (await walk.http.post(f"{walk.provider.base}/token", json=[])).status_code == 401


async def test_a_token_is_anothers(walk: Walk) -> None:
    walk.provider.clients["other"] = ""
    fields = {"client_id": "other", "redirect_uri": BACK, "code_verifier": "v" * 43}
    code = {**fields, "grant_type": "authorization_code", "code": walk.back()["code"]}
    token = {**fields, "grant_type": "refresh_token", "refresh_token": (await walk.tokens()).json()["refresh_token"]}
    for data in (code, token):
        assert (await walk.http.post(f"{walk.provider.base}/token", data=data)).json()["error"] == "invalid_grant"
