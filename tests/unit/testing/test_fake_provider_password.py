"""The password grant of the provider for tests, and its second factors."""

from typing import Any

import httpx2
import pytest

from crossauth_backend.testing.fake_provider_password import OOB_GRANT, OTP_GRANT
from tests.unit.testing.conftest import Walk


async def password(walk: Walk, word: str = "password of alice") -> httpx2.Response:
    return await walk.ask(grant_type="password", username="alice", password=word, scope="openid")


async def waiting(walk: Walk, *kinds: str) -> str:
    walk.provider.mfa.require("alice", *kinds)
    answer = await password(walk)
    assert (answer.status_code, answer.json()["error"]) == (403, "mfa_required")
    return str(answer.json()["mfa_token"])


async def factors(walk: Walk, mfa_token: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {mfa_token}"}
    return list((await walk.http.get(f"{walk.provider.base}/mfa/authenticators", headers=headers)).json())


async def test_a_password_alone(walk: Walk) -> None:
    assert (await password(walk)).json()["id_token"]
    wrong = await password(walk, "wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (403, "invalid_grant")


async def test_a_code_that_the_user_has(walk: Walk) -> None:
    token = await waiting(walk)
    assert [f["authenticator_type"] for f in await factors(walk, token)] == ["otp", "oob", "oob"]
    begun = await walk.ask("mfa/challenge", mfa_token=token, challenge_type="otp", authenticator_id="totp|dev_1")
    assert begun.json() == {"challenge_type": "otp"}
    assert (await walk.ask(grant_type=OTP_GRANT, mfa_token=token, otp="000000")).json()["error"] == "invalid_grant"
    assert (await walk.ask(grant_type=OTP_GRANT, mfa_token=token, otp=walk.provider.mfa.otp)).json()["access_token"]
    assert (await walk.ask(grant_type=OTP_GRANT, mfa_token=token, otp=walk.provider.mfa.otp)).status_code == 401


async def test_a_code_that_is_sent(walk: Walk) -> None:
    token = await waiting(walk, "sms")
    (factor,) = await factors(walk, token)
    begun = (
        await walk.ask("mfa/challenge", mfa_token=token, challenge_type="oob", authenticator_id=factor["id"])
    ).json()
    assert (begun["challenge_type"], begun["binding_method"]) == ("oob", "prompt")
    code = {"grant_type": OOB_GRANT, "mfa_token": token, "oob_code": begun["oob_code"]}
    assert (await walk.ask(**{**code, "oob_code": "x"}, binding_code="1")).json()["error"] == "invalid_grant"
    assert (await walk.ask(**code, binding_code=walk.provider.mfa.sent[-1])).json()["access_token"]


@pytest.mark.parametrize("wrong", [{"challenge_type": "oob"}, {"authenticator_id": "x"}, {"mfa_token": "x"}])
async def test_a_challenge_is_for_a_factor_of_the_user(walk: Walk, wrong: dict[str, str]) -> None:
    token = await waiting(walk, "otp")
    assert (await walk.ask("mfa/challenge", **{"mfa_token": token, **wrong})).status_code == 401


async def test_wrong_codes_and_time_end_the_login(walk: Walk) -> None:
    token = await waiting(walk)
    for _ in range(10):
        await walk.ask(grant_type=OTP_GRANT, mfa_token=token, otp="000000")
    ended = await walk.ask(grant_type=OTP_GRANT, mfa_token=token, otp=walk.provider.mfa.otp)
    assert ended.json()["error"] == "invalid_grant"
    walk.provider.mfa.lifetime = 0
    late = await walk.ask(grant_type=OTP_GRANT, mfa_token=await waiting(walk), otp=walk.provider.mfa.otp)
    assert late.json()["error"] == "expired_token"
    answer = await walk.ask(grant_type=OOB_GRANT, mfa_token="x", oob_code="x", binding_code="x")
    assert answer.status_code == 401


async def test_a_challenge_is_for_a_client(walk: Walk) -> None:
    answer = await walk.http.post(f"{walk.provider.base}/mfa/challenge", data={"mfa_token": "x"})
    assert answer.json()["error"] == "invalid_client"
