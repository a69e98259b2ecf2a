"""The brand of messages: name, host and colors."""

import pytest

from crossauth_backend import CrossauthError, ErrorCode
from crossauth_backend.core.colors import AA_TEXT, contrast, parse_color
from crossauth_backend.delivery.brand import MailBrand, in_color, site_name
from crossauth_backend.email_tokens.options import TokenEmailerSettings, mail_brand


def test_a_site_without_a_name_is_called_by_its_host() -> None:
    assert MailBrand(url="https://shop.example.com:8443/app").site == "shop.example.com"
    assert MailBrand(name="Acme", url="https://shop.example.com").site == "Acme"
    assert MailBrand().site == ""
    assert site_name(None) == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://Acme.Example:8443/app", "acme.example"), ("https://bücher.example", "xn--bcher-kva.example"), ("", "")],
)
def test_the_host_is_written_as_browsers_compare_it(url: str, host: str) -> None:
    assert MailBrand(url=url).host == host


def test_a_name_is_one_line_of_bounded_length() -> None:
    assert MailBrand(name="Acme\r\nBcc: x@example.com").site == "Acme Bcc: x@example.com"
    assert len(MailBrand(name="A" * 500).site) == 64


@pytest.mark.parametrize("color", ["#2946c8", "#fff", "#000", "#ff0", "#7a7a7a"])
def test_what_is_written_on_a_button_can_be_read(color: str) -> None:
    brand = in_color(MailBrand(), color, "here")
    for one, other in (
        (brand.fill, brand.on_fill), (brand.dark_fill, brand.dark_on_fill), (brand.text, "#ffffff"),
        (brand.dark_text, "#181b24"),
    ):  # fmt: skip
        first, second = parse_color(one), parse_color(other)
        assert first is not None
        assert second is not None
        assert contrast(first, second) >= AA_TEXT


def test_a_color_that_is_none_is_refused_by_the_name_of_its_option() -> None:
    with pytest.raises(CrossauthError, match="accent_color") as e:
        mail_brand(TokenEmailerSettings(accent_color="red; background: url(x)"), "here")
    assert e.value.code is ErrorCode.Configuration


@pytest.mark.parametrize(
    ("logo", "loaded"),
    [
        ("/static/logo.png", "https://acme.example/static/logo.png"),
        ("https://cdn.example/logo.png", "https://cdn.example/logo.png"),
        ("https://cdn.example/logo.svg?v=1", ""),
        ("/static/logo.svg", ""),
        (None, ""),
    ],
)
def test_mails_show_a_logo_that_mail_programs_can_show(logo: str | None, loaded: str) -> None:
    brand = mail_brand(TokenEmailerSettings(site_url="https://acme.example/", logo_url=logo), "here")
    assert brand.logo_url == loaded


def test_without_a_site_the_sender_says_the_name() -> None:
    assert mail_brand(TokenEmailerSettings(email_from="Shop <a@example.com>"), "here").site == "Shop"
    assert mail_brand(TokenEmailerSettings(email_from="a@example.com"), "here").site == "example.com"
    assert mail_brand(TokenEmailerSettings(email_from="Shop <a@example.com>", site_name="Acme"), "here").site == "Acme"
