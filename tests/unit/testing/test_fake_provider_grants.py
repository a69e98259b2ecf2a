"""The token endpoint of the provider for tests."""

import pytest

from tests.unit.testing.conftest import Walk, read


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
