import pytest

from crossauth_backend.oauth.client.deviceflow import below
from tests.oauth_login import Login


async def test_a_device_waits_for_its_user(login: Login) -> None:
    found = await login.client.start_device_code_flow(scope="openid email")
    assert found["verification_uri_complete"].endswith(found["user_code"])
    assert (await login.client.poll_device_code_flow(found["device_code"]))["error"] == "authorization_pending"
    assert (await login.client.poll_device_code_flow(found["device_code"]))["error"] == "slow_down"
    login.provider.approve_device(found["user_code"])
    login.clock.advance(seconds=found["interval"] * 4)
    answer = await login.client.poll_device_code_flow(found["device_code"])
    assert answer["id_payload"]["sub"] == "alice"
    assert (await login.client.poll_device_code_flow(found["device_code"]))["error"] == "invalid_grant"


async def test_a_user_refuses_and_a_code_runs_out(login: Login) -> None:
    found = await login.client.start_device_code_flow(scope="openid")
    login.provider.deny_device(found["user_code"])
    assert (await login.client.poll_device_code_flow(found["device_code"]))["error"] == "access_denied"
    found = await login.client.start_device_code_flow(scope="openid")
    login.clock.advance(hours=1)
    assert (await login.client.poll_device_code_flow(found["device_code"]))["error"] == "expired_token"


async def test_the_option_is_first_then_the_metadata_then_the_documented_path(login: Login) -> None:
    async def asked(url: str | None = None, **options: str) -> str:
        await login.another(**options).start_device_code_flow(url)
        return login.provider.received[-1].path

    assert await asked("given") == "/device_authorization"
    assert await asked("given", device_authorization_url="/own/path") == "/own/path"
    assert await asked(device_authorization_url=f"{login.provider.url}/whole") == "/whole"
    login.provider.settings.metadata = {"device_authorization_endpoint": None}
    assert await asked("given") == "/given"
    assert await asked() == "/device_authorization"


@pytest.mark.parametrize(
    ("base", "url", "whole"),
    [
        ("https://a.example.com", "b", "https://a.example.com/b"), ("https://a.example.com/", "/b/c", "https://a.example.com/b/c"),
        ("https://a.example.com/r", "https://b.example.com/c", "https://b.example.com/c"),
    ],
)  # fmt: skip
def test_paths_are_below_the_server(base: str, url: str, whole: str) -> None:
    assert below(base, url) == whole
