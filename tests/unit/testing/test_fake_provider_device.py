"""The device grant of the provider for tests."""

from typing import Any

import pytest

from crossauth_backend.testing import FakeClock, FakeProvider, ProviderFault
from crossauth_backend.testing.fake_provider_base import CLIENT_ID
from crossauth_backend.testing.fake_provider_device import DEVICE_GRANT
from tests.unit.testing.conftest import Walk


async def started(walk: Walk, **fields: str) -> dict[str, Any]:
    return dict((await walk.ask("device_authorization", scope="openid", **fields)).json())


async def polled(walk: Walk, codes: dict[str, Any]) -> dict[str, Any]:
    return dict((await walk.ask(grant_type=DEVICE_GRANT, device_code=codes["device_code"])).json())


async def test_a_device_waits_until_its_user_agrees(walk: Walk) -> None:
    walk.provider.settings.device_interval = 0
    codes = await started(walk)
    assert (await polled(walk, codes))["error"] == "authorization_pending"
    page = await walk.http.get(codes["verification_uri_complete"])
    assert codes["user_code"] in page.text
    assert (await walk.http.post(codes["verification_uri"], data={"user_code": codes["user_code"].lower()})).is_success
    tokens = await polled(walk, codes)
    assert {"access_token", "id_token", "refresh_token"} <= set(tokens)
    assert (await polled(walk, codes))["error"] == "invalid_grant"


async def test_a_user_refuses_or_types_nonsense(walk: Walk) -> None:
    codes = await started(walk)
    assert (await walk.http.post(codes["verification_uri"], data={"user_code": "none"})).status_code == 400
    with pytest.raises(LookupError):
        walk.provider.approve_device("none")
    walk.provider.deny_device(codes["user_code"])
    assert (await polled(walk, codes))["error"] == "access_denied"


async def test_a_poll_can_be_too_early_or_too_late() -> None:
    clock = FakeClock()
    provider = FakeProvider(clock=clock)
    walk = Walk.offline(provider)
    codes = walk.device_codes()
    assert walk.poll(codes) == "authorization_pending"
    assert walk.poll(codes) == "slow_down"
    clock.advance(seconds=5)
    assert walk.poll(codes) == "slow_down", "what came too early makes the interval longer"
    clock.advance(seconds=600)
    assert walk.poll(codes) == "expired_token"


@pytest.mark.parametrize(("fault", "name", "value"), [
    (ProviderFault.WRONG_VERIFICATION_URI, "verification_uri", "javascript:alert(1)"),
    (ProviderFault.WRONG_TYPES, "interval", "soon"), (ProviderFault.ERROR, "error", "invalid_scope"),
])  # fmt: skip
async def test_the_answer_can_be_wrong(walk: Walk, fault: ProviderFault, name: str, value: str) -> None:
    walk.provider.faults["device_authorization"] = fault
    assert (await started(walk))[name] == value


async def test_every_poll_can_be_too_early(walk: Walk) -> None:
    codes = await started(walk)
    walk.provider.faults[DEVICE_GRANT] = ProviderFault.SLOW_DOWN
    walk.provider.approve_device(codes["user_code"])
    assert (await polled(walk, codes))["error"] == "slow_down"
    assert CLIENT_ID in {device.client_id for device in walk.provider.devices.waiting.values()}


async def test_a_client_that_is_not_known_gets_no_code(walk: Walk) -> None:
    answer = await walk.http.post(f"{walk.provider.base}/device_authorization", data={"client_id": "x"})
    assert answer.status_code == 401
