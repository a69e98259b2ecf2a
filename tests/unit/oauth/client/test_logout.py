from typing import Any

import pytest

from crossauth_backend import LogoutToken
from crossauth_backend.oauth.client.logout import EVENT, read_logout_claims
from crossauth_backend.oauth.wire.errors import InvalidRequest

CLAIMS = {
    "iss": "https://as.example.com",
    "sub": "alice",
    "sid": "s",
    "jti": "j",
    "iat": 1,
    "exp": 2.5,
    "events": {EVENT: {}},
}


def test_what_a_logout_token_says() -> None:
    assert read_logout_claims({**CLAIMS, "events": {EVENT: {}, "other": {}}}) == LogoutToken(
        iss="https://as.example.com", sub="alice", sid="s", jti="j", iat=1, exp=2
    )
    assert read_logout_claims({**CLAIMS, "sub": None}).sub is None


@pytest.mark.parametrize(
    "changes",
    [{"events": {}}, {"events": {EVENT: 1}}, {"events": None}, {"nonce": None}, {"sub": None, "sid": None}, {"jti": None},
     {"sub": "x" * 256}, {"sid": 1}, {"sid": ""}, {"jti": "\x00"}],
    ids=str,
)  # fmt: skip
def test_what_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read_logout_claims({**CLAIMS, **changes})
