"""Texts for people: the language of a context, and what templates are given."""

from __future__ import annotations

from jinja2 import Environment

from crossauth_backend.core.texts import gettext, in_language, install, language, mark, ngettext


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
