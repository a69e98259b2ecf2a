"""Pages, errors and mails in the language of a request."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode
from tests.accounts import Browser, World
from tests.support import make_server
from tests.texts.catalogues import write

WRONG = "Invalid username or password"
OWN = {"Hello": "Hallo", "Hello %(name)s": "Hallo %(name)s", WRONG: "Falsch"}


def client(tmp_path: Path, **options: Any) -> TestClient:
    """A site in English and, by the application's own catalogues, in two other languages."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "hello.html").write_text('<p lang="{{ lang }}" dir="{{ dir }}">{{ _("Hello") }}</p>')
    folder = write(tmp_path / "locale", "xx", OWN)
    write(tmp_path / "locale", "ar-XB", {"Hello": "Olleh"})
    server = make_server(
        site_url="http://localhost", template_dir=str(pages), locale_dir=folder,
        **{"languages": ["en", "xx", "ar-XB"], **options},
    )  # fmt: skip

    @server.app.get("/hello")
    async def hello(request: Request) -> Any:
        return server.render(request, "hello.html")

    @server.app.get("/own")
    async def own(request: Request) -> Any:
        return server.templates.TemplateResponse(request, "hello.html")

    @server.app.get("/refused")
    async def refused() -> None:
        raise CrossauthError(ErrorCode.UsernameOrPasswordInvalid)

    return TestClient(server.app, base_url="http://localhost")


@pytest.mark.parametrize(
    ("header", "tag", "way", "text"),
    [
        ("xx", "xx", "ltr", "Hallo"),
        ("ar-XB", "ar-XB", "rtl", "Olleh"),
        ("it", "en", "ltr", "Hello"),
        ("", "en", "ltr", "Hello"),
    ],
)
def test_a_page_is_in_the_language_that_is_asked_for(
    tmp_path: Path, header: str, tag: str, way: str, text: str
) -> None:
    with client(tmp_path) as browser:
        page = browser.get("/hello", headers={"Accept-Language": header})
        assert page.text == f'<p lang="{tag}" dir="{way}">{text}</p>'
        assert page.headers["content-language"] == tag
        assert "accept-language" in page.headers["vary"].lower()
        assert browser.get("/own", headers={"Accept-Language": header}).text == page.text


def test_one_language_is_not_negotiated(tmp_path: Path) -> None:
    with client(tmp_path, languages=["xx"]) as browser:
        page = browser.get("/hello", headers={"Accept-Language": "en"})
        assert "Hallo" in page.text
        assert "content-language" not in page.headers
        assert "accept-language" not in page.headers.get("vary", "").lower()


def test_a_site_without_the_option_is_english() -> None:
    with TestClient(make_server(site_url="http://localhost").app, base_url="http://localhost") as browser:
        page = browser.get("/login", headers={"Accept-Language": "de"})
        assert '<html lang="en" dir="ltr">' in page.text


@pytest.mark.parametrize(("options", "text"), [({}, WRONG), ({"translate_json": True}, "Falsch")])
def test_errors_are_translated_on_pages_and_in_json_by_option(
    tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with client(tmp_path, **options) as browser:
        asked = {"Accept-Language": "xx"}
        error = browser.get("/refused", headers=asked).json()
        assert (error["errorMessage"], error["errorMessages"]) == (text, [text])
        assert error["errorCodeName"] == "UsernameOrPasswordInvalid"
        page = browser.get("/refused", headers={**asked, "Accept": "text/html"})
        assert "Falsch" in page.text
        assert WRONG not in page.text


def test_a_mail_is_in_the_language_of_the_request_that_caused_it(tmp_path: Path) -> None:
    views = tmp_path / "views"
    views.mkdir()
    (views / "emailverificationtextbody.jinja2").write_text('{{ _("Hello") }} {{ lang }} {{ dir }}')
    folder = write(tmp_path / "locale", "xx", OWN)
    world = World(enable_email_verification=True, languages=["en", "xx"], locale_dir=folder, views=str(views))
    with world.open() as url, Browser(url, headers={"Accept-Language": "xx"}) as browser:
        browser.sign_up(user_email="alice@example.com")
        assert browser.mail("alice@example.com")[0]["text"] == "Hallo xx ltr\n"
        with Browser(url) as other:
            other.sign_up("bob", user_email="bob@example.com")
            assert other.mail("bob@example.com")[0]["text"] == "Hello en ltr\n"
