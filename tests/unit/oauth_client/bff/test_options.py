"""The options of the backend-for-frontend: what is wrong with them is said at the start."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError
from crossauth_fastapi._oauth_client.bff.options import Passage, read_passage
from crossauth_fastapi._oauth_client.options import BffEndpoint, ClientServerSettings

GOOD: dict[str, Any] = {
    "site_url": "https://site.test", "token_response_type": "save_in_session_and_load",
    "bff_base_url": "https://api.test/v1/", "bff_endpoints": [BffEndpoint("/orders", ["GET"], True)],
}  # fmt: skip


def read(*, is_confidential: bool = True, prefix: str = "/", **options: Any) -> Passage:
    return read_passage(
        ClientServerSettings(**{**GOOD, **options}), prefix, "https://site.test", is_confidential=is_confidential
    )


def test_what_is_right() -> None:
    passage = read(prefix="/oauth/", bff_endpoint_name="/api/", bff_timeout=7, bff_max_body_size=9)
    assert (passage.base, passage.prefix) == ("https://api.test/v1", "/oauth/api")
    assert (passage.timeout, passage.max_body) == (7, 9)
    assert [(entry.path.url, entry.path.below, set(entry.methods)) for entry in passage.entries] == [
        ("/orders", True, {"GET"})
    ]


@pytest.mark.parametrize(
    "entry", [("/orders", ["get"], True), {"url": "/orders", "methods": ("GET",), "match_sub_urls": True}]
)
def test_entries_may_be_written_otherwise(entry: Any) -> None:
    assert read(bff_endpoints=[entry]).entries == read().entries


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://127.0.0.1", "https://api.test", "https://api.test:8443/a/b"]
)
def test_where_the_api_may_be(url: str) -> None:
    assert read(bff_base_url=url).base == url


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"is_confidential": False}, "client_secret"),
        *(({"bff_base_url": url}, "bff_base_url") for url in (
            None, "http://api.test", "api.test", "https://api.test/?x=1", "https://user@api.test", "https://api.test/a/../b",
            "https://api.test/#x", "https://api.test//a", "ftp://api.test", "https://api.test/%2e%2e", "https://[::1", "",
        )),
        *(({"bff_endpoint_name": name}, "bff_endpoint_name") for name in (
            "", "/", "a b", "a//b", "..", "a/../b", "{x}", "ä",
            "a%20b",
        )),
        *(({"bff_endpoints": [BffEndpoint(url, ["GET"], False)]}, "bff_endpoints") for url in (
            "orders", "", "/a b", "/{id}", "/a/../b", "/a//b", "/a?x", "/a#x", "/a%20b", "/ä", 7, None,
        )),
        *(({"bff_endpoints": [BffEndpoint("/a", methods, False)]}, "bff_endpoints") for methods in (  # type: ignore[arg-type]
            [], "GET", ["HEAD"], ["CONNECT"], ["TRACE"], [7], None, ["GET", "LINK"],
        )),
        ({"bff_endpoints": [BffEndpoint("/a", ["GET"], "yes")]}, "bff_endpoints"),  # type: ignore[arg-type]
        ({"bff_endpoints": ["/a"]}, "bff_endpoints"), ({"bff_endpoints": [7]}, "bff_endpoints"),
        ({"bff_endpoints": [{"url": "/a"}]}, "bff_endpoints"),
        ({"bff_endpoints": [BffEndpoint("/a", ["GET"], True), BffEndpoint("/a", ["POST", "GET"], False)]}, "twice"),
    ],
)  # fmt: skip
def test_what_is_wrong(options: dict[str, Any], named: str) -> None:
    with pytest.raises(CrossauthError, match=named) as e:
        read(**options)
    assert e.value.code_name == "Configuration"
