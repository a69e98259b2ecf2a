"""The metadata of a protected resource (RFC 9728): where it is and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.oauth.wire.text import is_quotable_url, is_scope_token

RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"
# Asks for tokens that outlive the login, which is between a client and its authorization server, and no scope of a resource.
_NO_RESOURCE_SCOPE: Final = "offline_access"


def check_resource(resource: str) -> None:
    """Refuse what cannot identify a resource (RFC 9728 §1.2).

    There is one spelling of each: without a slash at the end, because identifiers are compared as plain strings.

    Raises:
        ValueError: saying what would be right.
    """
    if not isinstance(resource, str) or not is_secure_url(resource) or not is_quotable_url(resource):
        raise ValueError("must be an https URL without fragment, or http on localhost")
    if "?" in resource:
        raise ValueError("must have no query")
    if resource.endswith("/"):
        raise ValueError("must not end with a slash, because clients compare it as it is")


def resource_path(resource: str) -> str:
    """The path of a resource; empty for one that is a whole host."""
    return urlsplit(resource).path


def metadata_url(resource: str) -> str:
    """Where the metadata of a resource is: the well-known path is inserted before the resource's own (RFC 9728 §3.1)."""
    scheme, host, path, _, _ = urlsplit(resource)
    return urlunsplit((scheme, host, RESOURCE_PATH + path, "", ""))


def metadata_document(
    resource: str, authorization_servers: Sequence[str], scopes: Sequence[str], more: Mapping[str, str]
) -> dict[str, Any]:
    """The metadata (RFC 9728 §2).

    Parameters:
        resource: its identifier.
        authorization_servers: the issuers whose tokens it accepts.
        scopes: those that its operations need.
        more: further members.
    """
    document: dict[str, Any] = {
        "resource": resource, "authorization_servers": list(authorization_servers), "bearer_methods_supported": ["header"],
    }  # fmt: skip
    if scopes:
        document["scopes_supported"] = list(scopes)
    return {**document, **more}


def check_scopes(scopes: Sequence[str]) -> None:
    """Refuse scopes that no resource has.

    Raises:
        ValueError: saying what would be right.
    """
    for scope in scopes:
        if not isinstance(scope, str) or not is_scope_token(scope):
            raise ValueError('scopes must be printable ASCII without blanks, " and \\ (RFC 6749 §3.3)')
        if scope == _NO_RESOURCE_SCOPE:
            raise ValueError(f"{_NO_RESOURCE_SCOPE!r} is a scope of clients, and of no resource; leave it out")
