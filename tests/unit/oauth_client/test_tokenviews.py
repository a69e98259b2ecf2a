"""What a browser may be told of the tokens in its session."""

import json
from typing import Any

import pytest

from crossauth_backend.core.secrets import to_base64url
from crossauth_backend.oauth.client.token_set import TokenSet
from crossauth_fastapi._oauth_client.tokenviews import KINDS, all_tokens, claims_of, one_token

JWTS = ("access", "id", "refresh")


def jwt(**claims: Any) -> str:
    parts = [to_base64url(json.dumps(part).encode()) for part in ({"alg": "ES256"}, claims)]
    return ".".join([*parts, "signature"])


TOKENS = TokenSet(
    access_token=jwt(sub="a"), refresh_token=jwt(sub="r"), id_token=jwt(sub="unverified"), id_payload={"sub": "alice"},
    issuer="https://provider.example", saved_at=1, flow="password",
)  # fmt: skip
OPAQUE = TokenSet(access_token="at", refresh_token="rt", issuer="https://p.example", saved_at=1, flow="password")


def test_claims_are_shown_and_of_the_id_token_those_that_were_verified() -> None:
    assert [claims_of(TOKENS, kind, JWTS) for kind in KINDS] == [{"sub": "a"}, {"sub": "r"}, {"sub": "alice"}]
    assert [one_token(TOKENS, kind, True, JWTS) for kind in KINDS] == [{"sub": "a"}, {"sub": "r"}, {"sub": "alice"}]


def test_a_token_itself_is_shown_where_its_endpoint_is_asked_for_it() -> None:
    assert one_token(TOKENS, "access_token", False, JWTS) == {"token": TOKENS.access_token}
    assert one_token(OPAQUE, "refresh_token", True, JWTS) == {"token": "rt"}


def test_a_token_without_claims_is_not_given_in_their_place() -> None:
    assert one_token(OPAQUE, "access_token", True, JWTS) == {}
    assert one_token(TOKENS, "id_token", True, ("access",)) == {}
    assert one_token(OPAQUE, "id_token", True, JWTS) is None


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("tokens", [TOKENS, OPAQUE])
def test_no_token_is_among_all_of_them_where_none_is_named(tokens: TokenSet, decode: bool) -> None:
    told = all_tokens(tokens, [f"have_{kind}" for kind in KINDS], decode, JWTS)
    for kind in KINDS:
        token = getattr(tokens, kind)
        assert told[f"have_{kind}"] is (token is not None)
        assert token is None or f'"{token}"' not in json.dumps(told)


def test_those_that_are_named_are_given_themselves_where_they_are_asked_for() -> None:
    told = all_tokens(TOKENS, ["access_token", "have_id_token"], False, JWTS)
    assert told == {
        "access_token": TOKENS.access_token, "refresh_token": {"sub": "r"}, "id_token": {"sub": "alice"},
        "have_id_token": True,
    }  # fmt: skip
    assert all_tokens(OPAQUE, ["access_token"], True, JWTS) == {"access_token": None, "refresh_token": None}
