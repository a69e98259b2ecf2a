"""JSON Web Keys, signatures and tokens (RFC 7515, 7517, 7519), through joserfc and nowhere else.

`keys` loads keys and knows which algorithm fits which; `sign` issues tokens; `verify` checks them against a policy; `cache`
remembers for a while what was verified. The caller names the algorithms: what the header of a token says can only agree
with them (RFC 8725 §3.1).
"""

from crossauth_backend.core.jose.cache import CacheName, ClaimsCache
from crossauth_backend.core.jose.halfhash import half_hash
from crossauth_backend.core.jose.keys import (
    ALGORITHMS,
    ASYMMETRIC_ALGORITHMS,
    SigningKey,
    SigningKeys,
    VerificationKey,
    VerificationKeys,
    generate_signing_key,
    is_symmetric,
    load_key,
    load_keys,
    load_signing_key,
    read_jwks,
)
from crossauth_backend.core.jose.sign import TokenType, check_keys, sign, sign_jwt
from crossauth_backend.core.jose.verify import (
    MAX_TOKEN,
    JwtExpiredError,
    JwtInvalidError,
    UnknownKeyError,
    VerificationPolicy,
    is_jwt,
    read_unverified,
    token_type,
    verify,
    verify_jwt,
)

__all__ = [
    "ALGORITHMS",
    "ASYMMETRIC_ALGORITHMS",
    "MAX_TOKEN",
    "CacheName",
    "ClaimsCache",
    "JwtExpiredError",
    "JwtInvalidError",
    "SigningKey",
    "SigningKeys",
    "TokenType",
    "UnknownKeyError",
    "VerificationKey",
    "VerificationKeys",
    "VerificationPolicy",
    "check_keys",
    "generate_signing_key",
    "half_hash",
    "is_jwt",
    "is_symmetric",
    "load_key",
    "load_keys",
    "load_signing_key",
    "read_jwks",
    "read_unverified",
    "sign",
    "sign_jwt",
    "token_type",
    "verify",
    "verify_jwt",
]
