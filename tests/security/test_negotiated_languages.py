"""`Accept-Language` chooses among the languages of a site, whatever is in it, and no cache mixes up what it chose."""

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
