"""The provider for tests: what it does right, which is what tests of clients stand on."""

from urllib.parse import parse_qs, urlsplit

from crossauth_backend.testing import Fault, ProviderFault
from tests.unit.testing.conftest import Walk, read


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
