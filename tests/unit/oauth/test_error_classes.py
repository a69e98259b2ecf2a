"""The OAuth error classes against the tables of the standards: names, statuses, and which may be redirected."""

import json
import re

import pytest

from crossauth_backend.oauth.wire.bearer import bearer_challenge, extended_challenge
from crossauth_backend.oauth.wire.errors import (
    OAUTH_ERRORS,
    AccessDenied,
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidToken,
    LoginRequired,
)

AUTHORIZATION_ENDPOINT = {
    # RFC 6749 §4.1.2.1
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    # OpenID Connect Core §3.1.2.6
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
    # RFC 8707 §2, OpenID Connect Core Unmet Authentication Requirements
    "invalid_target",
    "unmet_authentication_requirements",
}
STATUSES = {
    # RFC 6749 §5.2
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_grant": 400,
    "unauthorized_client": 400,
    "unsupported_grant_type": 400,
    "invalid_scope": 400,
    # RFC 8628 §3.5
    "authorization_pending": 400,
    "slow_down": 400,
    "access_denied": 400,
    "expired_token": 400,
    # RFC 6750 §3.1, RFC 9470 §3
    "invalid_token": 401,
    "insufficient_scope": 403,
    "insufficient_user_authentication": 401,
    # RFC 7009 §2.2.1, RFC 7591 §3.2.2
    "unsupported_token_type": 400,
    "invalid_redirect_uri": 400,
    "invalid_client_metadata": 400,
    # The password grant with a second factor
    "mfa_required": 401,
    "server_error": 500,
    "temporarily_unavailable": 503,
}


def test_what_may_be_sent_back_by_a_redirect_is_what_the_authorization_endpoint_says() -> None:
    assert {name for name, kind in OAUTH_ERRORS.items() if kind.may_redirect} == AUTHORIZATION_ENDPOINT


@pytest.mark.parametrize(("name", "status"), STATUSES.items())
def test_statuses_are_those_of_the_standards(name: str, status: int) -> None:
    assert OAUTH_ERRORS[name].status == status


def test_there_is_no_error_that_no_standard_names() -> None:
    assert set(OAUTH_ERRORS) == AUTHORIZATION_ENDPOINT | set(STATUSES)


def test_a_refusal_carries_the_state_and_the_issuer_back() -> None:
    refused = AccessDenied('No, said "she"', detail="user 7")
    assert refused.parameters("s t", "https://op.example") == {
        "error": "access_denied",
        "error_description": "No, said 'she'",
        "state": "s t",
        "iss": "https://op.example",
    }
    assert LoginRequired().parameters() == {"error": "login_required"}
    assert LoginRequired().parameters(state="") == {"error": "login_required", "state": ""}, "as the client sent it"
    assert "user 7" not in json.dumps(refused.parameters("x")) + str(refused) + repr(refused)


def test_a_challenge_says_more_and_nothing_twice() -> None:
    """RFC 6750 §3: no attribute is repeated; RFC 9470 §3."""
    plain = bearer_challenge(realm="api")
    too_weak = InsufficientScope("", scopes=("a", "b"))
    assert extended_challenge(plain, too_weak) == 'Bearer realm="api", error="insufficient_scope", scope="a b"'
    assert extended_challenge("Bearer", scopes=["a"]) == 'Bearer scope="a"'
    assert extended_challenge("ApiKey") == "ApiKey"
    old = extended_challenge(plain, InsufficientUserAuthentication("Log in"), max_age=60)
    assert old.endswith('error="insufficient_user_authentication", error_description="Log in", max_age="60"')
    response = bearer_challenge(InvalidToken("It has expired"), scopes=["a"], realm='x scope="y" error="z"')
    again = extended_challenge(response, InvalidToken("Another"), scopes=["a", "b"], max_age=1)
    assert again == f'{response}, max_age="1"'
    names = re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', again)
    assert len(names) == len(set(names))


def test_a_realm_that_looks_like_an_attribute_is_none() -> None:
    response = bearer_challenge(realm='scope="none"')
    assert extended_challenge(response, scopes=["a"]) == f'{response}, scope="a"'


@pytest.mark.parametrize("text", ['"', "\\", "\r\nX: y", "\x00", "é", "\ud800", 'a", scope="b'])
def test_nothing_leaves_the_quotes_of_a_challenge_that_says_more(text: str) -> None:
    more = extended_challenge('Bearer realm="api"', InsufficientUserAuthentication(text))
    assert re.fullmatch(
        r'Bearer realm="api", error="insufficient_user_authentication"(, error_description="[\x20\x21\x23-\x5b\x5d-\x7e]*")?',
        more,
    )
