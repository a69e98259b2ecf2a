"""Texts for people: the language of a context, and what templates are given."""

from __future__ import annotations

import pytest
from jinja2 import Environment

from crossauth_backend.core.texts import (
    direction,
    gettext,
    in_language,
    install,
    join,
    language,
    mark,
    mark_plural,
    ngettext,
)


def test_a_language_counts_inside_its_block_only() -> None:
    assert language() == "en"
    with in_language("xx"):
        assert language() == "xx"
        assert gettext("Log in") == "Log in"
    assert language() == "en"


def test_a_marked_text_is_the_text() -> None:
    assert mark("Log in") == "Log in"


def test_a_number_chooses_the_form() -> None:
    assert (ngettext("one", "many", 1), ngettext("one", "many", 2)) == ("one", "many")


def test_templates_escape_values_inside_texts() -> None:
    environment = Environment(autoescape=True)
    install(environment)
    made = environment.from_string('{{ _("Log in to %(site)s", site=site) }}').render(site="<b>")
    assert made == "Log in to &lt;b&gt;"


def test_a_marked_text_has_values_and_keeps_them() -> None:
    text = mark("Log in to %(site)s", site="Acme")
    assert (text, gettext(text)) == ("Log in to Acme", "Log in to Acme")
    assert [mark_plural("%(n)d try left", "%(n)d tries left", n) for n in (1, 2)] == ["1 try left", "2 tries left"]
    assert join([mark("One"), "two"]) == "One. two"


def test_a_percent_sign_in_a_text_without_values_is_only_that() -> None:
    assert gettext(mark("100 %")) == "100 %"


@pytest.mark.parametrize(
    ("tag", "way"),
    [("en", "ltr"), ("ar", "rtl"), ("he-IL", "rtl"), ("ar-Latn", "ltr"), ("az-Arab-IR", "rtl"), ("de-1996", "ltr")],
)
def test_the_direction_follows_from_the_tag(tag: str, way: str) -> None:
    assert direction(tag) == way


def test_an_empty_text_stays_empty() -> None:
    """The catalogue's own header is the translation of an empty text."""
    with in_language("de"):
        assert gettext("") == ""


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{{ text }}", "100 %"),
        ("{{ _(text) }}", "100 %"),
        ("{{ _('Save %(what)s', what=text) }}", "Save 100 %"),
        ("{{ _(label) }}", "Discount % &lt;b&gt;"),
        ("{% trans what=text %}Save {{ what }} 50%{% endtrans %}", "Save 100 % 50%"),
        ("{{ ngettext('%(n)d day', '%(num)d days', 2) }}", "2 days"),
    ],
)
def test_templates_print_marked_texts_and_take_them_as_values(template: str, made: str) -> None:
    environment = Environment(autoescape=True)
    install(environment)
    assert environment.from_string(template).render(text=mark("100 %"), label="Discount % <b>") == made
