"""Templates of pages and mails have no text of their own: each goes through the catalogue."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
TEMPLATES = sorted(SOURCE.rglob("*.jinja2"))
# Attributes whose value people read or hear.
READ = {"aria-label", "aria-description", "alt", "title", "placeholder", "label", "summary", "data-label"}
LABELS = re.compile(rf"^({'|'.join(sorted(READ))})$")
WORD = re.compile(r"[A-Za-z]{2,}")
TRANSLATED = re.compile(r"\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}", re.DOTALL)
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
# Blocks that name a class or an endpoint.
NAMING = re.compile(r"\{%-? block \w+ -?%\}[a-z/]*\{%-? endblock -?%\}")
# The end of a URL, and attributes that a macro writes.
ENDING = re.compile(r"\}\}[a-z/]+|\?[a-z]+=|aria-(?:describedby|invalid)=\"[^\"]*\"|\}\s*autofocus\b", re.MULTILINE)
MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
CALL = re.compile(r"""(?:\b_|\bgettext|\bngettext)\(\s*("[^"]*"|'[^']*')(?:\s*,\s*("[^"]*"|'[^']*'))?""")
STRING = re.compile(r""""([^"]*)"|'([^']*)'""")
# A sentence: a capital, a small letter, and a blank somewhere; codes, names and URLs are none.
SENTENCE = re.compile(r"^[A-Z][a-z']+( [A-Za-z'.,%()-]+)+[.:?!]?$|^[A-Z][a-z]+ [a-z]")
NOT_READ = re.compile(r"font|\.woff")
# Names, which are the same in every language, and what stands in code.
NAMES = {"Crossauth", "HTML", "UTC", "txt", "API"}


class Texts(HTMLParser):
    """The words of a page that people see or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if LABELS.match(name) and value and WORD.search(value)]
        self._inside = [*self._inside, tag] if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside = self._inside[:-1]

    def handle_data(self, data: str) -> None:
        words = [word for word in WORD.findall(data) if word not in NAMES]
        if words and not self._inside:
            self.found.append(data.strip())


def bare_texts(template: str, is_html: bool = True) -> list[str]:
    """The texts of a template that are not translated: outside of expressions, or given to a macro as they are."""
    source = NAMING.sub("", TRANSLATED.sub("", COMMENT.sub("", template)))
    expressions = [CALL.sub("", found.group()) for found in MARKUP.finditer(source)]
    strings = [a or b for text in expressions for a, b in STRING.findall(text)]
    plain = MARKUP.sub(
        "",
        ENDING.sub(lambda found: found.group().startswith("}}") * "}}" or found.group().startswith("}") * "}", source),
    )
    if not is_html:
        return [line.strip() for line in plain.splitlines() if WORD.search(line)] + sentences(strings)
    parser = Texts()
    parser.feed(plain)
    parser.close()
    return parser.found + sentences(strings)


def sentences(strings: list[str]) -> list[str]:
    return [text for text in strings if SENTENCE.search(text) and not NOT_READ.search(text)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_that_is_not_translated(path: Path) -> None:
    assert bare_texts(path.read_text(), "textbody" not in path.name and "smsauth" not in path.name) == []


@pytest.mark.parametrize(
    "template",
    [
        "<p>Log in</p>",
        '<nav aria-label="Account"></nav>',
        '<a title="Log out {{ name }}">x</a>',
        '{{ field("otp", "Enter the code") }}',
        "{% set text = 'Log in first' %}",
        "<p>{{ _('Log in') }} now</p>",
    ],
)
def test_a_bare_text_is_found(template: str) -> None:
    assert bare_texts(template) != []


@pytest.mark.parametrize(
    "template",
    [
        "<p>{{ _('Log in') }}</p>",
        "<p>{% trans name=n %}Log in as {{ name }}{% endtrans %}</p>",
        '<input name="user_email" type="email" aria-label="{{ _("Email address") }}">',
        '{{ field("otp", _("Enter the code"), type="text") }}',
        '{{ ngettext("One day", "%(n)s days ago", n) }}',
        "<style>body { color: red }</style>",
    ],
)
def test_a_translated_text_is_none(template: str) -> None:
    assert bare_texts(template) == []
