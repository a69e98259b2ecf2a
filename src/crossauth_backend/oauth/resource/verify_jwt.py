"""Verifying JWTs of an authorization server: as access tokens by RFC 9068 §4, and as nothing else at the same time.

A token is of one kind. Its header `typ` says which; where an older server writes `JWT` into every header, a claim must say
so, and no claim may say otherwise (RFC 8725 §3.11 and §3.12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from crossauth_backend.core.jose import (
    JwtInvalidError,
    TokenType,
    VerificationKeys,
    VerificationPolicy,
    token_type,
    verify,
)

TokenKind = Literal["access", "id", "refresh"]
# What says of itself what kind it is, where the header does not: `type` of documented servers, Cognito and Hydra, Keycloak.
_SAYS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "access": {"type": ("access",), "token_use": ("access", "access_token"), "typ": ("bearer",)},
    "id": {"type": ("id",), "token_use": ("id", "id_token"), "typ": ("id",)},
    "refresh": {"type": ("refresh",), "token_use": ("refresh", "refresh_token"), "typ": ("refresh",)},
}
# Claims that only other kinds have: logout tokens (Back-Channel Logout §2.4), and ID tokens (OpenID Connect Core §3.1.3.6).
_FOREIGN: Final[Mapping[str, tuple[str, ...]]] = {
    "access": ("events", "at_hash", "c_hash", "s_hash"),
    "id": ("events",),
    "refresh": ("events", "at_hash", "c_hash", "s_hash"),
}
# A claim of ID tokens that some servers put into access tokens too, of which a claim says then that they are access tokens.
_NONCE: Final = "nonce"
_UNTYPED: Final = ("jwt", "")


@dataclass(frozen=True, slots=True)
class TokenPolicies:
    """What tokens of one issuer must be, by kind.

    Parameters:
        typed: for access tokens whose header says so.
        untyped: for each kind, where the header says only that it is a JWT.
        accept_unmarked: whether an access token may be untyped without a claim that says so.
    """

    typed: VerificationPolicy
    untyped: Mapping[str, VerificationPolicy]
    accept_unmarked: bool

    @classmethod
    def of(
        cls,
        issuer: str,
        audiences: tuple[str, ...],
        *,
        algorithms: tuple[str, ...],
        access_types: tuple[str, ...] = (TokenType.ACCESS.value,),
        leeway: timedelta = timedelta(seconds=10),
    ) -> TokenPolicies:
        """The policies of an issuer.

        Parameters:
            issuer: exactly what `iss` must be.
            audiences: what this server is called; for refresh tokens, which only the issuer reads, it is the issuer.
            algorithms: those that tokens may be signed with.
            access_types: header `typ` of access tokens; `JWT` among them accepts tokens that say nothing of their kind.
            leeway: by how much clocks may differ.
        """

        def policy(types: tuple[str, ...], named: tuple[str, ...], *required: str) -> VerificationPolicy:
            return VerificationPolicy(
                algorithms=algorithms, issuers=(issuer,), audiences=named, types=types, leeway=leeway,
                required=("exp", *required),
            )  # fmt: skip

        kinds = tuple(kind.lower().removeprefix("application/") for kind in access_types)
        untyped = {
            "access": policy(_UNTYPED, audiences),
            "id": policy(_UNTYPED, audiences, "iat", "sub"),
            "refresh": policy(_UNTYPED, (issuer,)),
        }
        typed = policy(tuple(kind for kind in kinds if kind not in _UNTYPED), audiences)
        return cls(typed, untyped, any(kind in _UNTYPED for kind in kinds))


def verify_jwt(
    token: str,
    kind: TokenKind,
    keys: VerificationKeys,
    policies: TokenPolicies,
    now: datetime,
    *,
    remember: bool = True,
) -> dict[str, Any]:
    """The claims of a token of one kind.

    Parameters:
        token: as it came.
        kind: what it must be.
        keys: of its issuer.
        policies: what it must be, further.
        now: the time.
        remember: whether to remember for a while what it says, and to look for that first.

    Raises:
        JwtExpiredError: it has expired.
        UnknownKeyError: none of the keys can have signed it.
        JwtInvalidError: anything else is wrong with it.
    """
    is_typed = kind == "access" and token_type(token) not in _UNTYPED
    claims = verify(token, keys, policies.typed if is_typed else policies.untyped[kind], now, remember=remember)
    is_marked = check_kind(
        claims, kind, needs_mark=not is_typed and kind != "id" and not (kind == "access" and policies.accept_unmarked)
    )
    if kind == "access":
        if not is_typed and not is_marked and _NONCE in claims:
            raise JwtInvalidError(_NONCE)
        check_bearer(claims)
    return claims


def check_kind(claims: Mapping[str, Any], kind: TokenKind, *, needs_mark: bool) -> bool:
    """Refuse a token that says it is of another kind.

    Parameters:
        claims: of a verified token.
        kind: what it must be.
        needs_mark: whether a claim must say so.

    Returns:
        Whether a claim says so.

    Raises:
        JwtInvalidError: naming the claim.
    """
    is_marked = False
    for name, values in _SAYS[kind].items():
        declared = claims.get(name)
        if declared is None:
            continue
        if not isinstance(declared, str) or declared.lower() not in values:
            raise JwtInvalidError(name)
        is_marked = True
    if needs_mark and not is_marked:
        raise JwtInvalidError("typ")
    for name in _FOREIGN[kind]:
        if name in claims:
            raise JwtInvalidError(name)
    return is_marked


def check_bearer(claims: Mapping[str, Any]) -> None:
    """Refuse a token that is bound to a key of its client: whoever only presents it has not shown that they hold that key.

    Raises:
        JwtInvalidError: naming the claim (RFC 7800 §3.1, RFC 9449 §7.1).
    """
    if claims.get("cnf") is not None:
        raise JwtInvalidError("cnf")
