"""What travels in OAuth: errors, the bearer header, its challenge, and where metadata is."""

import json
import re

import pytest

from crossauth_backend import CrossauthError
from crossauth_backend.core.fetch import is_secure_url
from crossauth_backend.oauth.wire.bearer import bearer_challenge, read_bearer
from crossauth_backend.oauth.wire.errors import (
    OAUTH_ERRORS,
    InsufficientScope,
    InvalidClient,
    InvalidRequest,
    InvalidToken,
    OAuthError,
    TemporarilyUnavailable,
)
from crossauth_backend.oauth.wire.metadata import check_metadata, metadata_urls
from crossauth_backend.oauth.wire.text import join_scopes, parse_scope

HOSTILE = [
    '"',
    "\\",
    "\r\nSet-Cookie: a=b",
    "\x00",
    "\x7f",
    "é",
    "\ud800",
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    'a", error="x',
]


def test_every_error_has_its_name_status_and_allowed_characters() -> None:
    assert len(OAUTH_ERRORS) >= 28
    for name, kind in OAUTH_ERRORS.items():
        error = kind("".join(HOSTILE), detail="private")
        assert re.fullmatch(r"[a-z_]+", name)
        assert error.status in (400, 401, 403, 500, 503)
        body = error.body()
        assert body["error"] == name
        assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]*", body["error_description"])
        assert "private" not in json.dumps(body)
    assert (InvalidToken.status, InsufficientScope.status, InvalidClient.status) == (401, 403, 401)
    assert TemporarilyUnavailable().status == 503
    assert InvalidRequest().body() == {"error": "invalid_request"}
    assert not InvalidToken.may_redirect
    assert OAUTH_ERRORS["login_required"].may_redirect


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None), ("", None), ("Basic abc", None), ("Bearer abc", "abc"), ("bEARER  a-b._~+/==", "a-b._~+/=="),
        (" Bearer abc ", "abc"), ("ApiKey x", None), ("Bearerabc", None),
    ],
)  # fmt: skip
def test_the_token_is_what_follows_the_scheme_in_any_case(header: str | None, token: str | None) -> None:
    assert read_bearer(header) == token


@pytest.mark.parametrize(
    "rest",
    [
        "",
        " ",
        "a b",
        "a,b",
        "=",
        "a=b",
        "é",
        "\x00",
        "\ud800",
        "a\r\nb",
        "A" * 20_000,
        '"abc"',
        "a\tb",
        "a==="[:0] + "=a",
    ],
)
def test_a_bearer_header_that_holds_no_token_is_an_invalid_token(rest: str) -> None:
    with pytest.raises(InvalidToken):
        read_bearer(f"Bearer {rest}")


def test_the_challenge_says_what_is_needed_and_no_error_where_nothing_was_sent() -> None:
    assert bearer_challenge() == "Bearer"
    assert bearer_challenge(scopes=["a", "b"]) == 'Bearer scope="a b"'
    url = "https://api.example.com/.well-known/oauth-protected-resource/mcp"
    whole = bearer_challenge(InvalidToken("It has expired"), scopes=["a"], realm='our "\\ api', resource_metadata=url)
    assert whole == (
        'Bearer realm="our \\"\\\\ api", error="invalid_token", error_description="It has expired", scope="a", '
        f'resource_metadata="{url}"'
    )
    assert 'error="insufficient_scope"' in bearer_challenge(InsufficientScope(scopes=("read", "write")))
    assert 'scope="read write"' in bearer_challenge(InsufficientScope(scopes=("read", "write")))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_leaves_the_quotes_of_a_challenge(text: str) -> None:
    challenge = bearer_challenge(InvalidToken(text))
    assert re.fullmatch(
        r'Bearer error="invalid_token"(, error_description="[\x20\x21\x23-\x5b\x5d-\x7e]*")?', challenge
    )
    with pytest.raises(CrossauthError, match="a scope must be"):
        bearer_challenge(scopes=[text])
    with pytest.raises(CrossauthError, match="resource metadata must be"):
        bearer_challenge(resource_metadata=f"https://example.com/{text}")
    if text not in ('"', "\\", 'a", error="x'):
        with pytest.raises(CrossauthError, match="realm must be"):
            bearer_challenge(realm=text)
    else:
        assert re.fullmatch(r'Bearer realm="([^"\\]|\\["\\])*"', bearer_challenge(realm=text))


def test_scopes_are_read_and_written_as_the_standard_has_them() -> None:
    assert parse_scope("a  b a c:d é x\ty") == ("a", "b", "c:d")
    assert parse_scope("") == parse_scope("a " * 10_000) == ()
    assert join_scopes(["a", "b", "a"]) == "a b"


def test_an_error_without_a_name_of_its_own_is_a_server_error() -> None:
    assert (OAuthError().name, OAuthError().status) == ("server_error", 500)


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        ("https://a.example", ("https://a.example/.well-known/openid-configuration",
                               "https://a.example/.well-known/oauth-authorization-server")),
        ("https://a.example/", ("https://a.example/.well-known/openid-configuration",
                                "https://a.example/.well-known/oauth-authorization-server")),
        ("https://a.example/t/1", ("https://a.example/t/1/.well-known/openid-configuration",
                                   "https://a.example/.well-known/oauth-authorization-server/t/1")),
    ],
)  # fmt: skip
def test_metadata_is_below_the_issuer_or_before_its_path(issuer: str, urls: tuple[str, str]) -> None:
    assert metadata_urls(issuer) == urls


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://a.example/"}, {"issuer": "https://A.example"}, {"issuer": None}, {"issuer": ["https://a.example"]},
        {"jwks_uri": "http://a.example/k"}, {"jwks_uri": "http://127.0.0.1/k"}, {"jwks_uri": 1}, {"jwks_uri": ""},
        {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": "https://u:p@a.example/k"}, {"token_endpoint": "https://a.example/#x"},
        {"introspection_endpoint": "javascript:alert(1)"}, {"jwks_uri": "https://a.example/" + "x" * 5000},
        {"jwks_uri": "https://a.example/\ud800"}, {"jwks_uri": "https://[::1/k"}, {"jwks_uri": "https://a.example:99999/k"},
    ],
)  # fmt: skip
def test_metadata_of_another_issuer_or_without_protection_is_refused(changed: dict[str, object]) -> None:
    good = {"issuer": "https://a.example", "jwks_uri": "https://keys.example/k", "other": 1}
    check_metadata(good, "https://a.example")
    with pytest.raises(ValueError) as refused:
        check_metadata({**good, **changed}, "https://a.example")
    assert "example" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("https://a.example", True), ("http://localhost:8000/x?y=1", True), ("http://127.0.0.9", True),
        ("http://[::1]:80/", True),
        ("http://a.example", False), ("http://localhost.evil.example", False), ("http://localhost@evil.example", False),
        ("http://localhost:80@evil.example/", False), ("ftp://localhost", False), ("https://", False), ("", False),
        ("https://a.example\\@evil.example", False), ("https://a.example/ x", False), ("//a.example", False),
        ("http://127.0.0.1.evil.example", False), ("http://0x7f.1", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_asked_without_https(url: str, secure: bool) -> None:
    assert is_secure_url(url) is secure
