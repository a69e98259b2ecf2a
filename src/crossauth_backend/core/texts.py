"""Texts for people, in the reader's language: one gettext catalogue for pages, mails and errors.

Templates write `{{ _("Log in") }}`. Modules mark a text by `mark` where it is defined; it stays English in logs and in JSON, and
a template that prints it translates it. The language is that of the current context, so that one that a page is made for does
not reach another request.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.runtime import Context

DOMAIN: Final = "crossauth"
DEFAULT_LANGUAGE: Final = "en"
_OURS: Final = str(files("crossauth_backend") / "locale")
# Languages that are written from right to left, and scripts that are (BCP 47, ISO 15924).
_RTL_LANGUAGES: Final = frozenset(
    ("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ji", "ps", "sd", "syr", "ug", "ur", "yi")
)
_RTL_SCRIPTS: Final = frozenset(("adlm", "arab", "hebr", "mand", "nkoo", "rohg", "syrc", "thaa"))


class Language(NamedTuple):
    """The language that texts are shown in.

    Parameters:
        tag: its tag (BCP 47).
        folder: the application's own catalogues; an empty text where it has none.
        negotiated: whether the request chose it, so that the response varies with `Accept-Language`.
        in_json: whether texts in JSON are translated too.
    """

    tag: str
    folder: str = ""
    negotiated: bool = False
    in_json: bool = False


ENGLISH: Final = Language(DEFAULT_LANGUAGE)
_current: ContextVar[Language] = ContextVar("crossauth_language", default=ENGLISH)


class Text(str):
    """A marked text: the English text as a string, and what is needed to translate it."""

    localized: Callable[[], str]


def mark(text: str, **values: object) -> Text:
    """Return `text` with its values, to be translated where it is shown.

    Parameters:
        text: the English text, which extraction finds; values are written `%(name)s`.
        values: its values; those that are marked texts are translated too.
    """
    marked = Text(text % values if values else text)
    marked.localized = lambda: _filled(_catalogue(_current.get()).gettext(text), values, str(marked))
    return marked


def mark_plural(one: str, many: str, n: int, **values: object) -> Text:
    """Return the form of a text that goes with the number `n` (`%(n)d` in it), to be translated where it is shown."""
    values["n"] = n
    marked = Text((one if n == 1 else many) % values)
    marked.localized = lambda: _filled(_catalogue(_current.get()).ngettext(one, many, n), values, str(marked))
    return marked


def join(texts: Iterable[str], between: str = ". ") -> Text:
    """Return `texts` as one, each to be translated where it is shown."""
    parts = list(texts)
    marked = Text(between.join(parts))
    marked.localized = lambda: between.join(map(gettext, parts))
    return marked


def language() -> str:
    """Return the language of the current context, as a tag of BCP 47."""
    return _current.get().tag


def current_language() -> Language:
    """Return all that is known of the language of the current context."""
    return _current.get()


@contextmanager
def in_language(chosen: Language | str) -> Iterator[None]:
    """Make `chosen` the language of what is done inside."""
    token = _current.set(Language(chosen) if isinstance(chosen, str) else chosen)
    try:
        yield
    finally:
        _current.reset(token)


def direction(tag: str) -> str:
    """Return `rtl` for a language that is written from right to left, else `ltr`."""
    parts = tag.lower().replace("_", "-").split("-")
    script = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    is_rtl = parts[0] in _RTL_LANGUAGES if script is None else script in _RTL_SCRIPTS
    return "rtl" if is_rtl else "ltr"


def gettext(text: str) -> str:
    """Return `text` in the current language, or as it is where it has no translation. It may be marked."""
    if isinstance(text, Text):
        return text.localized()
    return _catalogue(_current.get()).gettext(text) if text else ""


def ngettext(one: str, many: str, n: int) -> str:
    """Return the form of a text that goes with the number `n`, in the current language."""
    return _catalogue(_current.get()).ngettext(one, many, n)


def install(environment: Environment) -> None:
    """Give the templates of `environment` `_`, `gettext`, `ngettext` and `{% trans %}`, with values as `%(name)s`.

    Marked texts that they print, or use as values, are translated.
    """
    from jinja2 import pass_context
    from markupsafe import Markup

    def filled(context: Context, text: str, values: dict[str, object]) -> str:
        safe = Markup(text) if context.eval_ctx.autoescape else text  # noqa: S704 (translations are ours; values are escaped)
        try:
            return safe % {name: _shown(value) for name, value in values.items()}
        except (TypeError, ValueError, KeyError):
            # Not written for values, such as the label of an application's own column that has a percent sign in it.
            return text

    @pass_context
    def translated(context: Context, text: str, /, **values: object) -> str:
        return gettext(text) if isinstance(text, Text) else filled(context, gettext(text), values)

    @pass_context
    def translated_plural(context: Context, one: str, many: str, n: int, /, **values: object) -> str:
        return filled(context, ngettext(one, many, n), {"num": n, "n": n, **values})

    environment.add_extension("jinja2.ext.i18n")
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(_=translated, gettext=translated, ngettext=translated_plural)
    environment.finalize = _shown


def for_json(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a JSON body; their marked texts are translated where the application wants that."""
    if not _current.get().in_json:
        return dict(body)
    return {name: [_shown(one) for one in v] if isinstance(v, list) else _shown(v) for name, v in body.items()}


def is_translated(tag: str, folder: str = "") -> bool:
    """Return whether there are texts in the language `tag`: ours, or the application's own in `folder`."""
    return tag == DEFAULT_LANGUAGE or _load(tag, _OURS) is not None or _load(tag, folder) is not None


def unreadable_catalogue(tag: str, folder: str) -> str:
    """Return why the catalogue of the language `tag` in `folder` cannot be read; empty where it can, or there is none."""
    try:
        _load(tag, folder)
    except Exception as e:
        # Whatever the parsers of gettext and Babel raise for a broken file: it would be raised for every page.
        return f"{type(e).__name__}: {e}"
    return ""


def _shown(value: Any) -> Any:
    return value.localized() if isinstance(value, Text) else value


def _filled(text: str, values: dict[str, object], english: str) -> str:
    """A translation with its values; `english` for one that is not written for them: an error must not become another one."""
    try:
        return text % {name: _shown(value) for name, value in values.items()} if values else text
    except (TypeError, ValueError, KeyError):
        return english


@cache
def _catalogue(chosen: Language) -> _gettext.NullTranslations:
    own, ours = _load(chosen.tag, chosen.folder), _load(chosen.tag, _OURS)
    if own is not None and ours is not None:
        own.add_fallback(ours)
    return own or ours or _gettext.NullTranslations()


def _load(tag: str, folder: str) -> _gettext.GNUTranslations | None:
    """The catalogue of a language in a folder. A checkout has none that is compiled: there the source is read."""
    if not folder:
        return None
    path = Path(folder) / tag.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.mo"
    source = path.with_suffix(".po")
    if source.is_file() and not (path.is_file() and path.stat().st_mtime >= source.stat().st_mtime):
        compiled = _compiled(source)
        if compiled is not None:
            return compiled
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return _gettext.GNUTranslations(file)


def _compiled(source: Path) -> _gettext.GNUTranslations | None:
    try:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po
    except ImportError:
        # It is needed to build and to test, not to run: a wheel has compiled catalogues.
        return None
    written = BytesIO()
    with source.open("rb") as file:
        write_mo(written, read_po(file))
    written.seek(0)
    return _gettext.GNUTranslations(written)
