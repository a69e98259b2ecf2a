"""A faulty token of the provider for tests is wrong in one way, and right in all others."""

from typing import Any

import pytest

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.jose import (
    JwtInvalidError,
    SigningKeys,
    TokenType,
    VerificationPolicy,
    generate_signing_key,
    read_unverified,
    verify,
)
from crossauth_backend.testing.fake_provider_faults import ProviderFault, signed, spoiled

NOW = int(utc_now().timestamp())
CLAIMS: dict[str, Any] = {
    "iss": "https://a.example", "aud": "client", "sub": "1", "iat": NOW, "exp": NOW + 10**5, "nonce": "of this login", "jti": "j",
    "sid": "s", "at_hash": "h", "auth_time": NOW, "azp": "client", "events": {"e": {}},
}  # fmt: skip
CHANGED = {
    ProviderFault.WRONG_ISSUER: {"iss"}, ProviderFault.WRONG_AUDIENCE: {"aud"}, ProviderFault.NO_AUDIENCE: {"aud"},
    ProviderFault.SEVERAL_AUDIENCES: {"aud", "azp"}, ProviderFault.WRONG_AZP: {"azp"}, ProviderFault.WRONG_SUB: {"sub"},
    ProviderFault.NO_SUB: {"sub"}, ProviderFault.WRONG_NONCE: {"nonce"}, ProviderFault.NO_NONCE: {"nonce"},
    ProviderFault.WITH_NONCE: {"nonce"}, ProviderFault.NO_IAT: {"iat"}, ProviderFault.FUTURE_IAT: {"iat", "exp"},
    ProviderFault.OLD_IAT: {"iat"}, ProviderFault.NO_EXP: {"exp"}, ProviderFault.EXPIRED: {"iat", "exp"},
    ProviderFault.NO_JTI: {"jti"}, ProviderFault.WRONG_AT_HASH: {"at_hash"}, ProviderFault.WRONG_AUTH_TIME: {"auth_time"},
    ProviderFault.NO_EVENT: {"events"}, ProviderFault.WRONG_EVENT: {"events"}, ProviderFault.NO_SUBJECT: {"sub", "sid"},
}  # fmt: skip
POLICY = VerificationPolicy(algorithms=("ES256",), issuers=None, audiences=None, types=("jwt",), required=())
UNVERIFIABLE = [
    ProviderFault.WRONG_SIGNATURE, ProviderFault.NO_SIGNATURE, ProviderFault.WRONG_ALGORITHM, ProviderFault.UNKNOWN_KEY,
    ProviderFault.PUBLIC_KEY_AS_SECRET, ProviderFault.WRONG_TYPE, ProviderFault.NO_JWT,
]  # fmt: skip


def keys() -> SigningKeys:
    return SigningKeys((generate_signing_key("ES256"),), (generate_signing_key("ES384"),))


@pytest.mark.parametrize("fault", CHANGED)
def test_a_fault_changes_the_claims_it_is_named_for(fault: ProviderFault) -> None:
    response = spoiled(CLAIMS, fault)
    assert {name for name in CLAIMS if response.get(name) != CLAIMS[name]} == CHANGED[fault]
    assert None not in response.values()


@pytest.mark.parametrize("fault", ProviderFault)
def test_what_has_no_times_gets_none(fault: ProviderFault) -> None:
    assert not {"iat", "exp", "auth_time"} & set(spoiled({"sub": "1"}, fault))


@pytest.mark.parametrize("fault", UNVERIFIABLE)
def test_a_signature_can_be_wrong(fault: ProviderFault) -> None:
    own = keys()
    with pytest.raises(JwtInvalidError):
        verify(signed(CLAIMS, own, TokenType.JWT, fault), own.verification_keys(), POLICY, utc_now())


@pytest.mark.parametrize("fault", [None, ProviderFault.NO_KID])
def test_a_token_without_fault_or_without_a_name_of_its_key_is_verified(fault: ProviderFault | None) -> None:
    own = keys()
    token = signed(CLAIMS, own, TokenType.JWT, fault)
    assert verify(token, own.verification_keys(), POLICY, utc_now()) == CLAIMS
    assert ("kid" in read_unverified(token)[0]) is (fault is None)
