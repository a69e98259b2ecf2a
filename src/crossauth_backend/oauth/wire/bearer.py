"""The `Authorization` header of a request to a protected resource, and the challenge that answers it (RFC 6750)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.oauth.wire.errors import InsufficientScope, InvalidToken, OAuthError
from crossauth_backend.oauth.wire.text import is_b64token, is_quotable_url, join_scopes

MAX_BEARER_TOKEN: Final = 16 * 1024
# The name of a scheme (RFC 9110 §11.1, §5.6.2).
_SCHEME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
# What a quoted-string may not hold (RFC 9110 §5.6.4), and what is no ASCII.
_NOT_IN_REALM: Final = re.compile(r"[^\t\x20-\x7e]")
_ATTRIBUTE: Final = re.compile(r'([A-Za-z0-9_-]+)="(?:[^"\\]|\\.)*"')


def read_bearer(header: str | None) -> str | None:
    """The bearer token in an `Authorization` header (RFC 6750 §2.1); the scheme in any case (RFC 9110 §11.1).

    Returns:
        The token; `None` where there is no header, or one of another scheme.

    Raises:
        InvalidToken: where what follows the scheme cannot be a token.
    """
    if header is None:
        return None
    scheme, _, rest = header.strip(" \t").partition(" ")
    if scheme.lower() != "bearer":
        name = _SCHEME.match(scheme)
        if name is None or name[0].lower() != "bearer":
            return None
        # One that is not parted from its token by blanks is a bad token, and no other scheme.
        rest = ""
    token = rest.lstrip(" ")
    if len(token) > MAX_BEARER_TOKEN or not is_b64token(token):
        raise InvalidToken("The access token is malformed")
    return token


def bearer_challenge(
    error: OAuthError | None = None,
    *,
    scopes: Sequence[str] = (),
    realm: str | None = None,
    resource_metadata: str | None = None,
) -> str:
    """A `WWW-Authenticate` header (RFC 6750 §3); no attribute comes twice.

    Parameters:
        error: what was wrong; `None` where no credential was sent, and then nothing is said of an error (§3.1).
        scopes: all that the operation needs; those of an `InsufficientScope` by default.
        realm: the protected space.
        resource_metadata: URL of the metadata of this resource (RFC 9728 §5.1).

    Raises:
        CrossauthError: `Configuration` for a value that cannot stand in a header.
    """
    attributes: list[tuple[str, str]] = []
    if realm is not None:
        attributes.append(("realm", _realm(realm)))
    attributes += _reasons(error, scopes)
    if resource_metadata is not None:
        attributes.append(("resource_metadata", _url(resource_metadata)))
    return _joined("Bearer", attributes)


def extended_challenge(
    challenge: str,
    error: OAuthError | None = None,
    *,
    scopes: Sequence[str] = (),
    max_age: int | None = None,
) -> str:
    """A challenge that says more; what it says already stays as it is, for no attribute may come twice (RFC 6750 §3).

    Parameters:
        challenge: a `WWW-Authenticate` header of any scheme, with one challenge.
        error: what was wrong.
        scopes: all that the operation needs; those of an `InsufficientScope` by default.
        max_age: seconds for which a login counts (RFC 9470 §3).

    Raises:
        CrossauthError: `Configuration` for a value that cannot stand in a header.
    """
    declared = {name.lower() for name in _ATTRIBUTE.findall(challenge)}
    more = _reasons(error, scopes)
    if max_age is not None:
        more.append(("max_age", str(int(max_age))))
    return _joined(challenge, [(name, value) for name, value in more if name not in declared])


def _reasons(error: OAuthError | None, scopes: Sequence[str]) -> list[tuple[str, str]]:
    if not scopes and isinstance(error, InsufficientScope):
        scopes = error.scopes
    attributes = [] if error is None else [("error", error.name)]
    if error is not None and error.description:
        attributes.append(("error_description", error.description))
    return [*attributes, ("scope", _scope(scopes))] if scopes else attributes


def _joined(challenge: str, attributes: Sequence[tuple[str, str]]) -> str:
    """`challenge` and attributes; the first is set off from a scheme by a blank, from another attribute by a comma."""
    if not attributes:
        return challenge
    text = ", ".join(f'{name}="{value}"' for name, value in attributes)
    return f"{challenge}{', ' if '=' in challenge else ' '}{text}"


def _realm(realm: str) -> str:
    if _NOT_IN_REALM.search(realm):
        raise _wrong("the realm", "must be printable ASCII")
    return realm.replace("\\", "\\\\").replace('"', '\\"')


def _scope(scopes: Sequence[str]) -> str:
    try:
        return join_scopes(scopes)
    except ValueError:
        raise _wrong("a scope", 'must be printable ASCII without blanks, " and \\ (RFC 6749 §3.3)') from None


def _url(url: str) -> str:
    if not is_quotable_url(url):
        raise _wrong("the URL of the resource metadata", "must be percent-encoded ASCII")
    return url


def _wrong(what: str, text: str) -> CrossauthError:
    return CrossauthError(ErrorCode.Configuration, f"WWW-Authenticate: {what} {text}")
