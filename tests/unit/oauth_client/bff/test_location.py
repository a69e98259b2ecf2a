"""Where a redirect of the API leads."""

from hypothesis import given
from hypothesis import strategies as st

from crossauth_fastapi._oauth_client.bff.location import rewritten
from crossauth_fastapi._oauth_client.bff.paths import AllowedPath

BASE = "https://api.test/v1"


def led(location: str | bytes, base: str = BASE) -> str | None:
    raw = location.encode() if isinstance(location, str) else location
    found = rewritten(raw, f"{base}/files/old?x=1", base, "/app/bff", [AllowedPath("/files", True)])
    return None if found is None else found.decode()


def test_below_what_is_served_it_is_a_path_of_this_site() -> None:
    assert led("/v1/files/new") == "/app/bff/files/new"
    assert led("new?page=2#top") == "/app/bff/files/new?page=2#top"
    assert led("https://api.test:443/v1/files") == "/app/bff/files"
    assert led("HTTPS://API.test/v1/files") == "/app/bff/files"
    assert led("/files/new", "http://localhost:8000") == "/app/bff/files/new"


def test_anywhere_else_it_is_nowhere() -> None:
    for location in (
        "/v1/other", "/files", "/v1", "/v1x/files", "http://api.test/v1/files", "https://api.test:444/v1/files",
        "https://evil.test/v1/files", "//evil.test/v1/files", "https://api.test@evil.test/v1/files", "https://u:p@api.test/v1/files",
        "../other", "../../v2/files", "/v1/files/%2e%2e/x", "/v1/files//x", "javascript:x", "https://[::1/", "https://api.test:x/",
        "/v1/files/ä", "/v1/files/a b", "/v1/files/\\x", "\\\\evil.test", "/v1/files\r\nX: y", "x" * 20_000,
    ):  # fmt: skip
        assert led(location) is None, location


@given(st.binary(max_size=50))
def test_whatever_it_is_it_is_a_path_below_ours_or_nowhere(location: bytes) -> None:
    found = led(location)
    assert found is None or found.startswith("/app/bff/files")
