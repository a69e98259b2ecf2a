"""Tokens of one kind in the place of another, all signed by one secret"""

from datetime import UTC, datetime
from typing import Any

import pytest

from crossauth_backend import OAuthTokenConsumer
from crossauth_backend.core.jose import (
    JwtInvalidError,
    TokenType,
    VerificationPolicy,
    load_signing_key,
    sign,
    verify,
)
from crossauth_backend.core.jose.keys import VerificationKeys
from crossauth_fastapi.fastapi_users.authentication import JWTStrategy
from crossauth_fastapi.fastapi_users.jwt import decode_jwt, generate_jwt
from crossauth_fastapi.fastapi_users.manager import RESET_PASSWORD_TOKEN_AUDIENCE, VERIFY_USER_TOKEN_AUDIENCE
from crossauth_fastapi.fastapi_users.router.oauth import STATE_TOKEN_AUDIENCE, generate_state_token

SECRET = "one secret for everything, which nobody should have"
ISSUER = "https://issuer.example.com"
END = 4_000_000_000
KEY = load_signing_key(SECRET, "HS256")
CLAIMS: dict[str, Any] = {"iss": ISSUER, "sub": "1", "client_id": "c", "iat": 1, "exp": END, "jti": "x"}
USER = "fastapi-users:auth"


def made(audience: str) -> dict[str, str]:
    """A token of each kind, as far as possible for one audience."""
    jwt = TokenType.JWT
    response: dict[str, tuple[TokenType, dict[str, Any]]] = {
        "access": (TokenType.ACCESS, {}), "id": (jwt, {"nonce": "n", "type": "id"}), "refresh": (jwt, {"type": "refresh"}),
        "logout": (TokenType.LOGOUT, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        "client assertion": (TokenType.CLIENT_AUTHENTICATION, {"iss": "c", "sub": "c"}), "state": (jwt, {"type": "state"}),
    }  # fmt: skip
    both = [audience, ISSUER]
    return {kind: sign({**CLAIMS, "aud": both, **claims}, KEY, typ) for kind, (typ, claims) in response.items()}


@pytest.mark.parametrize("kind", ["access", "id", "refresh"])
async def test_only_a_token_of_the_kind_is_accepted_where_one_secret_signs_all(kind: Any) -> None:
    """With the same key, issuer and audience only the kind tells tokens apart, and it does (RFC 8725 §3.11, §3.12)."""
    options: Any = {"auth_server_base_url": ISSUER, "jwt_key_type": "HS256", "jwt_secret_key": SECRET}
    consumer = OAuthTokenConsumer("api", options)
    accepted = [name for name, token in made("api").items() if await consumer.token_authorized(token, kind)]
    assert accepted == [kind]


def test_each_header_type_is_accepted_by_its_own_policy_alone() -> None:
    """Access and logout tokens, client assertions and whatever is only a JWT: none by the policy of another (RFC 8725 §3.11)."""
    keys = VerificationKeys([KEY.public()])
    for kind in TokenType:
        policy = VerificationPolicy(algorithms=("HS256",), issuers=None, audiences=("api",), types=(kind.value,))
        accepted = set()
        for other in TokenType:
            try:
                verify(sign({**CLAIMS, "aud": "api"}, KEY, other), keys, policy, datetime.now(UTC))
            except JwtInvalidError:
                continue
            accepted.add(other)
        assert accepted == {kind}


async def test_a_login_a_link_and_a_state_are_no_access_tokens_and_the_other_way_round() -> None:
    """The tokens of the FastAPI Users routes have audiences of their own, and no issuer; access tokens have another."""
    own = {
        "login": generate_jwt({"sub": "1", "aud": [USER]}, SECRET, 60),
        "verify": generate_jwt({"sub": "1", "email": "a@example.com", "aud": VERIFY_USER_TOKEN_AUDIENCE}, SECRET, 60),
        "reset": generate_jwt({"sub": "1", "password_fgpt": "x", "aud": RESET_PASSWORD_TOKEN_AUDIENCE}, SECRET, 60),
        "state": generate_state_token({"csrftoken": "x"}, SECRET),
    }
    tokens = {**own, **{f"OAuth {name}": token for name, token in made("api").items()}}
    readers = {
        "login": lambda token: JWTStrategy[Any, Any](SECRET, 60).read_claims(token),
        "verify": lambda token: _decoded(token, VERIFY_USER_TOKEN_AUDIENCE),
        "reset": lambda token: _decoded(token, RESET_PASSWORD_TOKEN_AUDIENCE),
        "state": lambda token: _decoded(token, STATE_TOKEN_AUDIENCE),
    }
    for reader, read in readers.items():
        assert [name for name, token in tokens.items() if read(token) is not None] == [reader]
    options: Any = {"auth_server_base_url": ISSUER, "jwt_key_type": "HS256", "jwt_secret_key": SECRET}
    everything = [USER, VERIFY_USER_TOKEN_AUDIENCE, RESET_PASSWORD_TOKEN_AUDIENCE, STATE_TOKEN_AUDIENCE, "api"]
    consumer = OAuthTokenConsumer(everything, options)
    for kind in ("access", "id", "refresh"):
        found = [name for name, token in tokens.items() if await consumer.token_authorized(token, kind)]
        assert found == [f"OAuth {kind}"]


def _decoded(token: str, audience: str) -> dict[str, Any] | None:
    try:
        return decode_jwt(token, SECRET, [audience])
    except JwtInvalidError:
        return None
