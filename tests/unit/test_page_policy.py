"""What a page may do beyond what every page may: a little, by name, and never everything."""

from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi._pages.policy import EVERY_PAGE, SELF, PagePolicy

STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HASH = "'sha256-" + "A" * 43 + "='"


def directives(policy: PagePolicy) -> dict[str, str]:
    parts = (part.partition(" ") for part in policy.header.split("; "))
    return {name: sources for name, _, sources in parts}


def test_a_page_that_says_nothing_has_the_strict_policy() -> None:
    assert EVERY_PAGE.header == PagePolicy().header == STRICT


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://rp.example/cb?x=1", "https://rp.example"), ("https://RP.example:8443/cb", "https://rp.example:8443"),
        ("http://127.0.0.1:51004/cb", "http://127.0.0.1:51004"), ("http://localhost:3000", "http://localhost:3000"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
        # What a policy cannot name is allowed by its scheme, so that the form is not stopped.
        ("http://[::1]:51004/cb", "http:"), ("http://192.0.2.7/cb", "http:"), ("https://[2001:db8::1]/", "https:"),
        ("com.example.app:/cb", "com.example.app:"), ("app://cb", "app:"),
    ],
)  # fmt: skip
def test_a_form_may_lead_to_a_relying_party(url: str, source: str) -> None:
    widened = directives(PagePolicy(form_action=(url,)))
    assert widened == {**directives(EVERY_PAGE), "form-action": f"'self' {source}"}


def test_every_directive_is_widened_by_itself() -> None:
    policy = PagePolicy(
        form_action=("https://rp.example/a", "https://rp.example/b"), script_src=(HASH,), style_src=("https://cdn.example/x.css",),
        img_src=("https://img.example/logo.png",), font_src=(SELF,), connect_src=(SELF, "https://api.example:444/v1"),
    )  # fmt: skip
    assert directives(policy) == {
        "default-src": "'none'", "style-src": "'self' https://cdn.example", "img-src": "'self' https://img.example",
        "script-src": f"'self' {HASH}", "font-src": "'self'", "connect-src": "'self' https://api.example:444",
        "form-action": "'self' https://rp.example", "base-uri": "'none'", "frame-ancestors": "'none'",
    }  # fmt: skip


NEVER = [
    "*", "https:", "http:", "https://*", "https://*.example.com", "'unsafe-inline'", "'unsafe-eval'", "'none'", "'nonce-abc'",
    "data:", "blob:", "javascript:alert(1)", "data:text/html,x", "", " ", "https://", "//rp.example", "rp.example", "/cb",
    "https://a.example; script-src *", "https://a.example https://b.example", "https://a.example,b.example", "https://u@a.example",
    "https://a..example", "https://a_b.example", "https://a.example:99999", "https://a.example:x", "https://[::1", "https://é.example",
    "https://a.example\n", "https://a.example\r\nSet-Cookie: x=y", "\x00", "\ud800", "https://" + "a" * 300 + ".example",
    "'sha256-short'", "'sha256-" + "A" * 43 + "=' *", "x" * 100_000, "a" * 100_000 + "!",
]  # fmt: skip


@pytest.mark.parametrize("value", NEVER)
@pytest.mark.parametrize("directive", ["script_src", "style_src", "img_src", "font_src", "connect_src", "form_action"])
def test_a_policy_is_never_widened_to_everything(directive: str, value: str) -> None:
    with pytest.raises(CrossauthError, match=directive.replace("_", "-")) as refused:
        PagePolicy(**{directive: (value,)})
    assert refused.value.code is ErrorCode.Configuration
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "given",
    [
        {"script_src": ("http://cdn.example/x.js",)}, {"img_src": (HASH,)}, {"script_src": ("app://x",)},
        {"img_src": ("https://192.0.2.7/x.png",)}, {"form_action": (HASH,)},
    ],
)  # fmt: skip
def test_only_a_form_may_lead_to_plain_http_and_applications(given: dict[str, Any]) -> None:
    with pytest.raises(CrossauthError):
        PagePolicy(**given)
