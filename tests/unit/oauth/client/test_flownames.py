import pytest

from crossauth_backend import CrossauthError, ErrorCode, OAuthFlows


def test_the_names_of_flows_and_what_people_call_them() -> None:
    assert len(OAuthFlows.all_flows()) == 8
    assert "all" not in OAuthFlows.all_flows()
    assert OAuthFlows.flow_names(["device_code", "all", "nonsense"]) == {"device_code": "Device Code"}


def test_older_spellings_are_read_and_never_said() -> None:
    assert OAuthFlows.canonical("refreshToken") == "refresh_token"
    assert OAuthFlows.is_valid_flow("deviceCode")
    assert OAuthFlows.are_valid_flows(["refreshToken", "refresh_token"])
    assert OAuthFlows.expand(["refreshToken", "refresh_token", "deviceCode"]) == ("refresh_token", "device_code")
    assert OAuthFlows.grant_type("refreshToken") == ["refresh_token"]


@pytest.mark.parametrize("name", ["", "all", "authorizationcode", "implicit", "refresh-token"])
def test_what_is_no_flow(name: str) -> None:
    assert not OAuthFlows.is_valid_flow(name)
    assert not OAuthFlows.are_valid_flows(["password", name])
    with pytest.raises(CrossauthError) as e:
        OAuthFlows.grant_type(name)
    assert e.value.code is ErrorCode.BadRequest


def test_all_stands_for_every_flow() -> None:
    assert OAuthFlows.expand(["all"]) == tuple(OAuthFlows.all_flows())
    assert OAuthFlows.expand(["password", "all"])[0] == "password"
    with pytest.raises(CrossauthError):
        OAuthFlows.expand(["everything"])


def test_every_flow_has_a_name_and_grant_types() -> None:
    for flow in OAuthFlows.all_flows():
        assert OAuthFlows.flow_name[flow]
        assert OAuthFlows.grant_type(flow)
    assert len(OAuthFlows.grant_type(OAuthFlows.PasswordMfa)) == 2
    OAuthFlows.grant_type("password").append("password")
    assert OAuthFlows.grant_type("password") == ["password"]
