"""Keys that sign and verify (RFC 7517): loading, which algorithm fits which key, and what is published of them.

A key fits one kind of algorithm. PEM or JWK text is never an HMAC secret, so that a public key cannot be taken for one
(RFC 8725 §3.1), and a secret that somebody publishes in a key set is ignored.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token

Key = OctKey | RSAKey | ECKey | OKPKey


class _Kind(NamedTuple):
    cls: type[Any]
    curve: str | None = None


_OCT, _RSA, _ED25519 = _Kind(OctKey), _Kind(RSAKey), _Kind(OKPKey, "Ed25519")
# Each ES algorithm has one curve (RFC 7518 §3.4). RFC 9864 names Ed25519 what RFC 8037 calls EdDSA: both are verified.
ALGORITHMS: Final[Mapping[str, _Kind]] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), _OCT),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _RSA),
    "ES256": _Kind(ECKey, "P-256"), "ES384": _Kind(ECKey, "P-384"), "ES512": _Kind(ECKey, "P-521"),
    **dict.fromkeys(("EdDSA", "Ed25519"), _ED25519),
}  # fmt: skip
ASYMMETRIC_ALGORITHMS: Final = tuple(name for name, kind in ALGORITHMS.items() if kind is not _OCT)

MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
# Verification by a larger modulus or exponent costs more than a request may.
MAX_RSA_BITS: Final = 8192
_MAX_EXPONENT: Final = 2**33
_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi")
_KINDS_BY_NAME: Final[Mapping[str, type[Any]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_NO_SECRETS: Final = ("-----BEGIN", "ssh-", "ecdsa-", "{")
_IMPORT_ERRORS: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)


class _Registry(JWSRegistry):
    """The algorithm that a caller allows."""

    def get_alg(self, name: str) -> Any:
        # joserfc's own warns of EdDSA each time; which algorithms are good is decided in `ALGORITHMS`.
        if name not in (self.allowed or ()) or name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


@lru_cache(maxsize=64)
def registry_for(algorithm: str) -> JWSRegistry:
    """What joserfc allows where only this algorithm is allowed; headers that are not understood are ignored."""
    return _Registry(algorithms=[algorithm], strict_check_header=False)


def is_symmetric(algorithm: str) -> bool:
    """Whether one secret both signs and verifies."""
    return ALGORITHMS.get(algorithm) is _OCT


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, or a secret, and what it may verify.

    Parameters:
        key: as joserfc takes it.
        algorithms: those it is accepted with.
        kid: how tokens name it; `None` for a key that was configured without a name, which is tried for every token.

    Raises:
        CrossauthError: `Configuration` where joserfc does not take it with one of them.
    """

    key: Key = field(repr=False)
    algorithms: frozenset[str]
    kid: str | None = None

    def __post_init__(self) -> None:
        try:
            # Once, and not for every token.
            for algorithm in self.algorithms:
                registry_for(algorithm).get_alg(algorithm).check_key(self.key)
        except JoseError:
            raise _wrong(f"the key does not fit {', '.join(sorted(self.algorithms))}") from None


class VerificationKeys:
    """The keys of one issuer.

    Parameters:
        keys: at most `MAX_KEYS` are kept.
    """

    __slots__ = ("identity", "keys")

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self.keys = tuple(keys)[:MAX_KEYS]
        # A digest: what is remembered of verified tokens rests on it, and holds no key.
        self.identity = hash_token(repr([(k.key.thumbprint(), k.kid, sorted(k.algorithms)) for k in self.keys]))

    def __bool__(self) -> bool:
        return bool(self.keys)

    def candidates(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed a token with this header; without a `kid`, all that the algorithm fits."""
        return tuple(k for k in self.keys if algorithm in k.algorithms and (kid is None or k.kid in (None, kid)))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, or a secret, with its one algorithm (RFC 8725 §3.1).

    Parameters:
        key: as joserfc takes it.
        algorithm: how it signs.
        kid: its name in headers and in the published key set; the RFC 7638 thumbprint by default. A secret has none: its
            thumbprint would let a weak one be guessed.
    """

    key: Key = field(repr=False)
    algorithm: str
    kid: str | None

    def public(self) -> VerificationKey:
        """What verifies it."""
        return VerificationKey(self.key, frozenset(_also_called(self.algorithm)), self.kid)

    def public_jwk(self) -> dict[str, str] | None:
        """What is published of it (RFC 7517 §4); `None` for a secret, of which nothing is."""
        if is_symmetric(self.algorithm):
            return None
        members = _PUBLIC_MEMBERS[self.key.key_type]
        public = {name: str(value) for name, value in self.key.as_dict(private=False).items() if name in members}
        return {"kty": self.key.key_type, **public, "kid": str(self.kid), "alg": self.algorithm, "use": "sig"}


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of a server that signs, through their life: published before they sign, and after they did.

    Parameters:
        current: those that sign, one per algorithm; the first is the default.
        upcoming: published already, so that everybody who verifies has them before the first token.
        retired: published still, until the last token that they signed has expired.
    """

    current: tuple[SigningKey, ...]
    upcoming: tuple[SigningKey, ...] = ()
    retired: tuple[SigningKey, ...] = ()

    def __post_init__(self) -> None:
        algorithms = [key.algorithm for key in self.current]
        if not algorithms or len(set(algorithms)) != len(algorithms):
            raise _wrong("there must be one current signing key, or one for each algorithm")

    def signer(self, algorithm: str | None = None) -> SigningKey:
        """The key that signs with an algorithm; the default one without.

        Raises:
            CrossauthError: `Configuration` where no current key has that algorithm.
        """
        for key in self.current:
            if algorithm in (None, key.algorithm):
                return key
        raise _wrong(f"no current key signs with {algorithm}")

    def rotated(self, upcoming: Sequence[SigningKey] = ()) -> SigningKeys:
        """The keys after a rotation: each upcoming key signs, and the one of its algorithm retires.

        Parameters:
            upcoming: what is published next.
        """
        replaced = {key.algorithm for key in self.upcoming}
        stored = tuple(key for key in self.current if key.algorithm not in replaced)
        retired = tuple(key for key in self.current if key.algorithm in replaced)
        return SigningKeys((*self.upcoming, *stored), tuple(upcoming), (*retired, *self.retired))

    def verification_keys(self) -> VerificationKeys:
        """What verifies tokens of any of them."""
        return VerificationKeys(key.public() for key in self._all())

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The key set to publish (RFC 7517 §5): no private member, no secret."""
        return {"keys": [jwk for key in self._all() if (jwk := key.public_jwk()) is not None]}

    def _all(self) -> tuple[SigningKey, ...]:
        return (*self.current, *self.upcoming, *self.retired)


def load_key(key: str, algorithm: str) -> Any:
    """The key as joserfc takes it.

    Parameters:
        key: a secret, or PEM.
        algorithm: one of `ALGORITHMS`.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the key is in it.
    """
    if algorithm not in ALGORITHMS:
        raise _wrong(f"algorithm {algorithm!r} is not offered; there are {', '.join(ALGORITHMS)}")
    return _load(key, algorithm)


def load_keys(source: str | Mapping[str, Any], algorithm: str | None = None) -> VerificationKeys:
    """Keys that an application configured.

    Parameters:
        source: a secret, PEM, a JWK or a JWK set (as a mapping or as JSON).
        algorithm: the only one accepted; required for a secret. Without it, all that fit the key.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the key is in it.
    """
    if algorithm is not None and algorithm not in ALGORITHMS:
        load_key("", algorithm)
    document = _as_document(source)
    if document is None:
        return VerificationKeys([_from_text(str(source), algorithm)])
    entries = document.get("keys", [document])
    keys = [_from_jwk(entry) for entry in entries] if isinstance(entries, list) else []
    if algorithm is not None:
        keys = [VerificationKey(k.key, k.algorithms & {algorithm}, k.kid) if k else None for k in keys]
    if not keys or not all(k is not None and k.algorithms for k in keys):
        raise _wrong(
            "a JWK must be a public key for signatures, RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, that fits "
            "its algorithm; a secret is given as text of its own"
        )
    return VerificationKeys(k for k in keys if k is not None)


def read_jwks(document: object) -> VerificationKeys:
    """The usable keys of a key set that came from elsewhere (RFC 7517 §5).

    What is not understood is left out: other kinds and uses, weak or oversized keys, secrets. A `kid` that is missing is the
    RFC 7638 thumbprint.

    Raises:
        ValueError: where it is no key set.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set: it must be an object with a list of keys")
    return VerificationKeys(key for entry in entries[:MAX_KEYS] if (key := _from_jwk(entry)) is not None)


def load_signing_key(source: str | Mapping[str, Any], algorithm: str, kid: str | None = None) -> SigningKey:
    """A key to sign with.

    Parameters:
        source: a secret, a private key as PEM or JWK (as a mapping or as JSON).
        algorithm: how it signs.
        kid: its name, instead of that in the JWK or the RFC 7638 thumbprint.

    Raises:
        CrossauthError: `Configuration`, saying what does not fit; nothing of the key is in it.
    """
    document = None if is_symmetric(algorithm) else _as_document(source)
    if document is None:
        key = load_key(str(source), algorithm)
    else:
        key = _import(document, private=True)
        named = document.get("kid")
        kid = kid or (named if isinstance(named, str) else None)
    if key is None or algorithm not in _fitting(key) or not key.is_private:
        raise _wrong(f"the key cannot sign with {algorithm}: it must be a private key that fits the algorithm")
    return SigningKey(key, algorithm, None if is_symmetric(algorithm) else kid or key.thumbprint())


def generate_signing_key(algorithm: str = "RS256") -> SigningKey:
    """A new private key for one of `ASYMMETRIC_ALGORITHMS`."""
    kind = ALGORITHMS[algorithm]
    key = kind.cls.generate_key(kind.curve or MIN_RSA_BITS)
    return SigningKey(key, algorithm, key.thumbprint())


@lru_cache(maxsize=64)
def single_key(key: str, algorithm: str) -> VerificationKeys:
    """The keys of an issuer that has one, which `load_key` loads."""
    return VerificationKeys([VerificationKey(load_key(key, algorithm), frozenset({algorithm}))])


@lru_cache(maxsize=64)
def _load(key: str, algorithm: str) -> Any:
    kind = ALGORITHMS[algorithm].cls
    if not key or (kind is OctKey and key.lstrip().startswith(_NO_SECRETS)):
        raise _wrong("a secret for HMAC must be text of its own, not a key file")
    try:
        return _quietly(kind, key)
    except (JoseError, ValueError, TypeError) as e:
        raise CrossauthError(ErrorCode.Configuration, "JWT: the key does not fit the algorithm", detail=repr(e)) from e


def _quietly(kind: Any, value: Any) -> Any:
    with warnings.catch_warnings():
        # A weak secret is said once, in the log, by the part that was configured with it.
        warnings.simplefilter("ignore")
        return kind.import_key(value)


def _as_document(source: str | Mapping[str, Any]) -> dict[str, Any] | None:
    if isinstance(source, Mapping):
        return dict(source)
    if not source.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(source)
    except (ValueError, RecursionError):
        raise _wrong("the key looks like a JWK and is no JSON") from None
    return document if isinstance(document, dict) else None


def _from_text(text: str, algorithm: str | None) -> VerificationKey:
    if algorithm is not None:
        key = load_key(text, algorithm)
    else:
        key = next((k for kind in (RSAKey, ECKey, OKPKey) if (k := _pem(kind, text)) is not None), None)
    algorithms = frozenset() if key is None else _fitting(key) & ({algorithm} if algorithm else _fitting(key))
    if key is None or not algorithms:
        raise _wrong("the key must be a public key as PEM or JWK; a secret needs its algorithm, such as HS256")
    return VerificationKey(key, algorithms)


def _pem(kind: Any, text: str) -> Any:
    try:
        return _quietly(kind, text) if "-----BEGIN" in text else None
    except _IMPORT_ERRORS:
        return None


def _from_jwk(entry: object) -> VerificationKey | None:
    """A JWK that verifies signatures; `None` for anything else, whatever it is."""
    if (
        not isinstance(entry, dict)
        or entry.get("use", "sig") != "sig"
        or not _verifies(entry.get("key_ops", ["verify"]))
    ):
        return None
    key, kid = _import(entry, private=False), entry.get("kid")
    if key is None or (kid is not None and not isinstance(kid, str)):
        return None
    declared = entry.get("alg")
    algorithms = _fitting(key)
    if declared is not None:
        algorithms &= frozenset(_also_called(declared) if isinstance(declared, str) else ())
    return VerificationKey(key, algorithms, kid or key.thumbprint()) if algorithms else None


def _verifies(operations: object) -> bool:
    return isinstance(operations, list) and ("verify" in operations or "sign" in operations)


def _import(entry: Mapping[str, Any], *, private: bool) -> Any:
    """The key material of a JWK alone, so that no other member decides anything; `None` for none that we take."""
    kty: Any = entry.get("kty")
    kind = _KINDS_BY_NAME.get(kty) if isinstance(kty, str) else None
    if kind is None:
        return None
    names = (*_PUBLIC_MEMBERS[kty], *(_PRIVATE_MEMBERS if private else ()))
    members = {name: entry[name] for name in names if name in entry}
    if not all(isinstance(value, str) and len(value) <= 2 * MAX_RSA_BITS // 8 for value in members.values()):
        return None
    try:
        key = _quietly(kind, {"kty": kty, **members})
        return key if _fitting(key) else None
    except _IMPORT_ERRORS:
        return None


def _fitting(key: Key) -> frozenset[str]:
    """The algorithms that a key can be used with."""
    if isinstance(key, RSAKey):
        numbers = key.public_key.public_numbers()
        if not MIN_RSA_BITS <= numbers.n.bit_length() <= MAX_RSA_BITS or numbers.e > _MAX_EXPONENT:
            return frozenset()
    curve = key.curve_name if isinstance(key, (ECKey, OKPKey)) else None
    return frozenset(name for name, kind in ALGORITHMS.items() if isinstance(key, kind.cls) and kind.curve == curve)


def _also_called(algorithm: str) -> tuple[str, ...]:
    return ("EdDSA", "Ed25519") if algorithm in ("EdDSA", "Ed25519") else (algorithm,)


def _wrong(text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"JWT: {text}")
