"""ID tokens and logout tokens that are another's, forged, stale or odd: no login and no logout comes of them

Named after the modules of the OpenID certification for clients, and after what was found in libraries.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.jose import TokenType, half_hash
from crossauth_backend.oauth.client import OAuthClient
from crossauth_backend.oauth.client.emails import proven_email
from crossauth_backend.oauth.wire.errors import InvalidRequest, InvalidToken, TemporarilyUnavailable
from crossauth_backend.testing import Fault, ProviderFault
from tests.oauth_login import Login, login_at_provider
from tests.resource import signed

NOT_VALID = {"error": "access_denied", "error_description": "The ID token is invalid"}


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    async with login_at_provider() as login:
        yield login


def said(login: Login, **claims: Any) -> dict[str, Any]:
    now = login.provider.now
    found = {
        "iss": login.provider.url, "aud": "client", "sub": "alice", "iat": now, "exp": now + 300, "nonce": "the nonce", **claims,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def a_token(login: Login, **claims: Any) -> str:
    return signed(login.provider, {"typ": "JWT"}, said(login, **claims))


# What must be accepted


async def test_oidcc_client_test_and_client_secret_basic(login: Login) -> None:
    answer = await login.walk()
    assert answer["id_payload"]["sub"] == "alice"
    assert login.provider.received[-1].basic is not None or any(r.basic for r in login.provider.received)


async def test_oidcc_client_test_scope_userinfo_claims(login: Login) -> None:
    login.provider.settings.id_token_claims = False
    answer = await login.walk(login.another(oauth_use_user_info_endpoint=True))
    assert answer["id_payload"]["email"] == "alice@example.com"
    assert answer["id_payload"]["aud"] == "client"


async def test_oidcc_client_test_kid_absent_single_jwks(login: Login) -> None:
    login.provider.faults["token"] = ProviderFault.NO_KID
    assert (await login.walk())["id_payload"]["sub"] == "alice"


async def test_oidcc_client_test_kid_absent_multiple_jwks() -> None:
    async with login_at_provider(("RS256", "ES256", "PS256")) as login:
        login.provider.faults["token"] = ProviderFault.NO_KID
        assert (await login.walk())["id_payload"]["sub"] == "alice"


async def test_oidcc_client_test_signing_key_rotation_between_logins(login: Login) -> None:
    for _ in range(3):
        assert (await login.walk())["id_payload"]["sub"] == "alice"
        login.provider.rotate()


async def test_oidcc_client_test_signing_key_rotation_just_before_signing(login: Login) -> None:
    assert "error" not in await login.walk()
    back = await login.begin()
    login.provider.rotate()
    assert (await login.finish(back))["id_payload"]["sub"] == "alice"


async def test_oidcc_client_test_refresh_token_then_userinfo(login: Login) -> None:
    first = await login.walk()
    again = await login.client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
    assert again["access_token"] != first["access_token"]
    assert again["id_payload"]["sub"] == "alice"
    told = await login.client.user_info_endpoint(again["access_token"], sub="alice")
    assert told["email"] == "alice@example.com"


# What must be refused

SPOILED = [
    ProviderFault.WRONG_ISSUER, ProviderFault.WRONG_AUDIENCE, ProviderFault.NO_AUDIENCE, ProviderFault.SEVERAL_AUDIENCES,
    ProviderFault.WRONG_AZP, ProviderFault.NO_SUB, ProviderFault.WRONG_NONCE, ProviderFault.NO_NONCE, ProviderFault.NO_IAT,
    ProviderFault.FUTURE_IAT, ProviderFault.NO_EXP, ProviderFault.EXPIRED, ProviderFault.WRONG_AT_HASH,
    ProviderFault.WRONG_SIGNATURE, ProviderFault.NO_SIGNATURE, ProviderFault.WRONG_ALGORITHM,
    ProviderFault.PUBLIC_KEY_AS_SECRET, ProviderFault.UNKNOWN_KEY, ProviderFault.WRONG_TYPE, ProviderFault.NO_JWT,
]  # fmt: skip


@pytest.mark.parametrize("fault", SPOILED, ids=lambda fault: fault.name.lower())
async def test_oidcc_client_test_a_spoiled_id_token_is_no_login(login: Login, fault: ProviderFault) -> None:
    assert "error" not in await login.walk()
    login.provider.faults["token"] = fault
    answer = await login.walk()
    assert answer["error"] == ("server_error" if fault is ProviderFault.NO_JWT else "access_denied"), answer
    assert "access_token" not in answer
    login.provider.faults.clear()
    assert "error" not in await login.walk()


async def test_an_id_token_of_another_code_is_no_login(login: Login) -> None:
    login.provider.settings.claims = {"c_hash": half_hash("another code", "RS256")}
    assert await login.walk() == NOT_VALID


async def test_an_openid_login_without_id_token_is_none(login: Login) -> None:
    login.provider.faults["token"] = ProviderFault.NO_ID_TOKEN
    assert (await login.walk())["error"] == "access_denied"


async def test_oidcc_client_test_userinfo_invalid_sub(login: Login) -> None:
    client = login.another(oauth_use_user_info_endpoint=True)
    for fault in (ProviderFault.WRONG_SUB, ProviderFault.NO_SUB):
        login.provider.faults["userinfo"] = fault
        answer = await login.walk(client)
        assert answer["error"] in ("access_denied", "server_error")
        assert "access_token" not in answer


@pytest.mark.parametrize(
    ("in_token", "at_user_info", "proven"),
    [
        ({"email": "victim@example.com", "email_verified": None}, {}, None),
        ({"email": "victim@example.com", "email_verified": False}, {}, None),
        ({"email": None, "email_verified": True}, {"email": "victim@example.com", "email_verified": False}, None),
        ({"email": None, "email_verified": True}, {"email": "victim@example.com", "email_verified": None}, None),
        ({"email_verified": None}, {}, "alice@example.com"),
        ({"email": None, "email_verified": None}, {}, "alice@example.com"),
        (
            {"email": "alice@example.com", "email_verified": True}, {"email": "other@example.com", "email_verified": False},
            "alice@example.com",
        ),
    ],
    ids=str,
)  # fmt: skip
async def test_that_one_address_is_proven_says_nothing_of_another(
    login: Login, in_token: dict[str, Any], at_user_info: dict[str, Any], proven: str | None
) -> None:
    # The code was issued, the address changed, and only then the code brought back.
    login.provider.settings.claims = in_token
    user = login.provider.users["alice"] | at_user_info
    login.provider.users["alice"] = {name: value for name, value in user.items() if value is not None}
    payload = (await login.walk(login.another(oauth_use_user_info_endpoint=True)))["id_payload"]
    assert proven_email(payload) == proven
    assert payload["sub"] == "alice"


async def test_user_info_never_says_what_the_id_token_says(login: Login) -> None:
    login.provider.users["alice"] |= {
        "iss": "https://elsewhere.example.com", "aud": "other", "nonce": "x", "acr": "high", "amr": ["hwk"], "auth_time": 1,
        "email": "alice@elsewhere.example.com", "sid": "another", "exp": 9_999_999_999,
    }  # fmt: skip
    login.provider.settings.id_token_claims = False
    payload = (await login.walk(login.another(oauth_use_user_info_endpoint=True)))["id_payload"]
    assert payload["iss"] == login.provider.url
    assert payload["aud"] == "client"
    assert payload["sid"] != "another"
    assert "acr" not in payload
    assert "amr" not in payload
    assert payload["exp"] < 9_999_999_999
    assert payload["email"] == "alice@elsewhere.example.com"


async def test_oidcc_client_test_discovery_issuer_mismatch(login: Login) -> None:
    login.provider.faults["metadata"] = Fault.WRONG_ISSUER
    client = login.another()
    assert (await client.start_authorization_code_flow("s"))["error"] == "temporarily_unavailable"
    with pytest.raises(CrossauthError):
        await client.load_config()


@pytest.mark.parametrize("fault", [ProviderFault.WRONG_ISSUER, ProviderFault.WRONG_SUB, ProviderFault.WRONG_AUTH_TIME])
async def test_oidcc_client_test_refresh_token_invalid_issuer_and_sub(login: Login, fault: ProviderFault) -> None:
    first = await login.walk()
    login.provider.faults["refresh_token"] = fault
    again = await login.client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
    assert again == NOT_VALID


@pytest.mark.parametrize("claims", [{"aud": ["client", "other"], "azp": "client"}, {"nonce": "another"}])
async def test_a_refreshed_id_token_is_about_the_same_login(login: Login, claims: dict[str, Any]) -> None:
    first = await login.walk()
    login.provider.settings.claims = claims
    again = await login.client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
    assert again == NOT_VALID


async def test_a_refresh_token_is_not_lost_where_the_new_id_token_cannot_be_verified(login: Login) -> None:
    first = await login.walk()
    login.provider.rotate()
    login.provider.faults["jwks"] = Fault.UNAVAILABLE
    again = await login.client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
    assert again["refresh_token"] != first["refresh_token"]
    assert "id_token" not in again
    assert "id_payload" not in again
    login.provider.faults.clear()
    third = await login.client.refresh_token_flow(again["refresh_token"], id_payload=first["id_payload"])
    assert third["id_payload"]["sub"] == "alice"


async def test_a_refresh_token_is_not_lost_where_the_claims_of_the_user_cannot_be_had(login: Login) -> None:
    client = login.another(oauth_use_user_info_endpoint=True)
    first = await login.walk(client)
    for fault in (Fault.UNAVAILABLE, Fault.NO_JSON):
        login.provider.faults["userinfo"] = fault
        again = await client.refresh_token_flow(first["refresh_token"], id_payload=first["id_payload"])
        assert again["refresh_token"] != first["refresh_token"]
        assert "id_payload" not in again
        first = {**first, "refresh_token": again["refresh_token"]}
    login.provider.faults["userinfo"] = ProviderFault.WRONG_SUB
    assert (await client.refresh_token_flow(first["refresh_token"]))["error"] == "access_denied"


# Beyond the certification

ODD: dict[str, dict[str, Any]] = {
    "sub is empty": {"sub": ""},
    "sub is a number": {"sub": 1},
    "sub is long": {"sub": "a" * 256},
    "sub has a NUL": {"sub": "alice\x00"},
    "sub has half a character": {"sub": "alice\ud800"},
    "a claim has half a character": {"name": "\udfff"},
    "a claim is deep": {"name": json.loads("[" * 30 + "]" * 30)},
    "aud is empty": {"aud": []},
    "aud is an object": {"aud": {"client": 1}},
    "azp is a list": {"azp": ["client"]},
    "azp is empty": {"azp": ""},
    "nonce is a list": {"nonce": ["the nonce"]},
    "nonce is true": {"nonce": True},
    "exp is text": {"exp": "9999999999"},
    "exp is true": {"exp": True},
    "exp is far too large": {"exp": 10**400},
    "iat is text": {"iat": "1"},
    "iss is a list": {"iss": ["https://elsewhere.example.com"]},
    "iss has a slash more": {"iss": None},
    "at_hash is a list": {"at_hash": ["x"]},
    "auth_time is text": {"auth_time": "1"},
    "it is a logout token": {"events": {}},
    "it says that it is an access token": {"token_use": "access"},
    "it says that it is a refresh token": {"type": "refresh"},
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_id_token_is_refused(login: Login, name: str) -> None:
    assert await login.client.id_token_payload(a_token(login), nonce="the nonce")
    claims = {"iss": login.provider.url + "/"} if name == "iss has a slash more" else ODD[name]
    with pytest.raises(InvalidToken):
        await login.client.id_token_payload(a_token(login, **claims), nonce="the nonce", access_token="a")


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "." * 20_000, "é.é.é", "\ud800.a.b", "\x00.\x00.\x00"]
)
async def test_garbage_is_no_id_token(login: Login, token: str) -> None:
    with pytest.raises(InvalidToken):
        await login.client.id_token_payload(token)
    assert await login.client.validate_id_token(token) is None
    assert await login.client.id_token_authorized(token) is None
    with pytest.raises(InvalidRequest):
        await login.client.verify_logout_token(token)


async def test_hashes_in_an_id_token_are_of_what_came_with_it(login: Login) -> None:
    token = a_token(login, at_hash=half_hash("the access token", "RS256"), c_hash=half_hash("the code", "RS256"))
    read = login.client.id_token_payload
    assert await read(token, access_token="the access token", code="the code")
    with pytest.raises(InvalidToken):
        await read(token, access_token="another")
    with pytest.raises(InvalidToken):
        await read(token, access_token="the access token", code="another")


async def test_a_login_that_is_too_long_ago_is_refused_where_a_fresh_one_was_asked_for(login: Login) -> None:
    read, now = login.client.id_token_payload, login.provider.now
    assert await read(a_token(login, auth_time=now - 60), max_age=60)
    for auth_time in (None, now - 3600):
        with pytest.raises(InvalidToken):
            await read(a_token(login, auth_time=auth_time), max_age=60)


async def test_cve_2016_10555_a_secret_algorithm_needs_the_secret_of_the_client(login: Login) -> None:
    with pytest.raises(CrossauthError, match="client_secret"):
        login.another(client_secret=None, id_token_algorithms=["HS256"])
    client = login.another(id_token_algorithms=["RS256", "HS256"], client_secret="s" * 32)
    login.provider.faults["token"] = ProviderFault.PUBLIC_KEY_AS_SECRET
    assert await client.validate_id_token(a_token(login))
    forged = login.provider.sign(said(login), TokenType.JWT, ProviderFault.PUBLIC_KEY_AS_SECRET)
    assert await client.validate_id_token(forged) is None


async def test_an_algorithm_that_was_not_agreed_on_is_refused_although_the_key_is_published() -> None:
    async with login_at_provider(("ES256", "RS256")) as login:
        client = login.another(id_token_algorithms=["RS256"])
        token = login.provider.sign(said(login), TokenType.JWT)
        assert await client.validate_id_token(token) is None
        assert await login.client.validate_id_token(token)


async def test_erlef_oidcc_401_tenants_that_are_not_listed_cannot_log_in() -> None:
    async with login_at_provider(path="/common/v2.0") as login:
        origin = login.provider.origin
        template = f"{origin}/{{tenantid}}/v2.0"
        client = OAuthClient(template, {"client_id": "client", "tenants": ["one", "two"]}, clock=login.clock)
        login.provider.settings.metadata = {"issuer": template}
        for tenant, is_listed in (
            ("one", True),
            ("two", True),
            ("three", False),
            ("common", False),
            ("{tenantid}", False),
        ):
            token = a_token(login, iss=f"{origin}/{tenant}/v2.0", tid=tenant)
            assert (await client.validate_id_token(token) is not None) is is_listed, tenant
        # The issuer of one tenant in a token of another's.
        assert await client.validate_id_token(a_token(login, iss=f"{origin}/one/v2.0", tid="two")) is None
        assert await client.validate_id_token(a_token(login, iss=f"{origin}/one/v2.0")) is None
        await client.aclose()


# Back-channel logout


async def test_oidcc_client_test_rp_backchannel_rpinitlogout(login: Login) -> None:
    token = login.provider.logout_token(sub="alice", sid="s")
    found = await login.client.verify_logout_token(token)
    assert (found.iss, found.sub, found.sid) == (login.provider.url, "alice", "s")
    assert (await login.client.verify_logout_token(login.provider.logout_token(sub="alice"))).sid is None
    assert (await login.client.verify_logout_token(login.provider.logout_token(sid="s"))).sub is None


LOGOUT = [
    ProviderFault.NO_SIGNATURE, ProviderFault.WRONG_ALGORITHM, ProviderFault.PUBLIC_KEY_AS_SECRET, ProviderFault.NO_EVENT,
    ProviderFault.WRONG_EVENT, ProviderFault.WITH_NONCE, ProviderFault.WRONG_AUDIENCE, ProviderFault.NO_AUDIENCE,
    ProviderFault.WRONG_ISSUER, ProviderFault.NO_SUBJECT, ProviderFault.NO_JTI, ProviderFault.NO_IAT, ProviderFault.NO_EXP,
    ProviderFault.FUTURE_IAT, ProviderFault.EXPIRED, ProviderFault.WRONG_SIGNATURE, ProviderFault.UNKNOWN_KEY,
    ProviderFault.WRONG_TYPE, ProviderFault.NO_JWT,
]  # fmt: skip


@pytest.mark.parametrize("fault", LOGOUT, ids=lambda fault: fault.name.lower())
async def test_oidcc_client_test_rp_backchannel_a_spoiled_logout_token_ends_nothing(
    login: Login, fault: ProviderFault
) -> None:
    with pytest.raises(InvalidRequest):
        await login.client.verify_logout_token(login.provider.logout_token(sub="alice", fault=fault))


@pytest.mark.parametrize(
    "claims",
    [{"events": []}, {"events": "x"}, {"sub": 1}, {"sub": ""}, {"sid": ["s"]}, {"jti": 1}, {"jti": "x" * 1000}, {"sub": "\x00"}],
    ids=str,
)  # fmt: skip
async def test_an_odd_logout_token_is_refused(login: Login, claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await login.client.verify_logout_token(login.provider.logout_token(**{"sub": "alice", **claims}))


async def test_an_id_token_is_no_logout_token_and_a_logout_token_no_id_token(login: Login) -> None:
    with pytest.raises(InvalidRequest):
        await login.client.verify_logout_token((await login.walk())["id_token"])
    with pytest.raises(InvalidToken):
        await login.client.id_token_payload(login.provider.logout_token(sub="alice"))


async def test_tokens_that_anybody_can_send_do_not_make_us_fetch_keys_again_and_again(login: Login) -> None:
    assert await login.client.verify_logout_token(login.provider.logout_token(sub="alice"))
    before = login.provider.requests["jwks"]
    for _ in range(5):
        token = login.provider.logout_token(sub="alice", fault=ProviderFault.UNKNOWN_KEY)
        with pytest.raises(InvalidRequest):
            await login.client.verify_logout_token(token)
    assert login.provider.requests["jwks"] == before


async def test_without_keys_nothing_is_said_of_a_token(login: Login) -> None:
    token = a_token(login)
    login.provider.faults["jwks"] = Fault.UNAVAILABLE
    client = login.another()
    with pytest.raises(TemporarilyUnavailable):
        await client.id_token_payload(token)
    with pytest.raises(TemporarilyUnavailable):
        await client.verify_logout_token(token)
    answer = await login.walk(client)
    assert answer["error"] == "temporarily_unavailable"
    login.provider.faults.clear()
    login.clock.advance(seconds=5)
    assert await client.id_token_payload(token)
