from typing import Any

import pytest

from crossauth_backend.core.jose import JwtInvalidError, half_hash
from crossauth_backend.oauth.client.id_token_rules import Expected, check_id_token, check_refreshed

NOW = 1_000_000.0
CLAIMS = {"iss": "https://as.example.com", "aud": "client", "sub": "alice", "iat": 1, "exp": 2}


def check(claims: dict[str, Any], algorithm: str = "RS256", **expected: Any) -> None:
    check_id_token({**CLAIMS, **claims}, algorithm, Expected(client_id="client", **expected), NOW)


def refused(claim: str, claims: dict[str, Any], **expected: Any) -> None:
    with pytest.raises(JwtInvalidError, match=f"^{claim}$"):
        check(claims, **expected)


def test_a_plain_one_is_accepted() -> None:
    check({})
    check({"nonce": "n"})
    check({"nonce": "n"}, nonce="n")
    check({"aud": ["client"]})
    check({"aud": ["client", "api"], "azp": "client"})


def test_party_and_nonce() -> None:
    refused("azp", {"aud": ["client", "api"]})
    refused("azp", {"aud": ["client", "api"], "azp": "api"})
    refused("azp", {"azp": "api"})
    refused("nonce", {}, nonce="n")
    refused("nonce", {"nonce": "m"}, nonce="n")


def test_hashes_follow_the_algorithm() -> None:
    for algorithm in ("RS256", "ES384", "PS512", "EdDSA", "Ed25519"):
        check({"at_hash": half_hash("token", algorithm), "c_hash": half_hash("code", algorithm)}, algorithm,
              access_token="token", code="code")  # fmt: skip
    refused("at_hash", {"at_hash": half_hash("token", "RS384")}, access_token="token")
    refused("c_hash", {"c_hash": half_hash("other", "RS256")}, code="code")
    # OpenID Connect Core §A.4.
    assert half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "RS256") == "LDktKdoQak3Pk0cnXxCltA"


def test_age() -> None:
    check({"auth_time": NOW - 60}, max_age=60)
    check({"auth_time": NOW - 70}, max_age=60, leeway=10)
    refused("auth_time", {"auth_time": NOW - 61}, max_age=60)
    refused("auth_time", {}, max_age=60)
    refused("auth_time", {"auth_time": True})


def test_tenants() -> None:
    template = "https://as.example.com/{tenantid}"
    check({"iss": "https://as.example.com/t", "tid": "t"}, issuer_of_tenant=template)
    for tid in ("u", None, ["t"], ""):
        refused("tid", {"iss": "https://as.example.com/t", "tid": tid}, issuer_of_tenant=template)


def test_a_refresh_is_about_the_same_login() -> None:
    before = {**CLAIMS, "auth_time": 1, "nonce": "n"}
    check_refreshed({**CLAIMS, "iat": 5, "aud": ["client"]}, before)
    check_refreshed({**before, "amr": ["pwd"]}, before)
    for name, value in (("iss", "https://b"), ("sub", "b"), ("aud", ["client", "b"]), ("auth_time", 2), ("nonce", "m")):
        with pytest.raises(JwtInvalidError, match=f"^{name}$"):
            check_refreshed({**before, name: value}, before)
