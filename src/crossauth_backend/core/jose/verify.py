"""Verifying tokens (RFC 7519 §7.2) against a policy.

Nothing of a token decides how it is verified: keys, algorithms, issuers, audiences and types are the policy's. Whatever a
token holds, the answer is its claims or a `JwtInvalidError`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from joserfc.errors import ClaimError, JoseError
from joserfc.jwt import BaseClaimsRegistry, JWTClaimsRegistry

from crossauth_backend.core.jose.cache import MAX_DEPTH, ClaimsCache, copied, size_of
from crossauth_backend.core.jose.keys import VerificationKeys, registry_for, single_key
from crossauth_backend.core.secrets import from_base64url, hash_token

MAX_TOKEN: Final = 16 * 1024
# Certificates are in some headers (RFC 7515 §4.1.6); they are not looked at.
MAX_HEADER: Final = 4096
# The largest whole number that every JSON parser reads exactly (RFC 7493 §2.2); no moment is later.
MAX_MOMENT: Final = 2**53 - 1
# Extensions that must be understood (RFC 7515 §4.1.11), of which there are none here, and what only an encrypted token has.
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "enc", "zip", "p2c", "p2s"})
_MOMENTS: Final = ("exp", "nbf", "iat")
_TEXTS: Final = ("iss", "sub", "aud", "jti")
# The last characters that leave no bit unused, by how many characters of padding are left out.
_LAST: Final = {1: b"AEIMQUYcgkosw048", 2: b"AQgw"}
_PARSE_ERRORS: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_cache: Final = ClaimsCache()


class JwtInvalidError(ValueError):
    """A token that is not ours, not for us, or no token at all."""


class JwtExpiredError(JwtInvalidError):
    """A token that was good once."""


class UnknownKeyError(JwtInvalidError):
    """A token that no known key can have signed: the issuer may have a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationPolicy:
    """What a token must be to be accepted.

    Parameters:
        algorithms: those that may have signed it.
        issuers: exact values of `iss`, one of which it must have; `None` where the issuer is not looked at.
        audiences: values of which `aud` must name one (RFC 7519 §4.1.3); `None` where the audience is not looked at.
        types: values of the header `typ`, without `application/` and in any case (RFC 7515 §4.1.9); `""` for a header without
            one. `None` where the type is not looked at.
        leeway: by how much clocks may differ.
        required: claims without which it is refused.
        unchecked: registered claims whose form is not looked at, for tokens of applications that use them their own way.
    """

    algorithms: tuple[str, ...]
    issuers: tuple[str, ...] | None
    audiences: tuple[str, ...] | None
    types: tuple[str, ...] | None
    leeway: timedelta = timedelta(0)
    required: tuple[str, ...] = ("exp",)
    unchecked: tuple[str, ...] = ()
    identity: str = field(init=False, repr=False, compare=False, default="")
    _registry: BaseClaimsRegistry = field(init=False, repr=False, compare=False, default_factory=BaseClaimsRegistry)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    _wanted: tuple[tuple[str, frozenset[str] | None], ...] = field(init=False, repr=False, compare=False, default=())
    _moments: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())
    _leeway: float = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        options: dict[str, Any] = {name: {"essential": True} for name in self.required if name not in _MOMENTS}
        if self.issuers is not None:
            options["iss"] = {"essential": True, "values": list(self.issuers) or [None]}
        if self.audiences is not None:
            options["aud"] = {"essential": True, "values": list(self.audiences) or [None]}
        if self.types is not None:
            object.__setattr__(self, "types", tuple(_media_type(kind) for kind in self.types))
        names = (*dict.fromkeys((*_TEXTS, *options)),)
        object.__setattr__(self, "_names", tuple(name for name in names if name not in self.unchecked))
        object.__setattr__(self, "_moments", tuple(name for name in _MOMENTS if name not in self.unchecked))
        values = {"iss": self.issuers, "aud": self.audiences}
        wanted = ((name, values.get(name)) for name in self._names)
        object.__setattr__(
            self, "_wanted", tuple((name, None if texts is None else frozenset(texts)) for name, texts in wanted)
        )
        # One for all tokens, and so it is asked for nothing that has to do with the time.
        object.__setattr__(self, "_registry", JWTClaimsRegistry(0, 0, **options))
        object.__setattr__(self, "_leeway", self.leeway.total_seconds())
        object.__setattr__(self, "identity", hash_token(repr(self)))

    def check_header(self, header: Mapping[str, Any]) -> None:
        """Refuse a header that the policy does not allow.

        Raises:
            JwtInvalidError: naming what is wrong.
        """
        algorithm, kind = header.get("alg"), header.get("typ", "")
        if not isinstance(algorithm, str) or algorithm not in self.algorithms:
            raise JwtInvalidError("alg")
        if not _REFUSED_HEADERS.isdisjoint(header):
            raise JwtInvalidError("header")
        if not isinstance(kind, str) or (self.types is not None and _media_type(kind) not in self.types):
            raise JwtInvalidError("typ")

    def check_claims(self, claims: dict[str, Any], moment: float) -> None:
        """Refuse claims that the policy does not allow.

        Parameters:
            claims: of a token whose signature is good.
            moment: the time, in seconds since the epoch.

        Raises:
            JwtExpiredError: its `exp` has come (RFC 7519 §4.1.4); an `exp` of 0 is one.
            JwtInvalidError: naming the claim that is wrong.
        """
        for name in self._moments:
            value = claims.get(name)
            if value is None:
                if name in claims or name in self.required:
                    raise JwtInvalidError(name)
            elif not (type(value) is int and 0 <= value <= MAX_MOMENT) and not _is_moment(value):
                raise JwtInvalidError(name)
        self.check_times(claims, moment)
        if "iat" in self._moments and claims.get("iat", moment) > moment + self._leeway:
            raise JwtInvalidError("iat")
        if self._is_plain(claims):
            return
        try:
            self._registry.validate({name: claims[name] for name in self._names if name in claims})
        except ClaimError as e:
            raise JwtInvalidError(e.claim) from None
        except (JoseError, ValueError, TypeError):
            raise JwtInvalidError("claims") from None

    def _is_plain(self, claims: Mapping[str, Any]) -> bool:
        """Whether each claim is one text, of those that are wanted: nearly all tokens are so, and need no closer look."""
        for name, texts in self._wanted:
            value = claims.get(name)
            if value is None:
                if name in claims or name in self._registry.options:
                    return False
            elif type(value) is not str or not value or (texts is not None and value not in texts):
                return False
        return True

    def check_times(self, claims: Mapping[str, Any], moment: float) -> None:
        """As `check_claims`, for claims that were accepted before: only the time can have changed that."""
        expires, begins = claims.get("exp"), claims.get("nbf")
        if expires is not None and expires <= moment - self._leeway:
            raise JwtExpiredError("exp")
        if begins is not None and begins > moment + self._leeway:
            raise JwtInvalidError("nbf")


def verify(
    token: str, keys: VerificationKeys, policy: VerificationPolicy, now: datetime, *, remember: bool = True
) -> dict[str, Any]:
    """The claims of a token; a copy of its own for every caller.

    Parameters:
        token: as it came.
        keys: the keys of its issuer.
        policy: what it must be.
        now: the time.
        remember: whether to remember for a while what it says, and to look for that first.

    Raises:
        JwtExpiredError: it has expired.
        UnknownKeyError: none of the keys can have signed it.
        JwtInvalidError: anything else is wrong with it.
    """
    if len(token) > MAX_TOKEN or not token.isascii():
        raise JwtInvalidError("no token")
    moment = now.timestamp()
    name = _cache.name(token, keys.identity + policy.identity) if remember else None
    known = None if name is None else _cache.get(name)
    if known is not None:
        policy.check_times(known, moment)
        return known
    claims = _verified(token, keys, policy)
    policy.check_claims(claims, moment)
    if name is not None:
        _cache.put(name, claims)
    return claims


def verify_jwt(
    token: str,
    key: str,
    algorithm: str = "HS256",
    *,
    audience: Sequence[str],
    now: datetime,
    needs_exp: bool = True,
) -> dict[str, Any]:
    """The claims of a token that one known key signed, as applications make their own.

    Parameters:
        token: as it came.
        key: a secret, or a public key as PEM.
        algorithm: the only one accepted.
        audience: at least one of these must be the token's (RFC 7519 §4.1.3).
        now: the time.
        needs_exp: whether a token without an end is refused.

    Raises:
        JwtExpiredError: its `exp` has come (§4.1.4); an `exp` of 0 is one.
        JwtInvalidError: anything else is wrong with it.
        CrossauthError: `Configuration` for a key that does not fit the algorithm.
    """
    return verify(token, single_key(key, algorithm), _own_policy(algorithm, tuple(audience), needs_exp), now)


def is_jwt(token: str) -> bool:
    """Whether a token has the form of a JWT: three parts, the first of which is a header. Nothing is verified."""
    if len(token) > MAX_TOKEN or token.count(".") != 2:
        return False
    try:
        return "alg" in _header(token.partition(".")[0].encode("ascii"))
    except _PARSE_ERRORS:
        return False


def token_type(token: str) -> str:
    """The header `typ` of a token, as policies name it; `""` where it has none or is no token. Nothing is verified."""
    if len(token) > MAX_TOKEN:
        return ""
    try:
        return _type_in(token.partition(".")[0])
    except _PARSE_ERRORS:
        return ""


def read_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token whose signature nobody has checked: only to choose what verifies it.

    Raises:
        JwtInvalidError: where it is no token.
    """
    found = _parse(token)
    return copied(dict(found.header)), _claims(found.payload)


def read_object(raw: bytes | str) -> dict[str, Any]:
    """A JSON object (RFC 8259), strictly: UTF-8, no name twice, no NaN or infinity.

    Raises:
        ValueError: for anything else.
        RecursionError: where it is nested too deep.
    """
    value = read_json(raw)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def read_json(raw: bytes | str) -> Any:
    """Any JSON value (RFC 8259), as strictly.

    Raises:
        ValueError: for anything else.
        RecursionError: where it is nested too deep.
    """
    return _JSON.decode(raw.decode() if isinstance(raw, bytes) else raw)


@lru_cache(maxsize=256)
def _own_policy(algorithm: str, audience: tuple[str, ...], needs_exp: bool) -> VerificationPolicy:
    return VerificationPolicy(
        algorithms=(algorithm,), issuers=None, audiences=audience, types=None,
        required=("exp",) if needs_exp else (), unchecked=("iat", "iss", "jti", "sub"),
    )  # fmt: skip


def _verified(token: str, keys: VerificationKeys, policy: VerificationPolicy) -> dict[str, Any]:
    """The claims of a token, after its signature was verified."""
    found = _parse(token)
    policy.check_header(found.header)
    kid, algorithm = found.header.get("kid"), found.header["alg"]
    if kid is not None and not isinstance(kid, str):
        raise JwtInvalidError("kid")
    candidates = keys.candidates(kid, algorithm)
    for candidate in candidates:
        if _is_signed(found, candidate.key, algorithm):
            return _claims(found.payload)
    # Without a name, a key that fits none of ours may be a new one as well.
    raise JwtInvalidError("signature") if kid is not None and candidates else UnknownKeyError("kid")


class _Parsed(NamedTuple):
    header: Mapping[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def _is_signed(found: _Parsed, key: Any, algorithm: str) -> bool:
    try:
        return bool(registry_for(algorithm).get_alg(algorithm).verify(found.signed, found.signature, key))
    except _PARSE_ERRORS:
        return False


def _parse(token: str) -> _Parsed:
    if len(token) > MAX_TOKEN or token.count(".") != 2:
        raise JwtInvalidError("no token")
    try:
        signed, _, signature = token.encode("ascii").rpartition(b".")
        header, _, payload = signed.partition(b".")
        return _Parsed(_header(header), _decoded(payload), signed, _decoded(signature))
    except _PARSE_ERRORS as e:
        raise JwtInvalidError(type(e).__name__) from None


def _decoded(segment: bytes) -> bytes:
    """The bytes of a part of a token (RFC 7515 §2). Each has one text alone, so that no token has a second one."""
    missing = -len(segment) % 4
    if b"=" in segment or (missing and segment[-1] not in _LAST[missing]):
        raise ValueError("not base64url")
    return from_base64url(segment)


@lru_cache(maxsize=128)
def _header(segment: bytes) -> Mapping[str, Any]:
    """The header of a token. Tokens of one key have one header, so it is parsed once for all of them."""
    if len(segment) > MAX_HEADER:
        raise ValueError("too large")
    header = read_object(_decoded(segment))
    # Bounded like claims: whoever copies it is not to run out of stack.
    size_of(header)
    return MappingProxyType(header)


@lru_cache(maxsize=128)
def _type_in(segment: str) -> str:
    kind = _header(segment.encode("ascii")).get("typ")
    return _media_type(kind) if isinstance(kind, str) else ""


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = read_object(payload)
        if not _is_simple(payload):
            size_of(claims)
        return claims
    except _PARSE_ERRORS as e:
        raise JwtInvalidError(type(e).__name__) from None


def _is_simple(payload: bytes) -> bool:
    """Whether JSON holds nothing that `size_of` might refuse: no escapes, of which surrogates are made, and few things nested."""
    return payload.isascii() and b"\\" not in payload and payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH


def _media_type(kind: str) -> str:
    return kind.lower().removeprefix("application/")


def _is_moment(value: object) -> bool:
    """Whether it is a NumericDate (RFC 7519 §2). A whole number of any length is valid JSON."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= MAX_MOMENT and math.isfinite(value)


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name comes twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


_JSON: Final = json.JSONDecoder(object_pairs_hook=_no_name_twice, parse_constant=_no_constant, parse_float=_finite)
