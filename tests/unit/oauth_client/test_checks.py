"""What is wrong with options taken together, without a server."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._oauth_client.checks import Whole, check_options, check_site, names_given, read_flows
from crossauth_fastapi._oauth_client.options import ClientServerSettings

SITE = "https://shop.example.com"


def check(flows: tuple[str, ...] = ("oidcAuthorizationCode",), sessions: bool = True, **given: Any) -> None:
    options = ClientServerSettings(site_url=SITE, **given)
    check_options(Whole(options, frozenset(flows), names_given(given), sessions))


def test_what_fits_together_passes() -> None:
    check()
    check(token_response_type="save_in_session_and_redirect", authorized_url="/x", token_endpoints=["have_id_token"])
    check(("passwordMfa",), mfa_otp_page="x", password_flow_url="y")
    check(login_protected_flows=["oidcAuthorizationCode"], login_url="/x")
    check(login_protected_flows=["all"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"authorized_url": "/x"}, "'authorized_url'"),
        ({"login_protected_flows": ["password"]}, "'password'"),
        ({"token_endpoints": ["id_token"]}, "'token_endpoints'"),
        ({"receive_token_fn": print}, "'receive_token_fn'"),
        ({"sessions": False, "token_response_type": "save_in_session_and_load"}, "'session_adapter'"),
        ({"flows": ("refresh_token",), "default_scope": "x"}, "'default_scope'"),
    ],
)
def test_what_has_no_effect_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(CrossauthError) as refused:
        check(**given)
    assert refused.value.code is ErrorCode.Configuration
    assert text in refused.value.message


def test_flows_by_both_their_names() -> None:
    assert read_flows("valid_flows", ["refreshToken", "device_code"]) == {"refresh_token", "device_code"}
    assert len(read_flows("valid_flows", ["all"])) == 8
    with pytest.raises(CrossauthError, match="'magic' is no flow"):
        read_flows("valid_flows", ["all", "magic"])


@pytest.mark.parametrize(
    "site", ["http://shop.example.com", "shop.example.com", "https://a.example/?b=c", "", "javascript:x"]
)
def test_a_site_that_no_redirect_uri_can_be_made_of_is_refused(site: str) -> None:
    with pytest.raises(CrossauthError, match="'site_url'"):
        check_site(ClientServerSettings(site_url=site))
