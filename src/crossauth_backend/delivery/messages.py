"""Texts of messages, from templates that an application may replace."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, Template, TemplateNotFound

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.texts import direction, install, language
from crossauth_backend.delivery.brand import MailBrand
from crossauth_backend.delivery.compiled import CompiledTemplates
from crossauth_backend.delivery.lines import one_line
from crossauth_backend.delivery.mailer import Mail

_OURS: Final = Path(str(files("crossauth_backend") / "delivery" / "templates"))
# What a mail program shows of a subject, and more.
_MAX_SUBJECT: Final = 200
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n)+")
# Two, for what is compiled says whether it escapes.
_TEXT, _HTML = CompiledTemplates(), CompiledTemplates()
Render = Callable[[str, dict[str, Any]], str]


class Messages:
    """Renders message templates, in the language of the context in which it is asked.

    Parameters:
        views: the application's folder of templates; what is not in it comes with the package.
        render: instead of Jinja2: `(template, data)` to text; plain or `async`.
        brand: the name, address, logo and colors of the site.
    """

    def __init__(self, views: str = "views", render: Render | None = None, brand: MailBrand | None = None) -> None:
        loader: BaseLoader = ChoiceLoader([FileSystemLoader(views), FileSystemLoader(_OURS)])
        self._text = Environment(loader=loader, autoescape=False, bytecode_cache=_TEXT)  # noqa: S701 (text)
        self._html = Environment(loader=loader, autoescape=True, bytecode_cache=_HTML)
        install(self._text)
        install(self._html)
        self._render = render
        self.brand = brand or MailBrand()

    def check(self, template: str | None, option: str) -> None:
        """Refuse to start where a template is missing.

        Raises:
            CrossauthError: `Configuration`.
        """
        if template and self._render is None and self._find(self._text, template) is None:
            raise CrossauthError(ErrorCode.Configuration, f"Option {option!r}: there is no template {template!r}")

    async def text(self, template: str, data: Mapping[str, Any]) -> str:
        """A text."""
        rendered = await self._rendered(self._text, template, data)
        return _BLANK_LINES.sub("\n\n", rendered.replace("\r\n", "\n")).strip() + "\n"

    async def mail(self, to: str, subject: str, text: str, html: str | None, data: Mapping[str, Any]) -> Mail:
        """A mail of two templates.

        Parameters:
            to: the address it goes to.
            subject: the subject; `{siteName}` and `{otp}` in it are replaced.
            text: the template of its text.
            html: the template of its HTML; empty for none. Where it is `None`, it is the one whose name goes with that of
                `text`, if there is one and there is no `render`. HTML of the package goes with no text of the application.
            data: the variables of both.
        """
        subject = self._subject(subject, data)
        data = {"subject": subject, **data}
        html = self._html_beside(text, html)
        body = None if html is None else await self._rendered(self._html, html, data)
        return Mail(to=to, subject=subject, text=await self.text(text, data), html=body, from_name=self.brand.site)

    def _html_beside(self, text: str, html: str | None) -> str | None:
        """The template of the HTML that goes with a text; `None` where a text goes alone."""
        if self._render is not None:
            # A function of the application's knows the templates that it was written for.
            return html or None
        if html is None:
            twin = _html_twin(text)
            html = "" if self._find(self._html, twin) is None else twin
        # Where the application wrote its own text, ours would say something else.
        contradicts = self._is_ours(self._html, html) and not self._is_ours(self._text, text)
        return None if not html or contradicts else html

    def _is_ours(self, environment: Environment, template: str) -> bool:
        found = self._find(environment, template) if template else None
        return found is not None and Path(found.filename or "").is_relative_to(_OURS)

    def _subject(self, subject: str, data: Mapping[str, Any]) -> str:
        subject = subject.replace("{siteName}", self.brand.site).replace("{otp}", str(data.get("otp", "")))
        return one_line(subject, _MAX_SUBJECT)

    async def _rendered(self, environment: Environment, template: str, data: Mapping[str, Any]) -> str:
        data = {**self.brand.variables(), "lang": language(), "dir": direction(language()), **data}
        if self._render is not None:
            return str(await call_hook(self._render, template, dict(data)))
        found = self._find(environment, template)
        if found is None:
            raise CrossauthError(ErrorCode.Configuration, detail=f"there is no template {template!r}")
        return str(found.render(dict(data)))

    @staticmethod
    def _find(environment: Environment, template: str) -> Template | None:
        for name in (template, str(PurePosixPath(template).with_suffix(".jinja2"))):
            try:
                return environment.get_template(name)
            except TemplateNotFound:
                continue
        return None


def _html_twin(text: str) -> str:
    """The name of the HTML template beside a text of ours: `passwordresettextbody`, `passwordresethtmlbody`."""
    stem = PurePosixPath(text).stem.removesuffix("body").removesuffix("text")
    return f"{stem}htmlbody.jinja2"
