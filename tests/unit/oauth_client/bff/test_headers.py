"""Which headers are passed on; see `tests/security/test_bff.py` for what they would do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_fastapi._oauth_client.bff.headers import (
    ResponseHeaders,
    caching_of_one,
    challenge_of,
    named_in,
    request_headers,
)


def passed(*raw: tuple[bytes, bytes], dropped: tuple[bytes, ...] = ()) -> dict[bytes, bytes]:
    return dict(ResponseHeaders(raw, dropped).passed)


def test_what_describes_a_request_is_passed_on() -> None:
    fine = [
        (b"accept", b"a/b"), (b"accept-language", b"de"), (b"content-type", b"a/b"), (b"if-none-match", b'"1"'),
        (b"range", b"bytes=0-1"), (b"x-own", b"1"), (b"x-own", b"2"), (b"last-event-id", b"7"), (b"idempotency-key", b"k"),
        (b"user-agent", "Ä".encode()),
    ]  # fmt: skip
    assert request_headers(fine) == [(name.decode(), value.decode()) for name, value in fine]


def test_what_cannot_be_sent_as_it_is_is_left_out() -> None:
    odd = [
        (b"x-a", b"\xff"),
        (b"x-b", b"1\n2"),
        (b"x c", b"1"),
        (b"x_d", b"1"),
        (b"", b"1"),
        (b"x\xe4", b"1"),
        (b"x:y", b"1"),
        (b"content-length", b"50"),
    ]
    assert request_headers(odd) == []


def test_names_that_the_caller_keeps() -> None:
    raw = [(b"x-csrf", b"1"), (b"x-own", b"2"), (b"connection", b"close, X-Hop"), (b"x-hop", b"3")]
    assert request_headers(raw, (b"x-csrf",)) == [("x-own", "2")]


def test_what_a_connection_header_names() -> None:
    assert named_in(b" Keep-Alive , X-One,,upgrade, X-Two ") == {b"x-one", b"x-two"}
    assert named_in(b"content-length, content-type") == frozenset(), "these say where the message ends, and what it is"


def test_what_describes_a_response_is_passed_back_in_order() -> None:
    raw = [
        (b"Content-Type", b"a/b"),
        (b"ETag", b'"1"'),
        (b"Link", b"<a>; rel=next"),
        (b"Link", b"<b>"),
        (b"Content-Length", b"3"),
    ]
    found = ResponseHeaders(raw).passed
    assert found[:5] == [(name.lower(), value) for name, value in raw]
    assert (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    ) in found


def test_the_length_is_that_of_the_message() -> None:
    for order in (1, -1):
        raw = [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")][::order]
        assert not {b"content-length", b"transfer-encoding"} & passed(*raw).keys()


def test_a_viewer_of_documents_works_in_frames_of_this_site() -> None:
    assert passed((b"content-type", b"application/pdf; x=y"))[b"content-security-policy"] == b"frame-ancestors 'self'"
    assert passed((b"content-type", b"application/pdfx"))[b"content-security-policy"].endswith(b"sandbox")


@pytest.mark.parametrize(
    "kinds",
    [
        (b"application/pdf", b"text/html"), (b"application/pdf;a=b, text/html",), (b"application/pdf;,text/html",),
        (b"text/html", b"application/pdf"),
    ],
)  # fmt: skip
def test_of_several_types_a_browser_may_take_another_one(kinds: tuple[bytes, ...]) -> None:
    found = passed(*((b"content-type", kind) for kind in kinds))
    assert found[b"content-security-policy"].endswith(b"sandbox")


def test_where_a_redirect_leads_is_for_another_to_judge() -> None:
    headers = ResponseHeaders([(b"Location", b"/x")])
    assert (headers.location, b"location" in dict(headers.passed)) == (b"/x", False)


def test_only_challenges_about_the_token_are_passed_back() -> None:
    raw = [(b"WWW-Authenticate", b'Basic realm="x"'), (b"www-authenticate", b'Bearer error="invalid_token"')]
    assert passed(*raw)[b"www-authenticate"] == b'Bearer error="invalid_token"'
    assert b"www-authenticate" not in passed(raw[0])
    assert b"invalid_token" in challenge_of(raw)
    both = b'Bearer realm="a, basically", error="invalid_token"'
    assert passed((b"www-authenticate", both))[b"www-authenticate"] == both
    for further in (b'BASIC realm="x"', b"Negotiate", b"NTLM TlR=", b'digest realm="x"'):
        assert b"www-authenticate" not in passed((b"www-authenticate", both + b" ,\t" + further)), further


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"", b"no-store"), (b"public", b"private"), (b"max-age=60", b"private, max-age=60"), (b"no-cache", b"private, no-cache"),
        (b"PUBLIC, Max-Age=1, S-MaxAge=9", b"private, max-age=1"), (b"public, no-store", b"no-store"), (b" , ", b"no-store"),
        (b'private="set-cookie", max-age=9', b"no-store"), (b"private", b"private"), (b"max-age=1\x00", b"no-store"),
    ],
)  # fmt: skip
def test_an_answer_is_kept_by_one_browser_at_most(said: bytes, kept: bytes) -> None:
    assert caching_of_one(said) == kept
    assert passed((b"Cache-Control", said))[b"cache-control"] == kept


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=10))
def test_whatever_comes_can_be_sent(raw: list[tuple[bytes, bytes]]) -> None:
    for name, value in ResponseHeaders(raw).passed:
        assert name == name.lower()
        assert not set(name + value) & set(b"\r\n\x00")
    for text, value_text in request_headers(raw):
        assert not set(text + value_text) & set("\r\n\x00")
