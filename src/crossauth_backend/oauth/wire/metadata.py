"""The metadata of an authorization server (OpenID Connect Discovery §3, RFC 8414 §2): where it is and what is believed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from crossauth_backend.core.fetch import is_secure_url

OPENID_PATH: Final = "/.well-known/openid-configuration"
OAUTH_PATH: Final = "/.well-known/oauth-authorization-server"


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata of an issuer may be, the likeliest first.

    OpenID Connect appends the well-known path to the issuer (Discovery §4.1), RFC 8414 §3.1 inserts it before the issuer's.
    """
    scheme, host, path, _, _ = urlsplit(issuer)
    path = path.removesuffix("/")
    return (
        urlunsplit((scheme, host, path + OPENID_PATH, "", "")),
        urlunsplit((scheme, host, OAUTH_PATH + path, "", "")),
    )


def check_metadata(document: Mapping[str, Any], issuer: str) -> None:
    """Refuse metadata that is another issuer's.

    The issuer is compared as a plain string (RFC 8414 §3.3): a slash more or less is another issuer.

    Raises:
        ValueError: naming the member that is wrong; nothing that the document says is in the text.
    """
    if document.get("issuer") != issuer:
        raise ValueError("'issuer' is not the URL that it was asked for")
    for name, value in document.items():
        if (name == "jwks_uri" or name.endswith("_endpoint")) and not _is_endpoint(value, issuer):
            raise ValueError(f"{name[:60]!r} is no https URL")


def endpoint(document: Mapping[str, Any], name: str) -> str | None:
    """The URL of an endpoint in checked metadata; `None` where it is not offered."""
    value = document.get(name)
    return value if isinstance(value, str) else None


def _is_endpoint(value: object, issuer: str) -> bool:
    """A server behind `https` has all of its endpoints there; one on this machine is for development."""
    if not isinstance(value, str) or not is_secure_url(value):
        return False
    return value.startswith("https:") or issuer.startswith("http:")
