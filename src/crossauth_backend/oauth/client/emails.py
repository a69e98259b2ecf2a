"""Whether a provider has proven the email address that it names. Pure; what is not said plainly is not proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

# Whoever administers a tenant writes any address into the accounts there, `email_verified` included:
# https://learn.microsoft.com/entra/identity-platform/migrate-off-email-claim-authorization
_UNPROVEN: Final = (
    "microsoftonline.com", "microsoftonline.us", "partner.microsoftonline.cn", "sts.windows.net", "ciamlogin.com",
    "b2clogin.com",
)  # fmt: skip
# It says so in text: https://developer.apple.com/documentation/signinwithapplerestapi
_IN_TEXT: Final = ("https://appleid.apple.com", "https://account.apple.com")


def proven_email(claims: Mapping[str, Any] | None) -> str | None:
    """The address in checked claims of an ID token, if the provider has proven that it is the user's.

    OpenID Connect Core §5.1 has `email_verified` for that. Microsoft's proves nothing.

    Parameters:
        claims: with `iss`, which decides how they are read.
    """
    if claims is None:
        return None
    issuer, email, declared = claims.get("iss"), claims.get("email"), claims.get("email_verified")
    if not isinstance(issuer, str) or not isinstance(email, str) or not email or _is_unproven(issuer):
        return None
    return email if declared is True or (declared == "true" and issuer in _IN_TEXT) else None


def _is_unproven(issuer: str) -> bool:
    try:
        host = urlsplit(issuer).hostname or ""
    except ValueError:
        return True
    return any(host == name or host.endswith(f".{name}") for name in _UNPROVEN)
