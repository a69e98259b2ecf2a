"""A token consumer: which tokens it accepts, as what, and which options stop the start."""

import base64
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from crossauth_backend import CrossauthError, ErrorCode, InMemoryKeyStorage, OAuthTokenConsumer
from crossauth_backend.core.jose import SigningKeys, TokenType, generate_signing_key, load_signing_key, read_jwks, sign
from crossauth_backend.oauth.wire.errors import InvalidToken
from crossauth_backend.testing import FakeClock, FakeIssuer
from tests.unit.oauth.conftest import MakeConsumer

SECRET = "a secret that is long enough to sign tokens with"
BACK_CHANNEL = {"http://schemas.openid.net/event/backchannel-logout": {}}


async def refused(consumer: OAuthTokenConsumer, token: str, kind: Any = "access") -> str:
    with pytest.raises(InvalidToken) as e:
        await consumer.authorize(token, kind)
    assert await consumer.token_authorized(token, kind) is None
    assert e.value.body() == {"error": "invalid_token", "error_description": e.value.description}
    return str(e.value.detail)


async def test_a_good_access_token_gives_its_claims(issuer: FakeIssuer, make_consumer: MakeConsumer) -> None:
    consumer = make_consumer()
    token = issuer.issue_token(scope="read", roles=["a"])
    claims = await consumer.token_authorized(token, "access")
    assert claims is not None
    assert (claims["iss"], claims["sub"], claims["scope"]) == (issuer.url, "1", "read")
    claims["roles"].append("king")
    again = await consumer.authorize(token)
    assert again["roles"] == ["a"]
    assert issuer.requests == {"metadata": 1, "jwks": 1}


async def test_a_token_for_one_of_several_audiences_is_accepted(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(["api", "https://api.example.com/"])
    assert consumer.audiences == ("api", "https://api.example.com/")
    for audience in ("api", "https://api.example.com/", ["x", "api"]):
        assert await consumer.authorize(issuer.issue_token(audience))
    for other in ("https://api.example.com", "API", "", [], ["x"]):
        assert await refused(consumer, issuer.issue_token(other)) == "aud"


async def test_what_is_wrong_with_a_token_is_known_to_us_and_not_told(
    issuer: FakeIssuer, make_consumer: MakeConsumer, clock: FakeClock
) -> None:
    consumer, stranger = make_consumer(), generate_signing_key("ES256")
    as_ours = load_signing_key({**stranger.key.as_dict(private=True), "kid": issuer.keys.signer().kid}, "ES256")
    assert await refused(consumer, issuer.issue_token(iss=f"{issuer.url}/")) == "iss"
    assert await refused(consumer, issuer.issue_token(iss=None)) == "iss"
    assert await refused(consumer, issuer.issue_token(key=as_ours)) == "signature"
    assert await refused(consumer, issuer.issue_token(key=stranger)) == "kid"
    assert await refused(consumer, issuer.unsigned_token()) == "alg"
    assert await refused(consumer, issuer.issue_token(exp=None)) == "exp"
    assert await refused(consumer, issuer.issue_token(sub=1)) == "sub"
    assert await refused(consumer, issuer.issue_token(nbf=4_000_000_000)) == "nbf"
    assert await refused(consumer, issuer.issue_token(cnf={"jkt": "x"})) == "cnf"
    assert await refused(consumer, "opaque") == "no token"
    token = issuer.issue_token(lifetime=timedelta(seconds=60))
    assert await consumer.authorize(token)
    clock.advance(seconds=70)
    assert await refused(consumer, token) == "exp"


def forms(issuer: FakeIssuer) -> dict[str, str]:
    """A token of each kind, all from one issuer, with one key and for one audience."""
    jwt = TokenType.JWT
    return {
        "access": issuer.issue_token(),
        "access (type)": issuer.issue_token(kind=jwt, type="access"),
        "access (Cognito)": issuer.issue_token(kind=jwt, token_use="access"),
        "access (Keycloak)": issuer.issue_token(kind=jwt, typ="Bearer"),
        "id": issuer.issue_token(kind=jwt, nonce="n", at_hash="x"),
        "id (type)": issuer.issue_token(kind=jwt, type="id"),
        "id (Keycloak)": issuer.issue_token(kind=jwt, typ="ID"),
        "logout": issuer.issue_token(kind=TokenType.LOGOUT, events=BACK_CHANNEL),
        "logout (older)": issuer.issue_token(kind=jwt, events=BACK_CHANNEL),
        "refresh": issuer.issue_token(issuer.url, kind=jwt, type="refresh"),
        "refresh (for us)": issuer.issue_token([issuer.url, "api"], kind=jwt, type="refresh"),
        "refresh (Keycloak)": issuer.issue_token(["api", issuer.url], kind=jwt, typ="Refresh"),
        "state": issuer.issue_token(kind=jwt, type="state"),
        "state (typed)": sign({"iss": issuer.url, "aud": "api", "exp": 4e9}, issuer.keys.signer(), jwt),
        "client assertion": issuer.issue_token(kind=TokenType.CLIENT_AUTHENTICATION),
        "nothing said": issuer.issue_token(kind=jwt),
        "two things said": issuer.issue_token(kind=jwt, type="access", token_use="id"),
        "typed, says id": issuer.issue_token(type="id"),
        "typed, has events": issuer.issue_token(events=BACK_CHANNEL),
        "typed, has at_hash": issuer.issue_token(at_hash="x"),
        "says a list": issuer.issue_token(kind=jwt, type=["access"]),
    }


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("access", {"access", "access (type)", "access (Cognito)", "access (Keycloak)"}),
        ("id", {"id", "id (type)", "id (Keycloak)", "nothing said"}),
        ("refresh", {"refresh", "refresh (for us)", "refresh (Keycloak)"}),
    ],
)
async def test_a_token_is_of_one_kind(
    kind: Any, accepted: set[str], issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer()
    found = {name for name, token in forms(issuer).items() if await consumer.token_authorized(token, kind) is not None}
    assert found == accepted


async def test_a_server_whose_tokens_do_not_say_what_they_are_is_named(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    consumer = make_consumer(access_token_types=["at+jwt", "JWT"])
    found = {
        name for name, token in forms(issuer).items() if await consumer.token_authorized(token, "access") is not None
    }
    assert found == {
        "access",
        "access (type)",
        "access (Cognito)",
        "access (Keycloak)",
        "nothing said",
        "state (typed)",
    }


async def test_a_nonce_is_in_no_access_token_that_does_not_say_so(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    # One application that is client and server has ID tokens with the audience of its access tokens.
    jwt = TokenType.JWT
    response: dict[str, dict[str, Any]] = {"plain": {}, "type": {"type": "access"}, "Keycloak": {"typ": "Bearer"}}
    consumer = make_consumer(access_token_types=["at+jwt", "JWT"])
    for name, claims in response.items():
        token = issuer.issue_token(kind=jwt, nonce="n", **claims)
        assert (await consumer.token_authorized(token, "access") is None) is (name == "plain"), name
    assert await consumer.token_authorized(issuer.issue_token(nonce="n"), "access")
    assert await consumer.token_authorized(issuer.issue_token(kind=jwt), "access")


async def test_a_token_of_a_kind_that_there_is_not_is_a_mistake(
    issuer: FakeIssuer, make_consumer: MakeConsumer
) -> None:
    kind: Any = "logout"
    with pytest.raises(CrossauthError, match="access, id, refresh"):
        await make_consumer().token_authorized(issuer.issue_token(), kind)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES384", "EdDSA"])
async def test_every_algorithm_of_an_issuer_is_accepted(
    algorithm: str, clock: FakeClock, make_consumer: MakeConsumer
) -> None:
    async with FakeIssuer(algorithms=(algorithm,), clock=clock) as issuer:
        consumer = make_consumer(of=issuer)
        assert await consumer.authorize(issuer.issue_token())
        narrow = make_consumer(of=issuer, algorithms=["ES256"])
        assert await refused(narrow, issuer.issue_token()) == "alg"


async def test_an_issuer_below_a_path_is_found_and_compared_to_the_last_character(
    clock: FakeClock, make_consumer: MakeConsumer
) -> None:
    async with FakeIssuer("/tenant", clock=clock) as issuer:
        assert await make_consumer(of=issuer).authorize(issuer.issue_token())
        for iss in (issuer.origin, f"{issuer.url}/", f"{issuer.origin}/TENANT"):
            assert await refused(make_consumer(of=issuer), issuer.issue_token(iss=iss)) == "iss"


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "a.b.c", "x" * 100_000, "." * 100_000, "\ud800", "\x00", "é.é.é", "Bearer x", "e30.e30.", "W10.W10.W10",
        "eyJhbGciOiJFUzI1NiJ9..", "=.=.=", " ", "\n",
    ],
)  # fmt: skip
async def test_garbage_is_refused(token: str, make_consumer: MakeConsumer) -> None:
    secret = "the secret of the resource server"
    consumer = make_consumer(introspection="opaque", introspection_client_id="rs", introspection_client_secret=secret)
    for kind in ("access", "id", "refresh"):
        assert await consumer.token_authorized(token, kind) is None


async def test_keys_that_are_given_are_used_and_none_is_fetched(
    issuer: FakeIssuer, clock: FakeClock, tmp_path: Path, make_consumer: MakeConsumer
) -> None:
    key = issuer.keys.signer()
    pem = key.key.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "secret").write_text(SECRET + "\n")
    by_secret = load_signing_key(SECRET, "HS256")
    for options, signer in (
        ({"jwt_key_type": "ES256", "jwt_public_key": pem}, key),
        ({"jwt_key_type": "ES256", "jwt_public_key": json.dumps(issuer.keys.jwks())}, key),
        ({"jwt_key_type": "ES256", "jwt_public_key_file": str(tmp_path / "key.pem")}, key),
        ({"jwt_key_type": "HS256", "jwt_secret_key": SECRET}, by_secret),
        ({"jwt_key_type": "HS256", "jwt_secret_key_file": str(tmp_path / "secret")}, by_secret),
    ):
        consumer = make_consumer(**options)
        await consumer.load_keys()
        assert consumer.keys
        assert await consumer.authorize(issuer.issue_token(key=signer))
        other = by_secret if signer is key else key
        assert await refused(consumer, issuer.issue_token(key=other))
        assert SECRET not in repr((consumer, vars(consumer)))
    assert issuer.requests == {}


async def test_a_public_key_is_no_secret(issuer: FakeIssuer, make_consumer: MakeConsumer) -> None:
    """Whoever has the published key cannot sign with it, whatever the header says."""
    key = issuer.keys.signer()
    consumer = make_consumer()
    texts = [json.dumps(key.public_jwk()), json.dumps(issuer.keys.jwks()), str((key.public_jwk() or {})["x"])]
    for text in texts:
        header = {"alg": "HS256", "typ": "at+jwt", "kid": key.kid}
        body = issuer.issue_token().split(".")[1]
        signed = f"{base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b'=').decode()}.{body}"
        mac = base64.urlsafe_b64encode(hmac.digest(text.encode(), signed.encode(), "sha256")).rstrip(b"=").decode()
        assert await refused(consumer, f"{signed}.{mac}") == "alg"


async def test_metadata_and_keys_can_be_loaded_taken_and_set(issuer: FakeIssuer, make_consumer: MakeConsumer) -> None:
    consumer = make_consumer()
    assert consumer.oidc_config is None
    assert consumer.keys is None
    await consumer.load_config()
    assert consumer.oidc_config is not None
    assert consumer.oidc_config["issuer"] == consumer.auth_server_base_url == issuer.url
    await consumer.load_jwks()
    await consumer.load_keys()
    assert consumer.keys is not None
    assert [key.kid for key in consumer.keys.keys] == [issuer.keys.signer().kid]

    provided = make_consumer(oidc_config={"issuer": issuer.url, "jwks_uri": f"{issuer.origin}/jwks"})
    metadata = issuer.requests["metadata"]
    assert await provided.authorize(issuer.issue_token())
    assert issuer.requests["metadata"] == metadata

    other = generate_signing_key("ES256")
    for keys in (read_jwks(SigningKeys((other,)).jwks()), SigningKeys((other,)).jwks(), other.public_jwk()):
        provided.keys = keys
        assert await provided.authorize(issuer.issue_token(key=other))
        assert await refused(provided, issuer.issue_token())
    await provided.load_jwks(issuer.keys.jwks())
    assert await provided.authorize(issuer.issue_token())
    await provided.load_config({"issuer": issuer.url})
    with pytest.raises(CrossauthError, match="'issuer'"):
        await provided.load_config({"issuer": f"{issuer.url}/"})
    with pytest.raises(CrossauthError, match="JWK"):
        await provided.load_jwks({"keys": []})


async def test_a_token_that_must_be_stored_ends_when_it_is_deleted(
    issuer: FakeIssuer, clock: FakeClock, make_consumer: MakeConsumer
) -> None:
    storage = InMemoryKeyStorage()
    consumer = make_consumer(persist_access_token=True, key_storage=storage)
    token = issuer.issue_token(jti="one")
    assert await refused(consumer, token) == "not in the key storage"
    value = f"access:{OAuthTokenConsumer.hash('one')}"
    await storage.save_key(None, value, clock(), clock() + timedelta(seconds=60))
    assert await consumer.authorize(token)
    clock.advance(seconds=61)
    assert await refused(consumer, token)
    await storage.delete_key(value)
    await storage.save_key(None, value, clock(), None)
    assert await consumer.authorize(token)
    await storage.consume_key(value, clock())
    assert await refused(consumer, token)
    for jti in (None, ""):
        assert await refused(consumer, issuer.issue_token(jti=jti))


def test_a_header_is_read_without_trusting_it() -> None:
    token = sign({}, load_signing_key(SECRET, "HS256"), TokenType.JWT)
    assert OAuthTokenConsumer.decode_header(token) == {"alg": "HS256", "typ": "JWT"}
    for garbage in ("", "a.b.c", "\ud800", "." * 10_000_000):
        with pytest.raises(CrossauthError) as e:
            OAuthTokenConsumer.decode_header(garbage)
        assert e.value.code is ErrorCode.InvalidToken


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"auth_server_base_url": None}, "'auth_server_base_url' is required"),
        ({"auth_server_base_url": "http://issuer.example.com"}, "https URL"),
        ({"auth_server_base_url": "https://issuer.example.com?x=1"}, "https URL"),
        ({"auth_server_base_url": 5}, "'auth_server_base_url' must be text"),
        ({"audience": 5}, "'audience' must be"),
        ({"audience": []}, "'audience' must not be empty"),
        ({"audience": [""]}, "'audience' is required"),
        ({"jwt_key_type": "none"}, "'jwt_key_type' must be one of"),
        ({"jwt_key_type": "RS256"}, "no effect without 'jwt_public_key'"),
        ({"jwt_public_key": "x"}, "no effect without option 'jwt_key_type'"),
        ({"jwt_key_type": "HS256", "jwt_public_key": "x"}, "needs 'jwt_secret_key', and it alone"),
        ({"jwt_key_type": "ES256", "jwt_secret_key": SECRET}, "needs 'jwt_public_key', and it alone"),
        ({"jwt_key_type": "HS256", "jwt_secret_key": SECRET, "jwt_secret_key_file": "x"}, "beside option 'jwt_secret_key'"),
        ({"jwt_key_type": "HS256", "jwt_secret_key_file": "/nowhere"}, "the file cannot be read"),
        ({"jwt_key_type": "ES256", "jwt_public_key": SECRET}, "does not fit the algorithm"),
        ({"algorithms": ["HS256"]}, "'algorithms' may hold"),
        ({"algorithms": ["none"]}, "'algorithms' may hold"),
        ({"algorithms": []}, "must not be empty"),
        ({"algorithms": ["ES256"], "jwt_key_type": "HS256", "jwt_secret_key": SECRET}, "say the same"),
        ({"clock_tolerance": -1}, "at least 0"),
        ({"clock_tolerance": "10"}, "whole number"),
        ({"oidc_config": {"issuer": "https://other.example.com"}}, "'oidc_config': 'issuer'"),
        ({"oidc_config": {"issuer": "https://issuer.example.com", "jwks_uri": "http://x.example.com"}}, "'jwks_uri'"),
        ({"persist_access_token": True}, "without option 'key_storage'"),
        ({"key_storage": InMemoryKeyStorage()}, "without option 'persist_access_token'"),
        ({"introspection": "opaque"}, "without option 'introspection_client_id'"),
        ({"introspection_client_id": "rs"}, "without 'introspection'"),
        ({"introspection": "sometimes"}, "'introspection' must be"),
        ({"introspection": "always", "introspection_client_id": "rs", "introspection_endpoint": "http://x.example"}, "https URL"),
        ({"fetcher": 5}, "'fetcher' must be"),
        ({"audiences": ["api"]}, "did you mean 'audience'"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_take_effect_stops_the_start(options: dict[str, Any], text: str) -> None:
    provided: Any = {"auth_server_base_url": "https://issuer.example.com", "audience": "api", **options}
    with pytest.raises(CrossauthError) as refused:
        OAuthTokenConsumer(options=provided)
    assert refused.value.code is ErrorCode.Configuration
    assert text in refused.value.message
    assert SECRET not in refused.value.message


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAUTH_AUTH_SERVER_BASE_URL", "https://issuer.example.com")
    monkeypatch.setenv("CROSSAUTH_OAUTH_AUDIENCE", "api")
    consumer = OAuthTokenConsumer()
    assert (consumer.auth_server_base_url, consumer.audience) == ("https://issuer.example.com", "api")
    assert OAuthTokenConsumer("other").audience == "other"


def test_without_aiohttp_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossauth_backend.core.http_client.find_spec", lambda name: None)
    with pytest.raises(CrossauthError, match=r"crossauth\[client\]"):
        OAuthTokenConsumer("api", {"auth_server_base_url": "https://issuer.example.com"})
    OAuthTokenConsumer(
        "api",
        {"auth_server_base_url": "https://issuer.example.com", "jwt_key_type": "HS256", "jwt_secret_key": SECRET},
    )
