"""Which paths are passed on; see `tests/security/test_bff.py` for what is not."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from crossauth_fastapi._oauth_client.bff.paths import MAX_URL, AllowedPath, is_allowed, is_plain, is_query, tail_of

ALLOWED = (AllowedPath("/orders", False), AllowedPath("/files", True), AllowedPath("/docs/", True))


def test_an_entry_means_its_path_and_what_is_below_it_where_it_says_so() -> None:
    for path in ("/orders", "/files", "/files/", "/files/a/b", "/docs/", "/docs/a"):
        assert is_allowed(path, ALLOWED), path
    for path in ("/orders/", "/orders/1", "/filesystem", "/docs", "/", "", "files", "/files/../orders2", "/files//a"):
        assert not is_allowed(path, ALLOWED), path
    assert is_allowed("/anything", [AllowedPath("/", True)])
    assert not is_allowed("/anything", [AllowedPath("/", False)])


@given(st.text())
def test_whatever_is_encoded_is_read_the_same_everywhere_or_refused(text: str) -> None:
    segment = quote(text.encode("utf-8", "surrogatepass"), safe="")
    if is_plain(f"/files/{segment}"):
        assert "/" not in text
        assert "\\" not in text
        assert text.strip(". ") != "" or not text.startswith(".")
    assert is_plain(f"/files/{quote(text, safe='', errors='replace')}x") or not text.isalnum()


@given(st.binary())
def test_no_query_ends_the_line(query: bytes) -> None:
    assert not is_query(query) or not set(query) & set(b"\r\n #\x00")


def test_paths_and_queries_are_so_long() -> None:
    assert is_plain("/" + "a" * (MAX_URL - 1))
    assert not is_plain("/" + "a" * MAX_URL)
    assert is_query(b"a" * MAX_URL)
    assert not is_query(b"a" * (MAX_URL + 1))


def test_the_path_is_taken_as_it_was_sent() -> None:
    assert tail_of(b"/bff/a%20b", "/bff/a b", "/bff") == "/a%20b"
    assert tail_of(b"/r%C3%A4t/bff/a/b", "/bff/a/b", "/bff") == "/a/b", "the root path is nobody's business"
    assert tail_of(b"/a/b/bff/x?y", "/bff/x", "/bff") == "/x"
    assert tail_of(None, "/bff/x", "/bff") == "/x"
    assert tail_of(b"/b%66f/x", "/bff/x", "/bff") is None
    tail = tail_of(b"/bff/x%2Fy", "/bff/x/y", "/bff")
    assert tail is None or not is_plain(tail), "an encoded slash separates nothing"
    assert tail_of(b"/bffx", "/bffx", "/bff") is None
    assert tail_of(b"/bff/\xe4", "/bff/\xe4", "/bff") is None
