"""The metadata of a protected resource: where it is, and which identifiers and scopes there can be."""

from typing import Any

import pytest

from crossauth_backend.oauth.wire.resource_metadata import (
    check_resource,
    check_scopes,
    metadata_document,
    metadata_url,
    resource_path,
)

WELL_KNOWN = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://api.example", f"https://api.example{WELL_KNOWN}"),
        ("https://api.example/mcp/v1", f"https://api.example{WELL_KNOWN}/mcp/v1"),
        ("http://localhost:8000/a", f"http://localhost:8000{WELL_KNOWN}/a"),
    ],
)
def test_the_well_known_path_goes_before_the_resources_own(resource: str, url: str) -> None:
    """RFC 9728 §3.1."""
    check_resource(resource)
    assert metadata_url(resource) == url
    assert url.endswith(resource_path(resource))


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "https://api.example/",
        "https://api.example/a/",
        "https://api.example?x=1",
        "https://api.example/#x",
        "http://api.example",
        "api.example",
        "https://u:p@api.example",
        'https://api.example/"',
        "https://é.example",
        "https://api.example/\ud800",
        None,
        7,
        ["https://api.example"],
    ],
)
def test_what_can_identify_no_resource(resource: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        check_resource(resource)


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "a\\", "é", "\x00", "\ud800", None, 1, "offline_access"])
def test_scopes_that_no_resource_has(scope: Any) -> None:
    check_scopes(["read", "a:b/c"])
    with pytest.raises(ValueError):
        check_scopes(["read", scope])


def test_the_document() -> None:
    made = metadata_document("https://a.example", ["https://op.example"], ["read"], {"resource_name": "A"})
    assert made == {
        "resource": "https://a.example",
        "authorization_servers": ["https://op.example"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read"],
        "resource_name": "A",
    }
    assert "scopes_supported" not in metadata_document("https://a.example", [], [], {})
