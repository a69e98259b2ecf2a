"""Access tokens that are huge, deep, odd or garbage, and issuers whose documents are: refused, and no fault of ours"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from fastapi import FastAPI

from crossauth_backend.core.jose import TokenType
from crossauth_backend.testing import FakeIssuer, Fault
from crossauth_fastapi import FastApiOAuthResourceServer
from tests.patience import Impatient
from tests.resource import AUDIENCE, add_routes, ask, claims_of, close_consumers, consumer_of, encoded, signed

ASKS = {
    "introspection": "opaque",
    "introspection_client_id": "rs",
    "introspection_client_secret": "the secret of the resource server",
    "introspection_cache_seconds": 0,
}


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(algorithms=("RS256",)) as issuer:
        yield issuer
        await close_consumers()


def an_app(*issuers: FakeIssuer, **consumer: Any) -> FastAPI:
    app = FastAPI()
    options = {"protected_endpoints": {"/orders": {}}}
    FastApiOAuthResourceServer(app, [consumer_of(issuer, **consumer) for issuer in issuers], options)
    add_routes(app)
    return app


async def status(app: FastAPI, token: str | bytes, path: str = "/orders") -> int:
    value = token if isinstance(token, bytes) else token.encode()
    return (await ask(app, path, ("authorization", b"Bearer " + value))).status


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# What a good token would need besides: each is signed by the issuer.
ODD: dict[str, Callable[[FakeIssuer], str]] = {
    "deep header": lambda i: signed(i, {"x": deep(700)}, claims_of(i)),
    "deep claims": lambda i: signed(i, {}, claims_of(i, x=deep(200))),
    "very deep claims": lambda i: signed(i, {}, b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "surrogate in the header": lambda i: signed(i, {"x": "\ud800"}, claims_of(i)),
    "surrogate in a claim": lambda i: signed(i, {}, claims_of(i, x="\ud800")),
    "surrogate in sub": lambda i: signed(i, {}, claims_of(i, sub="\udfff")),
    "infinity in the header": lambda i: signed(i, b'{"alg":"RS256","typ":"at+jwt","x":1e999}', claims_of(i)),
    "kid of 1 MB": lambda i: signed(i, {"kid": "k" * 1_000_000}, claims_of(i)),
    "kid of a list": lambda i: signed(i, {"kid": [i.keys.signer().kid]}, claims_of(i)),
    "kid of another spelling": lambda i: signed(i, {"kid": f" {i.keys.signer().kid}"}, claims_of(i)),
    "nested": lambda i: signed(i, {"cty": "JWT"}, i.issue_token(AUDIENCE).encode()),
    "encrypted": lambda i: f"{encoded({'alg': 'RSA-OAEP', 'enc': 'A128GCM', 'typ': 'at+jwt'})}.AAAA.AAAA.AAAA.AAAA",
    "unencoded payload": lambda i: signed(i, {"b64": False, "crit": ["b64"]}, claims_of(i)),
    "unencoded payload, not said": lambda i: signed(i, {"b64": False}, claims_of(i)),
    "critical": lambda i: signed(i, {"crit": ["exp"], "exp": 4e9}, claims_of(i)),
    "critical and empty": lambda i: signed(i, {"crit": []}, claims_of(i)),
    "compressed": lambda i: signed(i, {"zip": "DEF"}, claims_of(i)),
    "alg of a list": lambda i: signed(i, {"alg": ["RS256"]}, claims_of(i)),
    "alg in small letters": lambda i: signed(i, {"alg": "rs256"}, claims_of(i)),
    "alg that the key is not for": lambda i: signed(i, {"alg": "PS256"}, claims_of(i)),
    "typ of a list": lambda i: signed(i, {"typ": ["at+jwt"]}, claims_of(i)),
    "typ of another": lambda i: signed(i, {"typ": "at+jwt2"}, claims_of(i)),
    "header of a list": lambda i: signed(i, [], claims_of(i)),
    "claims of a list": lambda i: signed(i, {}, [claims_of(i)]),
    "claims that are none": lambda i: signed(i, {}, b"null"),
    "name that comes twice": lambda i: signed(i, {}, json.dumps(claims_of(i))[:-1].encode() + b',"aud":"x"}'),
    "aud of 10,000": lambda i: signed(i, {}, claims_of(i, aud=[*("x" * 10_000), AUDIENCE])),
    "aud of numbers": lambda i: signed(i, {}, claims_of(i, aud=[1, None, {}, [AUDIENCE]])),
    "aud of an object": lambda i: signed(i, {}, claims_of(i, aud={AUDIENCE: 1})),
    "aud of a list in a list": lambda i: signed(i, {}, claims_of(i, aud=[[AUDIENCE]])),
    "iss of a list": lambda i: signed(i, {}, claims_of(i, iss=[i.url])),
    "sub of a number": lambda i: signed(i, {}, claims_of(i, sub=1)),
    "sub of an object": lambda i: signed(i, {}, claims_of(i, sub={"id": 1})),
    "jti of a list": lambda i: signed(i, {}, claims_of(i, jti=[1])),
    "padding": lambda i: i.issue_token(AUDIENCE) + "=",
    "one more part": lambda i: i.issue_token(AUDIENCE) + ".",
    "signature that ends in other bits": lambda i: _other_bits(i.issue_token(AUDIENCE)),
}
MOMENTS = (
    "Infinity", "-Infinity", "NaN", "1e999", "-1", "0", "-1e300", "1e300", "9" * 400, "9" * 5000, '"4000000000"', "true", "null",
    "[4000000000]", "{}", '""', "-0.0", "9007199254740993", "0x7fffffff", "4000000000.", "+4000000000",
)  # fmt: skip


def _other_bits(token: str) -> str:
    """The same bytes of a signature, spelled another way: the last letter has bits that say nothing (RFC 4648 §3.5)."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + last[last.index(token[-1]) + 1]


async def test_a_signed_token_that_is_odd_is_refused(issuer: FakeIssuer) -> None:
    """A good signature makes no odd token good, and none of them is a fault of ours, with one issuer or several."""
    async with FakeIssuer(algorithms=("RS256",)) as other:
        apps = an_app(issuer), an_app(issuer, other), an_app(issuer, **ASKS)
        for app in apps:
            assert await status(app, signed(issuer, {}, claims_of(issuer))) == 200
        found = {
            kind: [await status(app, make(issuer), path) for app in apps for path in ("/orders", "/me", "/maybe")]
            for kind, make in ODD.items()
        }
        assert {kind: seen for kind, seen in found.items() if seen != [401, 401, 200] * len(apps)} == {}


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
async def test_a_moment_that_is_none_is_refused(issuer: FakeIssuer, name: str) -> None:
    """`exp`, `nbf` and `iat` are numbers that a clock can show (RFC 7519 §2); of `nbf` and `iat` the past is one."""
    app, found = an_app(issuer), {}
    for moment in MOMENTS:
        claims = json.dumps({**claims_of(issuer), name: 0}).replace(f'"{name}": 0', f'"{name}": {moment}')
        found[moment] = await status(app, signed(issuer, {}, claims.encode()))
    past = ("-1", "0", "-0.0") if name != "exp" else ()
    assert found == {moment: 200 if moment in past else 401 for moment in MOMENTS}


ODD_SCOPES: list[dict[str, Any]] = [
    {"scope": "read\x00write"}, {"scope": "\x00"}, {"scope": ["read\x00"]}, {"scope": {"read": 1}}, {"scope": "read\nwrite"},
    {"scope": "READ"}, {"scope": "read\u00a0x"}, {"scope": ["read x"]}, {"scope": [["read"]]}, {"scope": "x " * 2500 + "read"},
    {"scp": "other", "scope": None}, {"scope": 'read" error="x'}, {"permissions": ["read"]}, {"scope": ",read,"},
]  # fmt: skip


async def test_a_scope_that_is_odd_grants_nothing(issuer: FakeIssuer) -> None:
    """Only scopes as RFC 6749 §3.3 spells them count, to the letter."""
    app = FastAPI()
    FastApiOAuthResourceServer(app, [consumer_of(issuer)], {"protected_endpoints": {"/orders": {"scope": ["read"]}}})
    add_routes(app)
    for claims in ODD_SCOPES:
        token = signed(issuer, {}, claims_of(issuer, **claims))
        refused = await ask(app, "/orders", ("authorization", b"Bearer " + token.encode()))
        assert (refused.status, 'scope="read"' in refused.challenge) == (403, True), claims


async def test_a_token_of_another_kind_opens_no_route(issuer: FakeIssuer) -> None:
    """ID, logout, refresh and state tokens and client assertions are no access tokens, whoever signed them (RFC 8725 §3.11)."""
    app, jwt = an_app(issuer), TokenType.JWT
    others: list[tuple[TokenType, dict[str, Any]]] = [
        (jwt, {"nonce": "n"}), (jwt, {"type": "id"}), (jwt, {"type": "refresh"}), (jwt, {"type": "state"}), (jwt, {}),
        (TokenType.LOGOUT, {"events": {}}), (TokenType.LOGOUT, {}), (TokenType.CLIENT_AUTHENTICATION, {}),
    ]  # fmt: skip
    for kind, response in others:
        assert await status(app, issuer.issue_token(AUDIENCE, kind=kind, **response)) == 401, (kind, response)
    assert await status(app, issuer.issue_token(AUDIENCE)) == 200


ODD_ANSWERS: list[dict[str, Any]] = [
    {"active": "true"}, {"active": 1}, {"active": None}, {"active": []}, {"active": "active"}, {"exp": "4000000000"},
    {"exp": 0}, {"exp": -1}, {"exp": 10**400}, {"exp": True}, {"exp": None}, {"nbf": 4_000_000_000}, {"nbf": "x"},
    {"iat": {}}, {"aud": None}, {"aud": "x"}, {"aud": {AUDIENCE: 1}}, {"aud": [[AUDIENCE]]}, {"iss": ""}, {"iss": ["x"]},
    {"token_type": "refresh_token"}, {"token_type": "DPoP"}, {"token_type": 5}, {"token_type": "id_token"},
    {"cnf": {"jkt": "x"}}, {"sub": 7}, {"sub": "\x00"}, {"sub": "\ud800"}, {"x": deep(70)}, {"x": "\udfff"},
    {"events": {}}, {"typ": "Refresh"}, {"token_use": "id"}, {"x": "y" * 70_000},
]  # fmt: skip


async def test_what_introspection_says_is_taken_at_its_word(issuer: FakeIssuer) -> None:
    """Active is `true` and nothing else, and what is active is for us, for now, and an access token (RFC 7662 §2.2)."""
    issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7"}
    app = an_app(issuer, **ASKS)
    assert await status(app, "opaque") == 200
    for response in ODD_ANSWERS:
        issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7", **response}
        for path in ("/orders", "/me"):
            assert await status(app, "opaque", path) in (401, 503), response


@pytest.mark.parametrize("fault", [Fault.HUGE, Fault.CHUNKS, Fault.DEEP, Fault.REDIRECT, Fault.DRIPS, Fault.HANGS])
async def test_an_introspection_that_never_ends_lets_nobody_in(issuer: FakeIssuer, fault: Fault) -> None:
    """50 MB, chunks without end, deep JSON, a redirect: cut off, and the same request may succeed later."""
    issuer.tokens["opaque"] = {"aud": AUDIENCE, "sub": "7"}
    async with aclosing(Impatient(issuer)) as fetcher:
        app = an_app(issuer, **ASKS, fetcher=fetcher)
        assert await status(app, "opaque") == 200
        issuer.fault = fault
        answer = await ask(app, "/orders", ("authorization", b"Bearer opaque"))
        assert (answer.status, json.loads(answer.body)["error"]) == (503, "temporarily_unavailable")
        issuer.fault = None
        assert await status(app, "opaque") == 200


class OddIssuer(FakeIssuer):
    """One whose documents can be changed."""

    def __init__(self) -> None:
        super().__init__(algorithms=("RS256",))
        self.metadata: dict[str, Any] = {}
        self.further_keys: list[Any] = []

    def _metadata(self) -> dict[str, Any]:
        return {**super()._metadata(), **self.metadata}

    def _jwks(self) -> dict[str, Any]:
        return {"keys": [*self.further_keys, *super()._jwks()["keys"]]}


ODD_METADATA: list[dict[str, Any]] = [
    {"jwks_uri": 5}, {"jwks_uri": ["x"]}, {"jwks_uri": "https://[::1"}, {"jwks_uri": "https://\ud800/"}, {"jwks_uri": ""},
    {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": "https://x\r\nHost: y/"}, {"jwks_uri": "http://x@127.0.0.1.evil.example/"},
    {"jwks_uri": "https://x/" + "y" * 5000}, {"issuer": ["x"]}, {"issuer": None}, {"token_endpoint": {}},
    {"jwks_uri": "http://127.0.0.1:99999/"}, {"jwks_uri": "http://127.0.0.1:x/"}, {"jwks_uri": "//127.0.0.1/jwks"},
    {"jwks_uri": "https://127.0.0.1:1/jwks"}, {"jwks_uri": "https://a.invalid:0/"},
]  # fmt: skip


async def test_metadata_that_is_garbage_is_no_fault_of_the_token() -> None:
    """Whatever an issuer says of itself, the answer is that nobody can say for now."""
    async with OddIssuer() as issuer:
        for metadata in ODD_METADATA:
            app, issuer.metadata = an_app(issuer), metadata
            answer = await ask(app, "/orders", ("authorization", b"Bearer " + issuer.issue_token(AUDIENCE).encode()))
            assert (answer.status, b"temporarily_unavailable" in answer.body) == (503, True), metadata
        await close_consumers()


async def test_a_key_set_that_is_half_garbage_is_used_as_far_as_it_is_good() -> None:
    """Keys of other kinds, weak ones, secrets and nonsense are left out (RFC 7517 §5), and good keys among them count."""
    async with OddIssuer() as issuer:
        good = issuer.keys.jwks()["keys"][0]
        issuer.further_keys = [
            5, None, [], {}, {"kty": []}, {"kty": "RSA"}, {"kty": "RSA", "n": 5, "e": []}, {"kty": "RSA", "n": "", "e": ""},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "RSA", "n": "_" * 100_000, "e": "AQAB"}, {"kty": "EC", "crv": []},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "oct", "k": "AAAA", "kid": good["kid"]},
            {**good, "kid": {}}, {**good, "use": "enc"}, {**good, "key_ops": "verify"}, {**good, "alg": "none"},
            {**good, "alg": ["RS256"]}, {**good, "n": good["n"] + "\ud800"}, {"x": deep(300)}, {**good, "e": "AA"},
        ]  # fmt: skip
        app = an_app(issuer)
        assert await status(app, issuer.issue_token(AUDIENCE)) == 200
        assert await status(app, signed(issuer, {"alg": "PS256"}, claims_of(issuer))) == 401
        await close_consumers()
