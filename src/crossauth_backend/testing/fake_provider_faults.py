"""What a provider can say wrong: in tokens that it signs, in its answers, and where it sends browsers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from crossauth_backend.core.jose import SigningKey, SigningKeys, TokenType, generate_signing_key, sign
from crossauth_backend.core.secrets import from_base64url, to_base64url

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_DAY: Final = 86_400
_ELSEWHERE: Final = "https://elsewhere.example.com"


class ProviderFault(Enum):
    """One thing that a provider says wrong, while all the rest is right.

    The first ones are about tokens that it signs, ID tokens and logout tokens; those that name a claim hold for the answer of
    the userinfo endpoint too.
    """

    WRONG_ISSUER = auto()
    WRONG_AUDIENCE = auto()
    NO_AUDIENCE = auto()
    SEVERAL_AUDIENCES = auto()
    """The client is one of two, and no `azp` says for whom the token is."""
    WRONG_AZP = auto()
    """The token is for another client."""
    WRONG_SUB = auto()
    NO_SUB = auto()
    WRONG_NONCE = auto()
    NO_NONCE = auto()
    NO_IAT = auto()
    FUTURE_IAT = auto()
    """Issued tomorrow."""
    OLD_IAT = auto()
    """Issued two days ago."""
    NO_EXP = auto()
    EXPIRED = auto()
    NO_JTI = auto()
    WRONG_AT_HASH = auto()
    WRONG_AUTH_TIME = auto()
    """A login of another time than the last token said."""
    WRONG_SIGNATURE = auto()
    NO_SIGNATURE = auto()
    """`alg: none`."""
    WRONG_ALGORITHM = auto()
    """Signed well, with a published key, but by an algorithm that its metadata does not name."""
    PUBLIC_KEY_AS_SECRET = auto()
    """HMAC with what everybody knows (RFC 8725 §2.1)."""
    UNKNOWN_KEY = auto()
    """Signed with a key that it has not published."""
    NO_KID = auto()
    """The header does not name the key; nothing is wrong with that where it has only one."""
    WRONG_TYPE = auto()
    """The header says that it is an access token."""
    NO_JWT = auto()
    """A token that is no JWT at all."""

    NO_EVENT = auto()
    """A logout token without `events`."""
    WRONG_EVENT = auto()
    WITH_NONCE = auto()
    """A logout token that could be an ID token."""
    NO_SUBJECT = auto()
    """A logout token with neither `sub` nor `sid`."""

    NO_ID_TOKEN = auto()
    NO_ACCESS_TOKEN = auto()
    NO_TOKEN_TYPE = auto()
    WRONG_TOKEN_TYPE = auto()
    """A token type that nobody asked for."""
    WRONG_EXPIRES_IN = auto()
    """A lifetime that is no number."""
    WRONG_TYPES = auto()
    """Lists and objects where there should be texts."""
    ERROR = auto()
    """Status 400, and an error text with markup and control characters in it."""
    ERROR_AS_SUCCESS = auto()
    """An error with status 200."""
    UNNAMED_ERROR = auto()
    """Status 400 and an empty object."""
    WRONG_SECRET = auto()
    """It does not know the client any more (RFC 6749 §5.2 `invalid_client`)."""

    WRONG_STATE = auto()
    NO_STATE = auto()
    WRONG_ISS = auto()
    """The browser is sent back with another issuer (RFC 9207 §2.4)."""
    NO_ISS = auto()
    """Its metadata promises `iss`, and the browser comes back without."""
    NO_CODE = auto()

    SLOW_DOWN = auto()
    """Every poll comes too early (RFC 8628 §3.5)."""
    WRONG_VERIFICATION_URI = auto()
    """The user of a device is sent to a script."""


_CLAIMS: Final[Mapping[ProviderFault, Callable[[dict[str, Any]], Mapping[str, Any]]]] = {
    ProviderFault.WRONG_ISSUER: lambda c: {"iss": _ELSEWHERE},
    ProviderFault.WRONG_AUDIENCE: lambda c: {"aud": "somebody else"},
    ProviderFault.NO_AUDIENCE: lambda c: {"aud": None},
    ProviderFault.SEVERAL_AUDIENCES: lambda c: {"aud": [c.get("aud"), "somebody else"], "azp": None},
    ProviderFault.WRONG_AZP: lambda c: {"azp": "somebody else"},
    ProviderFault.WRONG_SUB: lambda c: {"sub": "somebody else"},
    ProviderFault.NO_SUB: lambda c: {"sub": None},
    ProviderFault.WRONG_NONCE: lambda c: {"nonce": "of another login"},
    ProviderFault.NO_NONCE: lambda c: {"nonce": None},
    ProviderFault.WITH_NONCE: lambda c: {"nonce": "of no login"},
    ProviderFault.NO_IAT: lambda c: {"iat": None},
    ProviderFault.FUTURE_IAT: lambda c: {"iat": c["iat"] + _DAY, "exp": c["exp"] + _DAY},
    ProviderFault.OLD_IAT: lambda c: {"iat": c["iat"] - 2 * _DAY},
    ProviderFault.NO_EXP: lambda c: {"exp": None},
    ProviderFault.EXPIRED: lambda c: {"iat": c["iat"] - _DAY, "exp": c["iat"] - _DAY + 60},
    ProviderFault.NO_JTI: lambda c: {"jti": None},
    ProviderFault.WRONG_AT_HASH: lambda c: {"at_hash": to_base64url(b"x" * 16)},
    ProviderFault.WRONG_AUTH_TIME: lambda c: {"auth_time": c.get("auth_time", c["iat"]) - 60},
    ProviderFault.NO_EVENT: lambda c: {"events": None},
    ProviderFault.WRONG_EVENT: lambda c: {"events": {f"{LOGOUT_EVENT}/other": {}}},
    ProviderFault.NO_SUBJECT: lambda c: {"sub": None, "sid": None},
}
_TIMES: Final = ("iat", "exp", "auth_time")


def spoiled(claims: Mapping[str, Any], fault: Enum | None) -> dict[str, Any]:
    """Claims with a fault in them; those that are `None` are left out."""
    change = _CLAIMS.get(fault) if isinstance(fault, ProviderFault) else None
    changed = {} if change is None else change({"iat": 0, "exp": 0, **claims})
    # Times are changed where there are some: the answer of the userinfo endpoint has none.
    declared = {**claims, **{name: value for name, value in changed.items() if name not in _TIMES or name in claims}}
    return {name: value for name, value in declared.items() if value is not None}


def signed(claims: Mapping[str, Any], keys: SigningKeys, kind: TokenType, fault: Enum | None = None) -> str:
    """A token of a provider, with a fault in its claims, its header or its signature.

    Parameters:
        claims: the right ones.
        keys: of the provider.
        kind: `typ` of its header.
        fault: what is wrong.
    """
    declared, key = spoiled(claims, fault), keys.signer()
    if fault is ProviderFault.NO_JWT:
        return "no JWT"
    if fault is ProviderFault.NO_SIGNATURE:
        return f"{_segment({'alg': 'none', 'typ': kind.value})}.{_segment(declared)}."
    if fault is ProviderFault.PUBLIC_KEY_AS_SECRET:
        return _with_secret({"alg": "HS256", "typ": kind.value, "kid": key.kid}, declared, key.public_jwk())
    if fault is ProviderFault.WRONG_SIGNATURE:
        head, body, signature = sign(declared, key, kind).split(".")
        raw = bytearray(from_base64url(signature))
        raw[0] ^= 1
        return f"{head}.{body}.{to_base64url(bytes(raw))}"
    return sign(declared, _key(key, keys, fault), TokenType.ACCESS if fault is ProviderFault.WRONG_TYPE else kind)


def _key(key: SigningKey, keys: SigningKeys, fault: Enum | None) -> SigningKey:
    if fault is ProviderFault.UNKNOWN_KEY:
        return generate_signing_key(key.algorithm)
    if fault is ProviderFault.WRONG_ALGORITHM:
        return keys.upcoming[0]
    return replace(key, kid=None) if fault is ProviderFault.NO_KID else key


def _with_secret(header: Mapping[str, Any], claims: Mapping[str, Any], known: object) -> str:
    text = f"{_segment(header)}.{_segment(claims)}"
    mac = HMAC(json.dumps(known).encode(), SHA256())
    mac.update(text.encode())
    return f"{text}.{to_base64url(mac.finalize())}"


def _segment(value: Mapping[str, Any]) -> str:
    return to_base64url(json.dumps(value).encode())
