"""The brand that options say: what is shown, what the content policy allows for it, and what is refused at the start."""

import re
from typing import Any

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.colors import Color
from crossauth_fastapi._pages.brand import Brand, brand_of
from crossauth_fastapi._pages.options import BrandSettings
from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy


def brand(site_name: str = "", site_url: str | None = None, title: str = "", **options: Any) -> Brand:
    return brand_of(BrandSettings(**options), "Server", site_name, site_url, title)


@pytest.mark.parametrize(
    ("site_name", "site_url", "title", "name"),
    [
        ("Acme", "https://acme.example", "Acme API", "Acme"),
        ("", "https://acme.example:8443/x", "Acme API", "acme.example"),
        ("", "http://localhost:8000", "Acme API", "Acme API"),
        ("", None, "Acme API", "Acme API"),
        ("", None, "FastAPI", ""),
        ("", "http://127.0.0.1", "FastAPI", ""),
    ],
)
def test_the_name_is_the_nearest_that_is_known(site_name: str, site_url: str | None, title: str, name: str) -> None:
    assert brand(site_name, site_url, title).name == name


@pytest.mark.parametrize("option", ["logo_url", "favicon_url"])
@pytest.mark.parametrize("url", ["/static/logo.svg", "/logo.png?v=1", "https://cdn.example/logo.svg", "/a%20b.svg"])
def test_images_of_this_site_and_of_one_other_are_taken(option: str, url: str) -> None:
    allowed = brand(**{option: url}).policy.header
    other = " https://cdn.example" if url.startswith("https:") else ""
    assert f"img-src 'self'{other};" in allowed


@pytest.mark.parametrize("option", ["logo_url", "favicon_url"])
@pytest.mark.parametrize(
    "url",
    ["", "logo.svg", "//cdn.example/a", "/\\cdn.example/a", "http://cdn.example/a", "javascript:alert(1)", "data:image/png,",
     "https://u:p@cdn.example/a", "https://*/a", "https://10.0.0.1/a", "/a b", '/a"b', "/a\nb", "/a;b\\c", "/<b>"],
)  # fmt: skip
def test_other_images_are_refused_and_the_message_names_the_option(option: str, url: str) -> None:
    with pytest.raises(CrossauthError, match=f"Server: option '{option}' must be a path such as") as refused:
        brand(**{option: url})
    assert refused.value.code is ErrorCode.Configuration


@pytest.mark.parametrize("color", ["", "red", "#12345", "#12345678", "2946c8", "#fff;}body{display:none"])
def test_a_color_that_is_none_is_refused(color: str) -> None:
    with pytest.raises(CrossauthError, match="Server: option 'accent_color' must be a color such as '#2946c8'"):
        brand(accent_color=color)


def test_the_policy_is_that_of_every_page_and_the_application_together() -> None:
    both = brand(logo_url="https://cdn.example/a", page_policy=PagePolicy(font_src=("https://f.example/x",))).policy
    assert "img-src 'self' https://cdn.example;" in both.header
    assert "font-src https://f.example;" in both.header
    assert brand(logo_url="/logo.svg").policy is EVERY_PAGE


def test_the_stylesheet_has_the_accent_in_both_schemes_and_its_url_changes_with_it() -> None:
    plain, yellow = brand(), brand(accent_color="#ffd400")
    assert b"/*" not in plain.stylesheet[0]
    assert yellow.stylesheet[0].startswith(plain.stylesheet[0])
    added = yellow.stylesheet[0][len(plain.stylesheet[0]) :].decode()
    assert re.fullmatch(r":root\{[-a-z:;#0-9]+\}@media \(prefers-color-scheme:dark\)\{:root\{[-a-z:;#0-9]+\}\}", added)
    assert "--fill:#ffd400" in added
    assert plain.variables("/", str)["stylesheet"] != yellow.variables("/", str)["stylesheet"]


def test_an_icon_is_made_of_the_name_and_the_color() -> None:
    content = Brand(name="acme", accent=Color(255, 0, 0)).favicon[0].decode()
    assert ">A</text>" in content
    assert 'fill="#ff0000"' in content
    for name in ("", "<script>", "&", "👍"):
        assert "<path" in Brand(name=name).favicon[0].decode()


def test_paths_of_the_application_are_where_it_is_mounted() -> None:
    displayed = Brand(logo_url="/logo.svg", favicon_url="https://cdn.example/i.png").variables(
        "/x/auth/", "/x{}".format
    )
    assert (displayed["logoUrl"], displayed["favicon"]) == ("/x/logo.svg", "https://cdn.example/i.png")
    assert displayed["stylesheet"].startswith("/x/auth/crossauth.css?v=")
    assert Brand().variables("/x/", str)["favicon"].startswith("/x/favicon.svg?v=")
