"""Options that go onto every page: no text, URL or policy in them breaks a page, loads more than was said, or stays in caches."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_fastapi import PagePolicy
from tests.support import make_server

# As Python reads an environment variable that is no UTF-8.
NO_UTF8 = "Acme\udcff"


def refusal(**options: Any) -> str:
    with pytest.raises(CrossauthError) as refused:
        make_server(**options)
    assert refused.value.code is ErrorCode.Configuration
    return refused.value.message


@pytest.mark.parametrize("name", ["site_name", "footer"])
@pytest.mark.parametrize("text", [NO_UTF8, "Acme\0", "Acme\x1b[2J", "a" * 5000])
def test_text_that_no_page_can_show_stops_the_start(name: str, text: str) -> None:
    assert f"option {name!r} must be text of at most" in refusal(**{name: text})


def test_a_name_in_the_environment_that_is_no_text_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page would answer 500 otherwise."""
    monkeypatch.setenv("CROSSAUTH_SITE_NAME", NO_UTF8)
    assert "option 'site_name'" in refusal()


@pytest.mark.parametrize("name", ["logo_url", "favicon_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "'self'",
        "*",
        "//evil.example/x.png",
        "/\\evil.example/x.png",
        "/x.png\nX: y",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://cdn.example/x.png",
        "https://cdn.example;script-src *",
        "https://cdn.example\n/x.png",
        "https://*.example/x.png",
        "https://user:secret@cdn.example/x.png",
        "https://[x",
        "https://cdn.example:99999/x.png",
        "/" + "x" * 5000,
        "https://cdn.example/" + "x" * 5000,
    ],
)
def test_an_image_that_is_none_of_the_sites_stops_the_start(name: str, url: str) -> None:
    assert f"option {name!r} must be a path such as" in refusal(**{name: url})


@pytest.mark.parametrize(
    "color", ["red", "#12", "#fff;}*{display:none", "#123456\n", "#\uff11\uff12\uff13", "url(//evil)"]
)
def test_a_color_that_is_more_than_a_color_stops_the_start(color: str) -> None:
    assert "option 'accent_color' must be a color" in refusal(accent_color=color)


@pytest.mark.parametrize("value", ["https://cdn.example", None, 5, (None,), (b"https://cdn.example",), {"x": "y"}])
def test_sources_of_a_policy_that_are_no_texts_are_refused_by_name(value: Any) -> None:
    with pytest.raises(CrossauthError, match="PagePolicy: img_src must be a tuple of texts") as refused:
        PagePolicy(img_src=value)
    assert refused.value.code is ErrorCode.Configuration


@pytest.mark.parametrize(
    "source",
    ["https://a.example; script-src *", "https://a.example\n", "*", "https:", "data:", "'unsafe-inline'", "'nonce-x'"],
)
@pytest.mark.parametrize("directive", ["script_src", "img_src", "style_src", "font_src", "connect_src"])
def test_no_source_of_a_policy_is_another_directive_or_everything(directive: str, source: str) -> None:
    with pytest.raises(CrossauthError, match=r"The policy of a page: \w+-src takes"):
        PagePolicy(**{directive: (source,)})


def test_markup_in_options_is_text_on_pages() -> None:
    marked = "<img src=x onerror=alert(1)>\"'"
    options = {"site_name": marked, "footer": marked, "logo_url": 'https://cdn.example/"onerror="alert(1)'}
    client = TestClient(make_server(**options).app, base_url="https://testserver")
    page = client.get("/login").text
    assert "<img src=x" not in page
    assert '"onerror=' not in page
    assert "<img" not in client.get("/favicon.svg").text


@pytest.mark.parametrize("name", ["crossauth.css", "crossauth.js", "favicon.svg"])
def test_a_file_stays_in_caches_only_at_the_url_of_its_content(name: str) -> None:
    """While an update is rolled out, an old worker answers for the files of new pages; somebody may also ask for them before."""
    client = TestClient(make_server().app, base_url="https://testserver")
    path = client.get("/login").text.split(f'"/{name}')[1].split('"')[0]
    assert "immutable" in client.get(f"/{name}{path}").headers["cache-control"]
    for query in ("", "?v=0123456789ab", f"{path}&v=other", "?v="):
        answer = client.get(f"/{name}{query}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert answer.headers["x-content-type-options"] == "nosniff"
