"""Every mail: one layout, text and HTML with the same facts, the site in the subject, nothing loaded from anywhere."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from crossauth_backend.core import texts
from crossauth_backend.core.texts import in_language
from crossauth_backend.delivery import messages
from crossauth_backend.delivery.brand import MailBrand
from crossauth_backend.delivery.messages import Messages
from tests.mails import ACME, CODE, MAILS, SITE, SMS, mail

TEMPLATES = Path(messages.__file__).parent / "templates"
ONE_OF_EACH = pytest.mark.parametrize("name", MAILS)
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ 7*7 }}"


class Read(HTMLParser):
    """What a reader sees of a mail, where its links go, and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.hidden = ""
        self._skip = self._hide = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        provided = dict(attrs)
        self.tags.append(tag)
        self._skip = tag in ("style", "title")
        self._hide = self._hide or "display: none" in (provided.get("style") or "")
        if tag == "a":
            self.links.append(provided.get("href") or "")
        self.loads += [
            provided[name] or "" for name in ("src", "background", "srcset", "poster", "data") if name in provided
        ]
        self.loads += [provided.get("href") or ""] if tag == "link" else []

    def handle_endtag(self, tag: str) -> None:
        self._skip = False
        self._hide = self._hide and tag != "div"

    def handle_data(self, data: str) -> None:
        if self._hide:
            self.hidden += data
        elif not self._skip:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def paragraphs(text: str) -> list[str]:
    """The sentences of a text, without its links."""
    return [line for line in text.splitlines() if line and line != "--" and not line.startswith(("http", "To "))]


def test_every_template_is_one_of_these() -> None:
    """So that a new mail is looked at too."""
    ours = {path.stem for path in TEMPLATES.glob("[a-z]*.jinja2")}
    texts = {Path(text).stem for _, text, _ in MAILS.values()}
    html = {stem for stem in ours if stem.endswith("htmlbody")}
    assert texts | html | {Path(SMS).stem} == ours
    assert len(html) == len(texts), "each has its HTML"


@ONE_OF_EACH
async def test_the_subject_names_the_site(name: str) -> None:
    made = await mail(name)
    assert "Acme" in made.subject
    assert made.from_name == "Acme"
    assert f"<title>{made.subject}</title>" in (made.html or "")


@ONE_OF_EACH
async def test_text_and_html_say_the_same(name: str) -> None:
    made = await mail(name)
    assert made.html is not None
    read = Read(made.html)
    for line in paragraphs(made.text):
        for part in (
            line.split(": ") if line.startswith(("API key", "Linked account", "Username")) else line.split(" - ")
        ):
            assert part in read.text, line
    links = re.findall(r"https://\S+", made.text)
    assert set(links) == set(read.links)
    for link in links:
        assert link in read.text, "also for a reader who cannot press a button"


@ONE_OF_EACH
async def test_a_mail_has_what_a_page_would_have_and_loads_nothing(name: str) -> None:
    html = (await mail(name)).html or ""
    read = Read(html)
    assert read.loads == []
    assert not {"script", "link", "img", "iframe", "object", "form", "svg", "meta-refresh"} & set(read.tags)
    assert not re.search(r"url\(|@import|\bon\w+=", html)
    assert read.tags.count("h1") == 1
    assert read.hidden.strip(), "a line for the list of mails"
    assert '<html lang="en" dir="ltr">' in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert '<meta name="supported-color-schemes" content="light dark">' in html
    assert "prefers-color-scheme: dark" in html
    assert "max-width: 560px" in html
    assert len(html.encode()) < 20_000


@ONE_OF_EACH
async def test_a_mail_says_why_it_came_and_for_which_account(name: str) -> None:
    made = await mail(name)
    assert "You received this email because" in made.text
    assert "https://acme.example" in made.text.rpartition("--")[2]
    if "username" in MAILS[name][2]:
        assert "Account: alice" in made.text
    else:
        assert "Account" not in made.text


@ONE_OF_EACH
async def test_without_a_username_no_sentence_has_a_gap(name: str) -> None:
    made = await mail(name, username="")
    for text in (made.text, Read(made.html or "").text):
        assert "alice." not in text
        assert not re.search(r" [.,:]|: $|None", text)


@ONE_OF_EACH
async def test_values_cannot_become_markup(name: str) -> None:
    values = {key: HOSTILE for key in ("username", "name", "provider") if key in MAILS[name][2]}
    html = (await mail(name, **values, lasts=HOSTILE)).html or ""
    read = Read(html)
    assert not {"img", "script"} & set(read.tags)
    assert "onerror=alert" not in re.sub(r"&lt;.*?&gt;", "", html)
    assert "49" not in read.text.replace(CODE, "")
    if values:
        assert HOSTILE in read.text, "but they are there, as they are"


async def test_a_code_is_in_the_subject_and_alone_on_its_line() -> None:
    made = await mail("code")
    assert made.subject == f"{CODE} is your Acme code"
    assert CODE in made.text.splitlines()
    assert f">{CODE}</p>" in (made.html or "")
    assert (await mail("code", brand=MailBrand())).text.startswith("Enter this code to continue:\n")


async def test_a_subject_of_an_application_may_name_site_and_code_and_is_one_line() -> None:
    made = await Messages("nowhere", brand=ACME).mail(
        "a@example.com", "{otp} for\r\nBcc: x@example.com {siteName}", MAILS["code"][1], None, MAILS["code"][2]
    )
    assert made.subject == f"{CODE} for Bcc: x@example.com Acme"


async def test_a_mail_shows_neither_its_subject_nor_its_text_in_a_log() -> None:
    assert CODE not in repr(await mail("code"))


async def test_a_text_message_is_one_that_phones_fill_in() -> None:
    """As domain-bound codes are written: a last line with the host of the site and the code."""
    text = await Messages("nowhere", brand=ACME).text(SMS, {"otp": CODE})
    assert text == f"{CODE} is your Acme code. Don't share it with anyone.\n@acme.example #{CODE}\n"
    assert len(text.strip()) <= 160
    assert text.isascii(), "one message of the GSM alphabet"
    alone = await Messages("nowhere").text(SMS, {"otp": CODE})
    assert alone == f"{CODE} is your code. Don't share it with anyone.\n"


async def test_an_application_that_replaces_a_text_gets_no_html_that_says_something_else(tmp_path: Path) -> None:
    (tmp_path / "passwordresettextbody.jinja2").write_text("Mine: {{ token }}")
    assert (await mail("reset-password", views=str(tmp_path))).html is None
    (tmp_path / "passwordresethtmlbody.jinja2").write_text("<b>Mine: {{ token }} {{ username }}</b>")
    made = await mail("reset-password", views=str(tmp_path), username="<i>")
    assert (made.html or "").endswith(" &lt;i&gt;</b>")
    (tmp_path / "passwordresettextbody.jinja2").unlink()
    made = await mail("reset-password", views=str(tmp_path))
    assert (made.text.startswith("Someone asked"), (made.html or "").startswith("<b>Mine")) == (True, True)


async def test_an_application_may_replace_the_layout_of_all(tmp_path: Path) -> None:
    (tmp_path / "_maillayout.jinja2").write_text("<main>{% block content %}{% endblock %}</main>")
    for name in MAILS:
        assert ((await mail(name, views=str(tmp_path))).html or "").startswith("<main>")


async def test_html_of_an_application_alone_is_left_out_where_the_option_is_empty() -> None:
    subject, text, data = MAILS["reset-password"]
    assert (await Messages("nowhere", brand=ACME).mail("a@example.com", subject, text, "", data)).html is None


async def test_a_function_that_renders_is_asked_for_the_templates_it_knows() -> None:
    asked: list[str] = []

    def render(template: str, data: dict[str, Any]) -> str:
        asked.append(template)
        assert data["siteName"] == "Acme"
        return "x"

    made = Messages("nowhere", render, ACME)
    await made.mail("a@example.com", "s", "accountexistsbody.jinja2", None, SITE)
    await made.mail("a@example.com", "s", "passwordresettextbody.njk", "passwordresethtmlbody.njk", SITE)
    assert sorted(asked) == ["accountexistsbody.jinja2", "passwordresethtmlbody.njk", "passwordresettextbody.njk"]


async def test_colors_and_logo_of_a_brand_are_in_its_mails() -> None:
    brand = MailBrand(name="Acme", url="https://acme.example", fill="#123456", dark_fill="#abcdef",
                      logo_url='https://acme.example/l.png?"')  # fmt: skip
    html = (await mail("reset-password", brand=brand)).html or ""
    assert "background: #123456" in html
    assert "background: #abcdef !important" in html
    assert Read(html).loads == ['https://acme.example/l.png?"']


async def test_a_mail_is_in_the_language_of_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bracketed:
        def gettext(self, text: str) -> str:
            return f"[{text}]"

        def ngettext(self, one: str, many: str, n: int) -> str:
            return f"[{many}]"

    plain = await mail("reset-password")
    monkeypatch.setattr(texts, "_catalogue", lambda tag: Bracketed())
    with in_language("ar"):
        made = await mail("reset-password")
    assert '<html lang="ar" dir="rtl">' in (made.html or "")
    assert made.subject == "[Reset your Acme password]"
    for text in (made.text, Read(made.html or "").text):
        assert "[Someone asked to reset the password of your Acme account alice.]" in text
        assert "[The link works once and expires in 24 hours.]" in text
    assert "[" not in plain.text
