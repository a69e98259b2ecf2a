"""Who has logged in at a provider that issues no ID tokens: its answer about a user, as the claims of an ID token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from crossauth_backend.core.fetch import Fetcher, FetchRequest, FetchResponse, fetch_with, unavailable
from crossauth_backend.core.text import is_storable
from crossauth_backend.oauth.client.providers import Profile

_MAX_SUBJECT: Final = 255
_MAX_TEXT: Final = 2048
_MAX_EMAILS: Final = 200
_MAX_BYTES: Final = 256 * 1024


async def read_profile(
    profile: Profile, issuer: str, access_token: str, fetcher: Fetcher, within: timedelta = timedelta(seconds=5)
) -> dict[str, Any]:
    """The claims of whoever an access token was issued for; see `claims_of`.

    Parameters:
        profile: where the provider says it.
        issuer: what the claim `iss` is.
        access_token: fresh from the provider's token endpoint, so that it is this client's own.
        fetcher: sends the requests.
        within: time for each request.

    Raises:
        CrossauthError: `Connection` where the provider does not say it, or says what makes no sense.
    """
    request, user = await _ask(profile.url, access_token, fetcher, within)
    emails: object = None
    if profile.emails_url:
        _, emails = await _ask(f"{profile.emails_url}?per_page=100", access_token, fetcher, within)
    try:
        return claims_of(profile, issuer, user, emails)
    except ValueError as e:
        raise unavailable(request, str(e)) from None


def claims_of(profile: Profile, issuer: str, user: object, emails: object = None) -> dict[str, Any]:
    """What a provider says of a user, as claims (OpenID Connect Core §5.1).

    `email_verified` is there only where it is true. Where a list of addresses decides, `email` is the primary one if that is
    proven, and missing otherwise: the address in a profile is what somebody wrote there.

    Parameters:
        profile: what the members are called.
        issuer: what the claim `iss` is.
        user: the answer about the user.
        emails: the list of addresses, where the provider has one.

    Raises:
        ValueError: it does not say who the user is.
    """
    if not isinstance(user, Mapping):
        raise ValueError("the answer is no object")
    claims: dict[str, Any] = {"iss": issuer, "sub": _subject(user.get(profile.id))}
    for claim, name in (("name", profile.name), ("preferred_username", profile.username), ("picture", profile.picture)):
        if (text := _text(user.get(name) if name else None)) is not None:
            claims[claim] = text
    if profile.emails_url:
        email, verified = _primary(emails), True
    else:
        email, verified = _text(user.get(profile.email)), bool(profile.verified) and user.get(profile.verified) is True
    if email is not None:
        claims["email"] = email
        if verified:
            claims["email_verified"] = True
    return claims


async def _ask(url: str, access_token: str, fetcher: Fetcher, within: timedelta) -> tuple[FetchRequest, object]:
    headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
    request = FetchRequest(url=url, headers=headers, timeout=within, max_bytes=_MAX_BYTES)
    return request, _read(request, await fetch_with(fetcher, request))


def _read(request: FetchRequest, response: FetchResponse) -> object:
    if response.status != 200:
        raise unavailable(request, f"status {response.status}")
    if not response.is_json:
        raise unavailable(request, "the content type is not JSON")
    try:
        found: object = json.loads(response.body)
    except (ValueError, RecursionError) as e:
        raise unavailable(request, f"no JSON ({type(e).__name__})") from None
    return found


def _subject(value: object) -> str:
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    text = str(value) if number or isinstance(value, str) else ""
    if not 0 < len(text) <= _MAX_SUBJECT or not is_storable(text):
        raise ValueError("the answer does not say who the user is")
    return text


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and is_storable(value) else None


def _primary(emails: object) -> str | None:
    """The primary address in a list, if it is proven."""
    for entry in emails[:_MAX_EMAILS] if isinstance(emails, list) else ():
        if isinstance(entry, Mapping) and entry.get("primary") is True and entry.get("verified") is True:
            return _text(entry.get("email"))
    return None
