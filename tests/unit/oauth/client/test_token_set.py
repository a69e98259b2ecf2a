import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import OAuthTokenResponse, TokenSet
from crossauth_backend.oauth.client.token_set import is_final

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
RESPONSE: OAuthTokenResponse = {
    "access_token": "secret a", "refresh_token": "secret r", "id_token": "secret i", "id_payload": {"sub": "alice"},
    "token_type": "Bearer", "expires_in": 60, "scope": "openid",
}  # fmt: skip


def a_set(response: OAuthTokenResponse = RESPONSE) -> TokenSet:
    return TokenSet.from_response(response, issuer="https://as.example.com", now=NOW, flow="oidcAuthorizationCode")


def test_what_a_response_says_is_kept_and_said_again() -> None:
    tokens = a_set()
    assert tokens.expires_at == int(NOW.timestamp()) + 60
    assert tokens.saved_at == int(NOW.timestamp())
    again = tokens.response(NOW + timedelta(seconds=20))
    assert again == {**RESPONSE, "expires_in": 40, "expires_at": tokens.expires_at}
    assert tokens.response(NOW + timedelta(days=1))["expires_in"] == 0
    assert set(a_set({"access_token": "a"}).response(NOW)) == {"access_token", "token_type"}


def test_it_shows_no_token() -> None:
    assert "secret" not in repr(a_set())
    assert "alice" not in str(a_set())


def test_it_is_written_and_read() -> None:
    for tokens in (a_set(), a_set({"access_token": "a"}), replace(a_set(), opened_session=True)):
        assert TokenSet.from_json(tokens.to_json()) == tokens


def test_authlib_170_an_end_at_zero_is_an_end() -> None:
    tokens = replace(a_set(), expires_at=0)
    assert tokens.is_expired(NOW)
    assert a_set({"access_token": "a", "expires_in": 0}).is_expired(NOW)
    assert not a_set({"access_token": "a"}).is_expired(NOW + timedelta(days=10_000))


def test_it_expires_a_little_before_its_end() -> None:
    tokens = a_set()
    assert not tokens.is_expired(NOW + timedelta(seconds=49))
    assert tokens.is_expired(NOW + timedelta(seconds=50))
    assert not tokens.is_expired(NOW + timedelta(seconds=59), timedelta(0))
    assert tokens.is_expired(NOW + timedelta(seconds=60), timedelta(0))


def test_a_refresh_keeps_what_the_answer_leaves_out() -> None:
    before = replace(a_set(), opened_session=True)
    after = before.refreshed({"access_token": "b", "token_type": "Bearer", "expires_in": 30}, LATER)
    stored = {"access_token": "b", "expires_at": int(LATER.timestamp()) + 30}
    assert after == replace(before, **stored)  # type: ignore[arg-type]
    assert after.saved_at == before.saved_at
    rotated = before.refreshed({"access_token": "b", "refresh_token": "s", "id_payload": {"sub": "x"}}, LATER)
    assert (rotated.refresh_token, rotated.id_payload, rotated.expires_at) == ("s", {"sub": "x"}, None)
    assert (
        TokenSet.from_response({"access_token": "b"}, issuer="", now=LATER, flow="", before=before).flow == before.flow
    )


def test_an_error_has_no_tokens() -> None:
    wrong: list[OAuthTokenResponse] = [{}, {"error": "x"}, {**RESPONSE, "error": "x"}]
    for response in wrong:
        with pytest.raises(ValueError, match="no access token"):
            a_set(response)
        with pytest.raises(ValueError, match="no access token"):
            a_set().refreshed(response, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None}, {"access_token": 1}, {"expires_at": "1"}, {"expires_at": True}, {"expires_at": 1.5},
        {"id_payload": []}, {"issuer": None}, {"opened_session": 1}, {"unknown": 1}, {"saved_at": True}, {"scope": []},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_token_set_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(a_set().to_json()), **changes})
    with pytest.raises(ValueError, match="no tokens"):
        TokenSet.from_json(text)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", "[" * 100_000, '{"access_token":"a"}', '{"a":1,"a":2}', "\ud800"]
)
def test_garbage_is_no_token_set(text: str) -> None:
    with pytest.raises(ValueError, match="no tokens"):
        TokenSet.from_json(text)


def test_only_one_error_is_final() -> None:
    assert is_final("invalid_grant")
    for error in ("temporarily_unavailable", "server_error", "invalid_client", "access_denied", None):
        assert not is_final(error)
