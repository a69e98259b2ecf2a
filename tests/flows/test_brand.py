"""An application's name, logo, color, footer, icon and content policy on every page."""

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError
from crossauth_fastapi import FastApiServer, PagePolicy
from crossauth_fastapi._pages.environment import PAGE_POLICY
from tests.flows.test_adapter import Given
from tests.support import make_server

BRAND = {
    "site_name": "Acme & Sons",
    "logo_url": "https://cdn.example/logo.svg",
    "accent_color": "#ffd400",
    "footer": "© Acme <Ltd>",
    "favicon_url": "/icon.png",
    "page_policy": PagePolicy(font_src=("https://fonts.example",)),
}


def test_pages_are_those_of_the_application() -> None:
    client = TestClient(make_server(**BRAND).app, base_url="https://testserver")
    for path in ("/login", "/signup", "/changepassword"):
        page = client.get(path)
        assert "· Acme &amp; Sons</title>" in page.text
        assert '<img src="https://cdn.example/logo.svg" alt="Acme &amp; Sons"' in page.text
        assert '<link rel="icon" href="/icon.png">' in page.text
        assert "© Acme &lt;Ltd&gt;" in page.text
        assert "Crossauth" not in page.text
        policy = page.headers["content-security-policy"].split("; ")
        assert {"img-src 'self' https://cdn.example", "font-src https://fonts.example"} <= set(policy)
        assert set(PAGE_POLICY.split("; ")) - set(policy) == {"img-src 'self'"}
        sheet = client.get(page.text.split('rel="stylesheet" href="')[1].split('"')[0])
        assert "--fill:#ffd400" in sheet.text


def test_the_stylesheet_is_compressed_where_the_browser_takes_that() -> None:
    client = TestClient(make_server(**BRAND).app, base_url="https://testserver")
    plain = client.get("/crossauth.css", headers={"Accept-Encoding": "identity"})
    packed = client.get("/crossauth.css", headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.text == packed.text
    assert int(packed.headers["content-length"]) < 6000 < int(plain.headers["content-length"])
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_without_a_brand_pages_name_nobody_and_have_an_icon() -> None:
    client = TestClient(make_server().app, base_url="https://testserver")
    page = client.get("/login")
    assert "Crossauth" not in page.text
    assert "Secured by" not in page.text
    assert page.headers["content-security-policy"] == PAGE_POLICY
    icon = client.get(page.text.split('rel="icon" href="')[1].split('"')[0])
    assert icon.headers["content-type"] == "image/svg+xml"
    assert icon.headers["content-security-policy"] == "default-src 'none'"
    assert "immutable" in icon.headers["cache-control"]


def test_an_application_without_a_session_server_has_the_same_brand() -> None:
    app = FastAPI()
    server = FastApiServer({"session_adapter": Given()}, {"app": app, **BRAND})  # type: ignore[typeddict-item]

    @app.get("/")
    async def home(request: Request) -> Response:
        return server.render(request, "landing.jinja2")

    client = TestClient(app)
    page = client.get("/")
    assert 'alt="Acme &amp; Sons"' in page.text
    assert "https://cdn.example" in page.headers["content-security-policy"]
    assert "--fill:#ffd400" in client.get("/crossauth.css").text


def test_a_wrong_brand_stops_the_start() -> None:
    with pytest.raises(CrossauthError, match="option 'accent_color' must be a color such as"):
        make_server(accent_color="blue")
    with pytest.raises(CrossauthError, match="option 'logo_url' must be a path such as"):
        make_server(logo_url="http://cdn.example/logo.svg")
    with pytest.raises(CrossauthError, match="option 'page_policy' must be PagePolicy, not str"):
        make_server(page_policy="default-src *")
