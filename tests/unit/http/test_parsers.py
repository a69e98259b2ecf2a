"""What is read of a request before anything is known of it: JSON, addresses and origins."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._http.address import FORWARDED, peer_address, read_address
from crossauth_fastapi._http.jsonbody import MAX_DEPTH, MAX_FIELDS, BadFields, lenient_fields, parse_fields
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._http.multipart import can_be_parsed, read_boundary
from crossauth_fastapi._http.origins import is_own_page, read_origins
from crossauth_fastapi._http.proxies import believe_proxies, read_proxies
from crossauth_fastapi._http.redirects import local_path, with_more_query, with_query


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"1",
        b"null",
        b'"a"',
        b"{",
        b'{"a":}',
        b'{"a":1,"a":2}',
        b'{"b":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9223372036854775808}',
        b'{"a":' + b"9" * 100_000 + b"}",
        nested(MAX_DEPTH + 1),
        nested(100_000),
        b"[" * 100_000,
        b'{"a":[' + b"1," * 2000 + b"1]}",
        b"\xff",
        b'{"a":"\xed\xa0\x80"}',
        json.dumps({f"f{n}": n for n in range(MAX_FIELDS + 1)}).encode(),
        b'"' * 100_000,
        b'"\\' * 50_000,
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(BadFields):
        parse_fields(body)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, {"b": "\\ud800"}]} ', {"a": [1, 2.5, None, True, {"b": "\ud800"}]}),
        (b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{{{{{,,,"}', {"a": "[" * 30 + "{{{{{,,,"}),
        (b'{"a":"\\"["}', {"a": '"['}),
        (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
    ],
)
def test_a_body_is_read_as_it_is(body: bytes, fields: dict[str, Any]) -> None:
    assert parse_fields(body) == fields
    parse_fields(nested(MAX_DEPTH))


def test_somebody_elses_body_is_not_judged() -> None:
    assert lenient_fields(b'{"a":1,"a":2,"big":' + b"9" * 5000 + b"}")["a"] == "2"
    for body in (b"[]", b"x", nested(1000), b"\xff"):
        assert lenient_fields(body) == {}


@given(st.binary() | st.text().map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    with contextlib.suppress(BadFields):
        assert isinstance(parse_fields(body), dict)
    assert isinstance(lenient_fields(body), dict)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", None),
        ("unknown", None),
        ("fe80::1%eth0", None),
        ("203.0.113.7:", None),
        ("203.0.113.7:999999", None),
        ("1.2.3", None),
        ("0x7f.1", None),
        ("203.0.113.07", None),
        (" 203.0.113.7", None),
        ("２０３.0.113.7", None),
        ("x" * 100_000, None),
        ("\ud800", None),
    ],
)
def test_only_an_address_is_one(text: str, address: str | None) -> None:
    found = read_address(text)
    assert (None if found is None else str(found)) == address


def scope(peer: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    return {
        "client": None if peer is None else (peer, 4711),
        "scheme": "http",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


TRUSTED = read_proxies(["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "evil, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "evil", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "1.2.3.4", ""),
    ],
)
def test_a_forwarded_header_counts_from_a_named_proxy(peer: str | None, said: str, address: str) -> None:
    assert peer_address(scope(peer, ("x-forwarded-for", said)), TRUSTED) == address


def test_what_a_server_put_in_the_place_of_a_peer_is_nobodys_in_particular() -> None:
    rewritten = scope("198.51.100.1", ("x-forwarded-for", "198.51.100.1"))
    assert peer_address(rewritten, None) == FORWARDED
    assert peer_address(scope("198.51.100.1"), None) == "198.51.100.1"


def test_scheme_and_host_are_a_named_proxys_to_say() -> None:
    response = (("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example"), ("host", "inner"))
    believed, stranger = scope("10.0.0.1", *response), scope("203.0.113.9", *response)
    for one in (believed, stranger):
        believe_proxies(one, TRUSTED)
    assert (believed["scheme"], dict(believed["headers"])[b"host"]) == ("https", b"shop.example")
    assert (stranger["scheme"], dict(stranger["headers"])[b"host"]) == ("http", b"inner")
    odd = scope("10.0.0.1", ("x-forwarded-proto", "javascript"), ("x-forwarded-host", "a b"), ("host", "inner"))
    believe_proxies(odd, TRUSTED)
    assert (odd["scheme"], dict(odd["headers"])[b"host"]) == ("http", b"inner")


@pytest.mark.parametrize("given", ["x", "10.0.0.0/99", "", "10.0.0.0/8/8", "\ud800"])
def test_what_is_no_network_stops_the_start(given: str) -> None:
    with pytest.raises(CrossauthError, match="trusted_proxies") as refused:
        read_proxies([given])
    assert refused.value.code is ErrorCode.Configuration


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("127.0.0.1:1", True),
        ("[::1]:80", True),
        ("::1", True),
        ("a.localhost", True),
        ("localhost.evil.example", False),
        ("evil-localhost", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("localhost:8000\n", False),
        ("localhost" + ":1" * 200, False),
    ],
)
def test_the_names_of_this_machine(host: str, local: bool) -> None:
    assert is_local_host(host) is local


def own(scheme: str = "https", site: str | None = None, **headers: str) -> bool:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return is_own_page(scheme, raw, site_url=site, secure_cookie=True, trusted=("https://app.example",))


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({}, True),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://shop.example", "host": "shop.example"}, True),
        ({"origin": "https://shop.example:443", "host": "shop.example"}, True),
        ({"origin": "https://shop.example:8443", "host": "shop.example"}, False),
        ({"origin": "http://shop.example", "host": "shop.example"}, False),
        ({"origin": "https://evil.example", "host": "shop.example"}, False),
        ({"origin": "https://app.example", "sec_fetch_site": "cross-site"}, True),
        ({"origin": "ftp://shop.example", "host": "shop.example"}, False),
        ({"origin": "https://[::1", "host": "[::1"}, False),
        ({"origin": "https://", "host": ""}, False),
        ({"origin": "https://" + "x" * 400, "host": "x" * 400}, False),
    ],
)
def test_which_page_a_request_comes_from(headers: dict[str, str], is_own: bool) -> None:
    assert own(**headers) is is_own


def test_the_configured_site_is_the_one_and_only() -> None:
    assert own(site="https://shop.example/app", origin="https://shop.example", host="inner:8000")
    assert not own(site="https://shop.example", origin="https://inner", host="inner")


@pytest.mark.parametrize(
    "given",
    [
        "https://a.example",
        None,
        7,
        ["a.example"],
        ["https://a.example/"],
        ["https://a.example:443"],
        ["https://A.example"],
        ["https://*.example"],
        ["*"],
        ["null"],
        ["https://u@a.example"],
        ["http://a.example"],
        ["https://é.example"],
        [None],
        ["https://[::1"],
        [b"https://a.example"],
    ],
)
def test_origins_that_no_browser_sends_stop_the_start(given: Any) -> None:
    with pytest.raises(CrossauthError, match="trusted_origins") as refused:
        read_origins("trusted_origins", given, secure=True)
    assert refused.value.code is ErrorCode.Configuration


def test_origins_that_browsers_send() -> None:
    good = ["https://a.example", "https://a.example:8443", "http://localhost:3000", "https://[2001:db8::1]"]
    assert read_origins("trusted_origins", good, secure=True) == frozenset(good)
    assert read_origins("trusted_origins", ["http://a.example"], secure=False)


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "//evil",
        "/\\evil",
        "\\evil",
        "https://evil",
        "evil",
        "/\t/evil",
        "/a\nb",
        "/\u2028x",
        "/" + "a" * 8000,
        "/" + "ä" * 1400,
    ],
)
def test_what_is_no_path_of_this_site(target: str | None) -> None:
    assert local_path(target, "/home") == "/home"


def test_paths_and_queries() -> None:
    assert local_path("/a?b=c#d", "/home") == "/a?b=c#d"
    assert with_query("/a", next="/b?c=d&e", empty="") == "/a?next=%2Fb%3Fc%3Dd%26e"
    assert with_more_query("https://a/?x=1", {"y": "a b", "z": ""}) == "https://a/?x=1&y=a+b&z="


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=x", b"x"),
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("multipart/form-data", b""),
        ("application/json", None),
        ("", None),
        ("multipart/mixed; boundary=x", None),
    ],
)
def test_the_boundary_of_a_form(header: str, boundary: bytes | None) -> None:
    assert read_boundary(header) == boundary


def test_a_form_that_is_broken_is_seen_before_it_is_parsed() -> None:
    good = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    assert can_be_parsed(good, b"x")
    for bad in (b"garbage", b"--y\r\n", b"--x\r\nno header\r\n\r\n"):
        assert not can_be_parsed(bad, b"x")
    assert not can_be_parsed(good, b"x" * 10_000)
