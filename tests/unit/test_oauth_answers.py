"""One refusal in every answer format: the JSON of the session server, of OAuth, a redirect, a bearer challenge."""

import json
import logging
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.responses import Response

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire import errors as wire
from crossauth_fastapi._http.errors import LoginRequired, as_reason, error_json, error_variables
from crossauth_fastapi._http.oautherrors import (
    as_oauth_error,
    bearer_refusal,
    failure_of_ours,
    oauth_json,
    oauth_redirect,
)
from crossauth_fastapi._oauth_resource.refusal import BearerRefused


def body_of(response: Response) -> Any:
    return json.loads(bytes(response.body))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCode.BadRequest, wire.InvalidRequest),
        (ErrorCode.FormEntry, wire.InvalidRequest),
        (ErrorCode.InvalidRedirectUri, wire.InvalidRequest),
        (ErrorCode.InvalidClientId, wire.InvalidClient),
        (ErrorCode.InvalidClientSecret, wire.InvalidClient),
        (ErrorCode.InvalidClientIdOrSecret, wire.InvalidClient),
        (ErrorCode.UnauthorizedClient, wire.UnauthorizedClient),
        (ErrorCode.InvalidScope, wire.InvalidScope),
        (ErrorCode.InsufficientScope, wire.InsufficientScope),
        (ErrorCode.InvalidToken, wire.InvalidToken),
        (ErrorCode.ExpiredToken, wire.ExpiredToken),
        (ErrorCode.MfaRequired, wire.MfaRequired),
        (ErrorCode.AuthorizationPending, wire.AuthorizationPending),
        (ErrorCode.SlowDown, wire.SlowDown),
        (ErrorCode.PasswordInvalid, wire.InvalidGrant),
        (ErrorCode.UserNotExist, wire.InvalidGrant),
        (ErrorCode.UsernameOrPasswordInvalid, wire.InvalidGrant),
        (ErrorCode.Unauthorized, wire.AccessDenied),
        (ErrorCode.Forbidden, wire.AccessDenied),
        (ErrorCode.UserNotActive, wire.AccessDenied),
        (ErrorCode.InvalidCsrf, wire.AccessDenied),
        (ErrorCode.TooManyAttempts, wire.TemporarilyUnavailable),
        (ErrorCode.Connection, wire.TemporarilyUnavailable),
        (ErrorCode.Configuration, wire.ServerError),
        (ErrorCode.UnknownError, wire.ServerError),
    ],
)
def test_every_reason_has_its_name_in_oauth(code: ErrorCode, kind: type[wire.OAuthError]) -> None:
    assert type(as_oauth_error(CrossauthError(code))) is kind


@pytest.mark.parametrize("code", ErrorCode)
def test_no_reason_is_without_an_answer(code: ErrorCode) -> None:
    """A pending authorization is an error of OAuth (RFC 8628 §3.5), whatever status the reason has."""
    e = CrossauthError(code, "told", detail="private")
    answer = oauth_json(e)
    assert 400 <= answer.status_code < 600
    assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)
    assert answer.headers["cache-control"] == "no-store"
    response = body_of(answer)
    assert response["error"] in wire.OAUTH_ERRORS
    assert set(response) <= {"error", "error_description"}
    assert "private" not in json.dumps(response)
    assert ("told" in json.dumps(response)) == (e.http_status < 500 and code not in UNTOLD)


# Whether the name or the password was wrong is not said.
UNTOLD = (ErrorCode.UserNotExist, ErrorCode.PasswordInvalid)


def test_what_goes_wrong_on_our_side_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for e in (RuntimeError("secret 42"), CrossauthError(ErrorCode.Configuration, "secret 42")):
            assert body_of(oauth_json(e)) == {
                "error": "server_error",
                "error_description": "Something went wrong on the server",
            }
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    away = failure_of_ours(CrossauthError(ErrorCode.Connection, "redis://:password@host"))
    assert (away.name, away.status) == ("temporarily_unavailable", 503)
    assert "password" not in json.dumps(away.body())


def test_a_client_that_failed_to_authenticate_is_told_how() -> None:
    """RFC 6749 §5.2, RFC 9110 §11.6.1."""
    refused = oauth_json(wire.InvalidClient())
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="oauth"')
    in_body = oauth_json(wire.InvalidClient(), challenge=None)
    assert (in_body.status_code, "www-authenticate" in in_body.headers) == (400, False)
    assert body_of(in_body)["error"] == "invalid_client"
    assert oauth_json(wire.InvalidGrant(), challenge=None).status_code == 400


def test_who_is_too_fast_is_told_when_to_come_again() -> None:
    refused = oauth_json(CrossauthError(ErrorCode.TooManyAttempts, retry_after=30))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert body_of(refused)["error"] == "temporarily_unavailable"


@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        ("https://rp.example/cb", "https://rp.example/cb?error="),
        ("https://rp.example/cb?a=1&error=no", "https://rp.example/cb?a=1&error=no&error="),
        ("http://127.0.0.1:51004/cb", "http://127.0.0.1:51004/cb?error="),
        ("com.example.app:/cb", "com.example.app:/cb?error="),
    ],
)
def test_a_client_is_told_by_a_redirect(uri: str, begins: str) -> None:
    """RFC 6749 §4.1.2.1 and §3.1.2 (its own query stays), RFC 9207 §2."""
    answer = oauth_redirect(uri, wire.AccessDenied("No & never"), state="a b&c=d", issuer="https://op.example")
    assert answer.status_code == 303
    assert answer.headers["cache-control"] == "no-store"
    target = answer.headers["location"]
    assert target.startswith(begins)
    assert parse_qsl(urlsplit(target).query)[-4:] == [
        ("error", "access_denied"),
        ("error_description", "No & never"),
        ("state", "a b&c=d"),
        ("iss", "https://op.example"),
    ]


@pytest.mark.parametrize("state", ["\r\nSet-Cookie: a=b", "\x00", "\ud800", "#frag", "é" * 500, "%zz", "&error=none"])
def test_a_state_stays_one_parameter(state: str) -> None:
    target = oauth_redirect("https://rp.example/cb", wire.InvalidScope(), state=state).headers["location"]
    assert target.isascii()
    assert "\r" not in target
    assert "#" not in target
    sent = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    assert [name for name, _ in sent] == ["error", "state"]
    assert sent[1][1] == state.replace("\ud800", "?")


@pytest.mark.parametrize("e", [wire.InvalidClient(), wire.InvalidToken(), CrossauthError(ErrorCode.InvalidClientId)])
def test_what_is_no_error_of_the_authorization_endpoint_is_not_redirected(e: Exception) -> None:
    with pytest.raises(wire.OAuthError) as refused:
        oauth_redirect("https://rp.example/cb", e)
    assert not refused.value.may_redirect


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (wire.InvalidRequest("Twice"), ErrorCode.BadRequest, 400),
        (wire.InvalidGrant("Used"), ErrorCode.BadRequest, 400),
        (wire.InvalidClient("Who?"), ErrorCode.Unauthorized, 401),
        (wire.InvalidToken("Old"), ErrorCode.InvalidToken, 401),
        (wire.InsufficientScope("Few"), ErrorCode.InsufficientScope, 403),
        (wire.TemporarilyUnavailable("Later"), ErrorCode.Connection, 503),
        (wire.ServerError("So"), ErrorCode.UnknownError, 500),
    ],
)
def test_an_oauth_error_can_be_a_page_or_the_json_of_the_session_server(
    error: wire.OAuthError, code: ErrorCode, status: int
) -> None:
    reason = as_reason(error)
    assert (reason.code, reason.http_status, reason.message) == (code, status, error.description)
    displayed = body_of(error_json(reason))
    assert displayed == {"ok": False, **error_variables(reason)}
    assert (displayed["errorCodeName"], displayed["errorMessage"]) == (code.name, error.description)


def test_a_token_that_is_refused_is_a_reason_of_the_session_server_too() -> None:
    refused = BearerRefused(wire.InvalidToken("It has expired", detail="exp"), "Bearer")
    assert (refused.code, refused.http_status, refused.detail) == (ErrorCode.InvalidToken, 401, "exp")
    assert refused.fields == {"auth_error": "invalid_token", "auth_error_description": "It has expired"}
    assert BearerRefused(wire.TemporarilyUnavailable(), "Bearer").http_status == 503


def test_one_reason_in_every_format(caplog: pytest.LogCaptureFixture) -> None:
    """And logged once in each, with what is private."""
    e = LoginRequired("Log in first", scopes=("a",))
    assert body_of(error_json(e))["errorCodeName"] == "Unauthorized"
    assert error_variables(e)["errorMessage"] == "Log in first"
    with caplog.at_level(logging.INFO):
        assert body_of(oauth_json(e)) == {"error": "access_denied", "error_description": "Log in first"}
        oauth_redirect("https://rp.example/", wire.InvalidScope(detail="which"))
    assert [record.getMessage() for record in caplog.records] == [
        "refused: Unauthorized",
        "refused: invalid_scope (which)",
    ]


def test_a_protected_resource_answers_with_its_challenge() -> None:
    """RFC 6750 §3: no error is named where nothing was sent."""
    assert bearer_refusal(None, "Bearer", {}).status_code == 401
    weak = bearer_refusal(wire.InsufficientScope(), 'Bearer error="insufficient_scope"', {"ok": False})
    assert (weak.status_code, body_of(weak)) == (403, {"ok": False})
    assert weak.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    away = bearer_refusal(wire.TemporarilyUnavailable(), "Bearer", {})
    assert (away.status_code, body_of(away)["error"]) == (503, "temporarily_unavailable")
    assert "www-authenticate" not in away.headers
