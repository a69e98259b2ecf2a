"""What an ID token must say, beyond what every token must (OpenID Connect Core §3.1.3.7 and §12.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crossauth_backend.core.jose import JwtInvalidError, half_hash
from crossauth_backend.core.secrets import equal
from crossauth_backend.core.values import is_sound
from crossauth_backend.oauth.client.tenants import PLACEHOLDER
from crossauth_backend.oauth.resource.verify_jwt import check_kind

# OpenID Connect Core §2: `sub` has at most so many characters.
MAX_SUB: Final = 255
_MAX_DEPTH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an ID token is compared with.

    Parameters:
        client_id: for whom it must be.
        nonce: what it must hold; `None` where none was sent.
        access_token: that came with it.
        code: that it was exchanged for.
        max_age: seconds that the login may be ago; it must then say when it was.
        leeway: seconds by which clocks may differ.
        issuer_of_tenant: the issuer with `{tenantid}`, where the server has several tenants.
    """

    client_id: str
    nonce: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    max_age: int | None = None
    leeway: int = 0
    issuer_of_tenant: str | None = None


def check_id_token(claims: Mapping[str, Any], algorithm: str, expected: Expected, moment: float) -> None:
    """Refuse an ID token, whose signature, issuer, audience and times are good.

    Parameters:
        claims: of the token.
        algorithm: that signed it.
        expected: what it is compared with.
        moment: the time, in seconds since the epoch.

    Raises:
        JwtInvalidError: naming the claim.
    """
    check_kind(claims, "id", needs_mark=False)
    if not is_sound(claims, _MAX_DEPTH):
        raise JwtInvalidError("claims")
    _check_subject(claims["sub"])
    _check_party(claims, expected.client_id)
    _check_tenant(claims, expected.issuer_of_tenant)
    if expected.nonce is not None and not _is_text(claims.get("nonce"), expected.nonce):
        raise JwtInvalidError("nonce")
    for name, value in (("at_hash", expected.access_token), ("c_hash", expected.code)):
        if value is not None and name in claims and not _is_text(claims[name], half_hash(value, algorithm)):
            raise JwtInvalidError(name)
    _check_age(claims, expected, moment)


def check_refreshed(claims: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Refuse an ID token of a refresh that is about another login (OpenID Connect Core §12.2).

    Parameters:
        claims: of the new token, verified.
        before: of the token of the login.

    Raises:
        JwtInvalidError: naming the claim.
    """
    for name in ("iss", "sub"):
        if claims.get(name) != before.get(name):
            raise JwtInvalidError(name)
    if _audience(claims) != _audience(before):
        raise JwtInvalidError("aud")
    for name in ("auth_time", "nonce"):
        if name in claims and name in before and claims[name] != before[name]:
            raise JwtInvalidError(name)


def _check_subject(sub: object) -> None:
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB:
        raise JwtInvalidError("sub")


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """A token for several must say that it was made for this client."""
    party = claims.get("azp")
    if party is None and len(_audience(claims)) > 1:
        raise JwtInvalidError("azp")
    if party is not None and party != client_id:
        raise JwtInvalidError("azp")


def _check_tenant(claims: Mapping[str, Any], template: str | None) -> None:
    if template is None:
        return
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or claims["iss"] != template.replace(PLACEHOLDER, tenant):
        raise JwtInvalidError("tid")


def _check_age(claims: Mapping[str, Any], expected: Expected, moment: float) -> None:
    moments = claims.get("auth_time")
    if moments is not None and (isinstance(moments, bool) or not isinstance(moments, (int, float))):
        raise JwtInvalidError("auth_time")
    if expected.max_age is not None and (moments is None or moments + expected.max_age + expected.leeway < moment):
        raise JwtInvalidError("auth_time")


def _audience(claims: Mapping[str, Any]) -> set[str]:
    named = claims.get("aud")
    return {named} if isinstance(named, str) else {one for one in named or () if isinstance(one, str)}


def _is_text(value: object, wanted: str) -> bool:
    return isinstance(value, str) and equal(value, wanted)
