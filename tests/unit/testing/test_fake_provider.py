"""The provider for tests: what it does right, which is what tests of clients stand on."""

import ast
import asyncio
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.testing import FakeProvider, Fault, ProviderFault
from crossauth_backend.testing.fake_provider import __file__ as fake_provider_file
from tests.unit.testing.conftest import BACK, Walk, read


async def test_a_login_by_code(walk: Walk) -> None:
    metadata = (await walk.http.get(f"{walk.provider.url}/.well-known/openid-configuration")).json()
    answer = await walk.http.get(walk.url(), follow_redirects=False)
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (back["state"], back["iss"]) == (["s"], [walk.provider.url])
    tokens = (await walk.tokens(back["code"][0])).json()
    claims = read(walk.provider, tokens["id_token"])
    assert (claims["sub"], claims["nonce"], claims["email"]) == ("alice", "n", "alice@example.com")
    assert "name" not in claims
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    info = (await walk.http.get(metadata["userinfo_endpoint"], headers=headers)).json()
    assert info == {"sub": "alice", "email": "alice@example.com", "email_verified": True}
    assert walk.provider.requests == {"metadata": 1, "authorize": 1, "token": 1, "userinfo": 1}
    assert walk.provider.received[2].fields["grant_type"] == "authorization_code"


async def test_a_fault_is_of_one_endpoint_or_one_grant(walk: Walk) -> None:
    walk.provider.faults["refresh_token"] = Fault.UNAVAILABLE
    tokens = (await walk.tokens()).json()
    assert (await walk.refresh(tokens["refresh_token"])).status_code == 503
    walk.provider.faults = {"userinfo": ProviderFault.WRONG_SUB}
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await walk.http.get(f"{walk.provider.url}/userinfo", headers=headers)).json()["sub"] == "somebody else"


async def test_the_userinfo_endpoint_wants_a_token_that_is_good_and_may_sign(walk: Walk) -> None:
    tokens = (await walk.tokens()).json()
    walk.provider.settings.signed_userinfo = True
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = await walk.http.get(f"{walk.provider.url}/userinfo", headers=headers)
    assert answer.headers["content-type"] == "application/jwt"
    assert read(walk.provider, answer.text)["email"] == "alice@example.com"
    walk.provider.expiries[tokens["access_token"]] = 0
    assert (await walk.http.get(f"{walk.provider.url}/userinfo", headers=headers)).status_code == 401


@pytest.mark.parametrize(("asked", "said"), [
    ({"response_type": "token"}, "unsupported_response_type"), ({"code_challenge_method": "plain"}, "invalid_request"),
])  # fmt: skip
def test_an_authorization_that_is_not_given(asked: dict[str, str], said: str) -> None:
    assert Walk.offline(FakeProvider()).back(**asked)["error"] == said


def test_a_user_who_refuses_and_a_client_that_is_not_known() -> None:
    walk = Walk.offline(FakeProvider())
    walk.provider.settings.redirect_uris = ["http://localhost:8000/other"]
    with pytest.raises(ValueError, match="Unknown client"):
        walk.back()
    walk.provider.settings.redirect_uris, walk.provider.user = None, None
    assert walk.back()["error"] == "access_denied"


@pytest.mark.parametrize(("fault", "name", "value"), [
    (ProviderFault.WRONG_STATE, "state", "of another browser"), (ProviderFault.NO_STATE, "state", None),
    (ProviderFault.WRONG_ISS, "iss", "https://elsewhere.example.com"), (ProviderFault.NO_ISS, "iss", None),
    (ProviderFault.NO_CODE, "code", None), (ProviderFault.ERROR, "error", "server_error"),
])  # fmt: skip
def test_a_browser_can_be_sent_back_with_something_wrong(fault: ProviderFault, name: str, value: str | None) -> None:
    walk = Walk.offline(FakeProvider())
    walk.provider.fault = fault
    assert walk.back().get(name) == value


async def test_a_browser_can_be_sent_back_by_a_form(walk: Walk) -> None:
    page = await walk.http.get(walk.url(response_mode="form_post"))
    assert f'action="{BACK}"' in page.text
    assert 'name="state" value="s"' in page.text


async def test_metadata_can_be_changed(walk: Walk) -> None:
    walk.provider.settings.metadata = {"userinfo_endpoint": None, "issuer": "https://a.example/{tenantid}"}
    walk.provider.settings.iss_parameter = False
    metadata = (await walk.http.get(f"{walk.provider.url}/.well-known/openid-configuration")).json()
    assert metadata["issuer"] == "https://a.example/{tenantid}"
    assert not {"userinfo_endpoint", "authorization_response_iss_parameter_supported"} & set(metadata)


async def test_an_issuer_with_a_slash_at_its_end() -> None:
    async with FakeProvider(path="/") as provider, httpx2.AsyncClient(trust_env=False) as http:
        metadata = (await http.get(f"{provider.origin}/.well-known/openid-configuration")).json()
        assert metadata["issuer"] == f"{provider.origin}/"
        assert metadata["token_endpoint"] == f"{provider.origin}/token"


async def test_the_example_of_the_docstring_runs() -> None:
    text = ast.get_docstring(ast.parse(Path(fake_provider_file).read_text())) or ""
    code = textwrap.dedent(text.split("\n\n")[1])
    names: dict[str, Any] = {
        "FakeProvider": FakeProvider, "ProviderFault": ProviderFault, "OAuthClient": OAuthClient, "parse_qsl": parse_qsl,
        "urlsplit": urlsplit,
    }  # fmt: skip
    closed = f"{code}\n    await client.aclose()"
    exec(f"async def example():\n{textwrap.indent(closed, '    ')}", names)
    await names["example"]()


async def test_a_logout_begins_another_session(walk: Walk) -> None:
    before = read(walk.provider, (await walk.tokens()).json()["id_token"])["sid"]
    await walk.provider.log_out("alice")
    assert read(walk.provider, (await walk.tokens()).json()["id_token"])["sid"] != before
    walk.provider.rotate()
    assert read(walk.provider, (await walk.tokens()).json()["id_token"])["sub"] == "alice"


async def test_an_answer_can_take_its_time(walk: Walk) -> None:
    walk.provider.delays["token"] = 30
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(walk.tokens(), 0.2)
    walk.provider.delays.clear()
    assert (await walk.tokens()).is_success
