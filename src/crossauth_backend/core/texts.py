"""Texts for people, in the reader's language: one gettext catalogue for pages, mails and errors.

Templates write `{{ _("Log in") }}`; modules mark a text by `mark` where it is defined and translate it by `gettext` where it is
shown. The language is that of the current context, so that one that a page is made for does not reach another request.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment

DOMAIN: Final = "crossauth"
DEFAULT_LANGUAGE: Final = "en"
_LOCALES: Final = Path(str(files("crossauth_backend") / "locale"))
_language: ContextVar[str] = ContextVar("crossauth_language", default=DEFAULT_LANGUAGE)


def mark(text: str) -> str:
    """Return `text` unchanged; extraction finds it, and `gettext` translates it where it is shown."""
    return text


def language() -> str:
    """Return the language of the current context, as a tag of BCP 47."""
    return _language.get()


@contextmanager
def in_language(tag: str) -> Iterator[None]:
    """Make `tag` the language of what is done inside."""
    token = _language.set(tag)
    try:
        yield
    finally:
        _language.reset(token)


def gettext(text: str) -> str:
    """Return `text` in the current language, or as it is where it has no translation."""
    return _catalogue(_language.get()).gettext(text)


def ngettext(one: str, many: str, n: int) -> str:
    """Return the form of a text that goes with the number `n`, in the current language."""
    return _catalogue(_language.get()).ngettext(one, many, n)


def install(environment: Environment) -> None:
    """Give the templates of `environment` `_`, `gettext`, `ngettext` and `{% trans %}` (newstyle: values are `%(name)s`)."""
    environment.add_extension("jinja2.ext.i18n")
    install_callables = environment.install_gettext_callables  # type: ignore[attr-defined]
    install_callables(gettext, ngettext, newstyle=True)


@cache
def _catalogue(tag: str) -> _gettext.NullTranslations:
    return _gettext.translation(DOMAIN, _LOCALES, [tag.replace("-", "_")], fallback=True)
