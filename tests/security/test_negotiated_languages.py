"""`Accept-Language` chooses among the languages of a site, whatever is in it, and no cache mixes up what it chose."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from crossauth_backend import CrossauthError, ErrorCode
from tests.support import make_server

LANGUAGES = ["en", "de", "fr"]


@pytest.mark.parametrize(
    "header",
    [
        b"\x00",
        b"\xff\xfe",
        b"de;q=NaN",
        b"de;q=1e9",
        b"de;q=0.9999",
        b"*-de",
        b"de" + b";" * 400,
        b"a-" * 250,
        b"de-" * 5000,
        b"de," * 20_000,
        b",".join(b"x%d" % n for n in range(200)),
        b"*;q=0",
        b"en;q=0, *;q=0",
        b"../../../etc/passwd",
    ],
)
def test_a_header_that_says_nothing_gets_the_default(header: bytes) -> None:
    client = TestClient(make_server(languages=LANGUAGES).app, base_url="https://testserver")
    page = client.get("/login", headers=[(b"accept-language", header)])
    assert (page.status_code, page.headers["content-language"]) == (200, "en")


@pytest.mark.parametrize("path", ["/login", "/updateuser", "/api/userforsessionkey", "/api/login", "/me"])
def test_what_is_translated_says_that_it_varies(path: str) -> None:
    client = TestClient(make_server(languages=LANGUAGES, translate_json=True).app, base_url="https://testserver")
    ask = client.post if path == "/api/login" else client.get
    answer = ask(path, headers={"Accept-Language": "de"})
    named = {part.strip() for part in answer.headers["vary"].split(",")}
    assert named == {"Accept-Language", "Cookie"} if path != "/api/userforsessionkey" else named >= {"Cookie"}
    assert answer.headers["cache-control"] == "no-store"


def test_json_that_stays_english_does_not_vary() -> None:
    client = TestClient(make_server(languages=LANGUAGES).app, base_url="https://testserver")
    refused = client.post("/api/login", headers={"Accept-Language": "de"})
    assert refused.headers["vary"] == "Cookie"
    assert "Ihre" not in refused.text


def test_a_folder_of_texts_that_is_not_there_stops_the_start() -> None:
    for folder in ("/nonexistent", "\0", ""):
        with pytest.raises(CrossauthError, match="option 'locale_dir'") as refused:
            make_server(languages=["en", "de"], locale_dir=folder)
        assert refused.value.code is ErrorCode.Configuration


def test_a_catalogue_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    """Every page in its language would answer 500 otherwise."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    for content in (b"garbage", b"", b"\xde\x12\x04\x95" + b"\xff" * 40):
        (folder / "crossauth.mo").write_bytes(content)
        with pytest.raises(CrossauthError, match="option 'locale_dir': the texts in 'de' cannot be read") as refused:
            make_server(languages=["en", "de"], locale_dir=str(tmp_path))
        assert refused.value.code is ErrorCode.Configuration


def test_a_translation_that_is_not_written_for_its_values_does_not_hide_the_refusal(tmp_path: Path) -> None:
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    one, many = (f"Too many attempts. Try again in %(n)d {unit}." for unit in ("minute", "minutes"))
    (folder / "crossauth.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        f'msgid "{one}"\nmsgid_plural "{many}"\nmsgstr[0] "%(x)d %"\nmsgstr[1] "%(x)d %"\n'
    )
    server = make_server(languages=["en", "de"], locale_dir=str(tmp_path), translate_json=True)

    @server.app.get("/many")
    async def many_attempts() -> None:
        raise CrossauthError(ErrorCode.TooManyAttempts, retry_after=120)

    client = TestClient(server.app, base_url="https://testserver")
    answer = client.get("/many", headers={"Accept-Language": "de"})
    assert (answer.status_code, answer.json()["errorMessage"]) == (429, "Too many attempts. Try again in 2 minutes.")
