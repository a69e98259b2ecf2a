"""The script of the pages: small, our own, and read again by browsers when it changes."""

import pytest

from crossauth_backend.core.secrets import hash_token
from crossauth_fastapi._pages.script import script, script_url


def test_it_is_small_and_asks_for_nothing() -> None:
    content, _ = script()
    assert 0 < len(content) < 3000
    for word in (b"fetch", b"XMLHttpRequest", b"innerHTML", b"eval", b"http", b"import"):
        assert word not in content


@pytest.mark.parametrize("prefix", ["/", "/auth/"])
def test_its_url_says_which_content(prefix: str) -> None:
    content, version = script()
    assert version == hash_token(content)[:12]
    assert script_url(prefix) == f"{prefix}crossauth.js?v={version}"
