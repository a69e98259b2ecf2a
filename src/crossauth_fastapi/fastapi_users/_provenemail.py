"""Whether a provider says that an email address is proven. Pure; whatever is not said plainly is not proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crossauth_backend.core.text import same_mailbox

# Where "verified" is about the address and not a badge (Discord's "Get Current User").
_VERIFIED_IS_EMAIL: Final = ("discord",)


def in_profile(profile: object, email: str, provider: str) -> bool:
    """Of a profile: OpenID Connect Core §5.1 (`email_verified`), Google's older `verified_email`, or its list of addresses.

    The first of these that is there decides.
    """
    if not isinstance(profile, Mapping):
        return False
    if isinstance(profile.get("emailAddresses"), list):
        return any(_google(entry, email) for entry in profile["emailAddresses"])
    names = ("email_verified", "verified_email", *(("verified",) if provider in _VERIFIED_IS_EMAIL else ()))
    declared = next((profile[name] for name in names if name in profile), None)
    return declared is True and _same(profile.get("email"), email)


def in_list(emails: object, email: str) -> bool:
    """Of a list of addresses, as GitHub has it."""
    return isinstance(emails, list) and any(
        isinstance(entry, Mapping) and _same(entry.get("email"), email) and entry.get("verified") is True
        for entry in emails
    )


def _google(entry: Any, email: str) -> bool:
    """Of one address of Google's People API."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("metadata"), Mapping):
        return False
    return _same(entry.get("value"), email) and entry["metadata"].get("verified") is True


def _same(said: object, email: str) -> bool:
    return isinstance(said, str) and same_mailbox(said, email)
