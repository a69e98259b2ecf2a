"""What a user is shown of a new authenticator secret."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from crossauth_backend.factors.totp.shown import STEP_SECONDS, shown_secret

SECRET = "A" * 32


def test_all_ways_of_showing_a_secret_are_there() -> None:
    displayed = shown_secret("Shop", "totp", "alice", SECRET)
    assert (displayed["username"], displayed["factor2"], displayed["totpsecret"]) == ("alice", "totp", SECRET)
    assert displayed["qr"].startswith("data:image/png;base64,")
    assert re.match(r"<svg[^>]*viewBox", displayed["qrSvg"]), "an element of a page, whose size the page gives"


def test_the_uri_makes_the_codes_that_are_compared() -> None:
    uri = urlsplit(shown_secret("Shop", "totp", "alice", SECRET)["otpauthUri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Shop:alice")
    assert parse_qs(uri.query)["secret"] == [SECRET]
    read = pyotp.parse_uri(uri.geturl())
    assert isinstance(read, pyotp.TOTP)
    assert read.at(0) == pyotp.TOTP(SECRET, interval=STEP_SECONDS).at(0)


@pytest.mark.parametrize(
    ("app", "name", "label"),
    [("A: B", "a:b", "A B:a b"), ("\tShop\n", " a ", "Shop:a"), (":", "", "-:-")],
)
def test_no_name_ends_the_label(app: str, name: str, label: str) -> None:
    uri = urlsplit(shown_secret(app, "totp", name, SECRET)["otpauthUri"])
    assert unquote(uri.path) == f"/{label}"
