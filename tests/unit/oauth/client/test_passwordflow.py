from tests.oauth_login import Login


async def test_a_password(login: Login) -> None:
    answer = await login.client.password_flow("alice", "password of alice", "openid email")
    assert answer["id_payload"]["sub"] == "alice"
    assert (await login.client.password_flow("alice", "wrong"))["error"] == "invalid_grant"


async def test_a_code_of_an_app(login: Login) -> None:
    login.provider.mfa.require("alice")
    asked = await login.client.password_flow("alice", "password of alice", "openid")
    assert asked["error"] == "mfa_required"
    token = asked["mfa_token"]
    listed = (await login.client.mfa_authenticators(token))["authenticators"]
    assert [factor["authenticator_type"] for factor in listed] == ["otp", "oob", "oob"]
    assert listed[1]["oob_channel"] == "sms"
    assert await login.client.mfa_otp_request(token, listed[0]["id"]) == {"challenge_type": "otp"}
    assert (await login.client.mfa_otp_complete(token, "000000"))["error"] == "invalid_grant"
    answer = await login.client.mfa_otp_complete(token, login.provider.mfa.otp, "openid")
    assert answer["id_payload"]["sub"] == "alice"


async def test_a_code_that_is_sent(login: Login) -> None:
    login.provider.mfa.require("alice", "email")
    token = (await login.client.password_flow("alice", "password of alice", "openid"))["mfa_token"]
    listed = (await login.client.mfa_authenticators(token))["authenticators"]
    sent = await login.client.mfa_oob_request(token, listed[0]["id"])
    assert (sent["challenge_type"], sent["binding_method"]) == ("oob", "prompt")
    assert (await login.client.mfa_oob_complete(token, sent["oob_code"], "wrong"))["error"] == "invalid_grant"
    answer = await login.client.mfa_oob_complete(token, sent["oob_code"], login.provider.mfa.sent[-1], "openid")
    assert answer["id_payload"]["sub"] == "alice"


async def test_errors_of_the_factor_endpoints(login: Login) -> None:
    for token in ("unknown", "", "no token", "\ud800"):
        assert "error" in await login.client.mfa_authenticators(token)
    assert (await login.client.mfa_otp_request("unknown", "a"))["error"] == "invalid_grant"
    assert (await login.client.mfa_oob_request("unknown", "a"))["error"] == "invalid_grant"


async def test_how_the_client_authenticates_at_the_challenge(login: Login) -> None:
    for options, in_body in (({}, True), ({"token_endpoint_auth_method": "client_secret_basic"}, False)):
        await login.another(**options).mfa_otp_request("t", "a")
        received = login.provider.received[-1]
        assert ("client_secret" in received.fields) is in_body
        assert (received.basic is None) is in_body
