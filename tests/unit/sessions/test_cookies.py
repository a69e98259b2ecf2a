"""Signed cookies: their names and protection, the CSRF token, the browsers that are known, and who began what waits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode, User
from crossauth_backend.core.secrets import derive_key
from crossauth_backend.sessions.claim import Claims
from crossauth_backend.sessions.cookie import SignedCookie
from crossauth_backend.sessions.csrf import DoubleSubmitCsrfToken
from crossauth_backend.sessions.device import KnownDevices
from crossauth_backend.sessions.options import CookieSettings, to_cookie_serialize_options

SECRET = "a secret that is long enough for a test"
KEY = derive_key(SECRET, "test")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def cookie(**settings: Any) -> SignedCookie:
    return SignedCookie(CookieSettings(**settings), "SESSIONID", KEY)


@pytest.mark.parametrize(
    ("settings", "remote", "local"),
    [
        ({}, ("__Host-SESSIONID", True), ("SESSIONID", False)),
        ({"cookie_name": "SID"}, ("SID", True), ("SID", False)),
        ({"domain": "example.com"}, ("SESSIONID", True), ("SESSIONID", False)),
        ({"path": "/app"}, ("SESSIONID", True), ("SESSIONID", False)),
        ({"secure": True}, ("__Host-SESSIONID", True), ("__Host-SESSIONID", True)),
        ({"secure": False}, ("SESSIONID", False), ("SESSIONID", False)),
        ({"cookie_name": "__Host-SID", "secure": True}, ("__Host-SID", True), ("__Host-SID", True)),
    ],
)
def test_the_prefix_is_there_where_the_attributes_allow_it(
    settings: dict[str, Any], remote: tuple[str, bool], local: tuple[str, bool]
) -> None:
    """RFC 6265bis §4.1.3.2."""
    made = cookie(**settings)
    assert (made.shape(local=False).name, made.shape(local=False).secure) == remote
    assert (made.shape(local=True).name, made.shape(local=True).secure) == local


@pytest.mark.parametrize(
    "settings",
    [
        {"sameSite": "none", "secure": False},
        {"cookie_name": "__Host-x", "domain": "example.com"},
        {"cookie_name": "__Host-x", "path": "/a"},
        {"cookie_name": "__Host-x", "secure": False},
    ],
)
def test_a_cookie_that_no_browser_would_take_stops_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError) as refused:
        cookie(**settings)
    assert refused.value.code is ErrorCode.Configuration


def test_a_cookie_is_ours_and_counts_where_it_was_made_for() -> None:
    made = cookie().make("a.b", local=False, bound_to="session 1")
    assert cookie().unsign(made.value, "session 1") == "a.b"
    for forged in ("", "a.b", made.value[:-1], made.value + "x", "x" + made.value, "a.b.c", "\ud800", "\x00"):
        assert cookie().unsign(forged, "session 1") is None
    for other in ("", "session 2"):
        assert cookie().unsign(made.value, other) is None
    assert (
        SignedCookie(CookieSettings(), "SESSIONID", derive_key(SECRET, "other")).unsign(made.value, "session 1") is None
    )
    assert "a.b" not in repr(made)


def test_attributes() -> None:
    made = cookie(domain="example.com", sameSite="strict").make("x", local=False, expires=NOW)
    assert made.options == {
        "path": "/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "strict",
        "domain": "example.com",
        "expires": NOW,
    }
    assert to_cookie_serialize_options({**made.options, "maxAge": None, "other": 1}) == {
        "Path": "/",
        "Secure": True,
        "HttpOnly": True,
        "SameSite": "strict",
        "Domain": "example.com",
        "Expires": NOW,
    }


@pytest.fixture
def csrf() -> DoubleSubmitCsrfToken:
    return DoubleSubmitCsrfToken({"secret": SECRET})


def test_cookie_and_form_hold_the_same_token_of_one_session(csrf: DoubleSubmitCsrfToken) -> None:
    token = csrf.create_csrf_token()
    sent = csrf.make_csrf_cookie(token, session_id="1").value
    forms = {csrf.mask_csrf_token(token) for _ in range(5)}
    assert len(forms) == 5, "under a fresh mask each time"
    for form in forms:
        csrf.validate_double_submit_csrf_token(sent, form, "1")
        assert csrf.unmask_csrf_token(form) == token
        assert token not in form
    assert csrf.validate_csrf_cookie(sent, "1") == token
    another = csrf.mask_csrf_token(csrf.create_csrf_token())
    for cookie_value, form, session in (
        (sent, another, "1"),
        (sent, forms.pop(), "2"),
        (sent, csrf.mask_csrf_token(token), None),
        (csrf.make_csrf_cookie(token).value, csrf.mask_csrf_token(token), "1"),
        (token, csrf.mask_csrf_token(token), "1"),
    ):
        with pytest.raises(CrossauthError) as refused:
            csrf.validate_double_submit_csrf_token(cookie_value, form, session)
        assert refused.value.code is ErrorCode.InvalidCsrf


@pytest.mark.parametrize(
    "form", ["", ".", "a", "a.b", "é.é", "\ud800.x", "AAAA", "AAAA.AAAAA", "x" * 100_000, "..", "A.A.A", "\x00"]
)
def test_a_form_token_of_any_kind_is_refused(csrf: DoubleSubmitCsrfToken, form: str) -> None:
    sent = csrf.make_csrf_cookie(csrf.create_csrf_token()).value
    with pytest.raises(CrossauthError) as refused:
        csrf.validate_double_submit_csrf_token(sent, form)
    assert refused.value.code is ErrorCode.InvalidCsrf


def test_the_header_of_a_csrf_cookie(csrf: DoubleSubmitCsrfToken) -> None:
    assert csrf.make_csrf_cookie_string("v") == "__Host-CSRFTOKEN=v; Path=/; SameSite=lax; Secure; HttpOnly"


ALICE = User(id=1, username="alice", security_stamp="s")


def test_a_browser_is_known_to_its_user_with_the_credentials_of_that_time() -> None:
    devices = KnownDevices({"maxAge": 60}, SECRET)
    id, sent, expires = devices.make(ALICE, False, NOW)
    assert expires == NOW + timedelta(seconds=60)
    found = devices.read(sent.value, NOW)
    assert found is not None
    assert found.id == id
    assert found.knows(ALICE)
    assert not found.knows(User(id=2, username="alice", security_stamp="s"))
    assert not found.knows(User(id=1, username="alice", security_stamp="t"))
    assert not found.knows(User(id=1, username="alice"))
    assert devices.read(sent.value, NOW + timedelta(seconds=60)) is None
    assert KnownDevices({"maxAge": 60}, SECRET + "x").read(sent.value, NOW) is None
    for forged in (
        None,
        "",
        "a.b.c",
        sent.value[:-1],
        devices.cookie.make("a.b", False).value,
        devices.cookie.make("a.x.c", False).value,
    ):
        assert devices.read(forged, NOW) is None
    assert id not in devices.stored(id)


def test_a_claim_is_the_browsers_and_for_one_name() -> None:
    claims = Claims(CookieSettings(), SECRET)
    stored, first = claims.make(None, "2fa", local=False)
    assert claims.find(first.value, "2fa") == stored
    assert claims.find(first.value, "pre2fa") is None
    other, both = claims.make(first.value, "pre2fa", local=False)
    assert (claims.find(both.value, "2fa"), claims.find(both.value, "pre2fa")) == (stored, other)
    anew, third = claims.make(both.value, "2fa", local=False)
    assert claims.find(third.value, "2fa") == anew != stored
    assert stored not in both.value, "the browser has what is hashed, the session its hash"
    for forged in (
        None,
        "",
        "2fa:x",
        both.value[:-2],
        claims.cookie.make("", False).value,
        claims.cookie.make("2fa", False).value,
    ):
        assert claims.find(forged, "2fa") is None
