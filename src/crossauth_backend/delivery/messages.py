"""Texts of messages, from templates that an application may replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, TemplateNotFound

from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.hooks import call_hook
from crossauth_backend.core.texts import direction, install, language
from crossauth_backend.delivery.mailer import Mail

_OURS: Final = Path(str(files("crossauth_backend") / "delivery" / "templates"))
Render = Callable[[str, dict[str, Any]], str]


class Messages:
    """Renders message templates.

    Parameters:
        views: the application's folder of templates; what is not in it comes with the package.
        render: instead of Jinja2: `(template, data)` to text; plain or `async`.
        site: the name of the site, `siteName` in templates and the sender's name.
    """

    def __init__(self, views: str = "views", render: Render | None = None, site: str = "") -> None:
        loader: BaseLoader = ChoiceLoader([FileSystemLoader(views), FileSystemLoader(_OURS)])
        self._text = Environment(loader=loader, autoescape=False, keep_trailing_newline=False)  # noqa: S701 (text)
        self._html = Environment(loader=loader, autoescape=True)
        install(self._text)
        install(self._html)
        self._render = render
        self._site = site

    def check(self, template: str | None, option: str) -> None:
        """Refuse to start where a template is missing.

        Raises:
            CrossauthError: `Configuration`.
        """
        if template is not None and self._render is None and self._find(self._text, template) is None:
            raise CrossauthError(ErrorCode.Configuration, f"Option {option!r}: there is no template {template!r}")

    async def text(self, template: str, data: Mapping[str, Any]) -> str:
        """A text."""
        return (await self._rendered(self._text, template, data)).strip() + "\n"

    async def mail(self, to: str, subject: str, text: str, html: str | None, data: Mapping[str, Any]) -> Mail:
        """A mail of two templates."""
        body = None if html is None else await self._rendered(self._html, html, data)
        return Mail(to=to, subject=subject, text=await self.text(text, data), html=body, from_name=self._site)

    async def _rendered(self, environment: Environment, template: str, data: Mapping[str, Any]) -> str:
        data = {"siteName": self._site, "lang": language(), "dir": direction(language()), **data}
        if self._render is not None:
            return str(await call_hook(self._render, template, dict(data)))
        found = self._find(environment, template)
        if found is None:
            raise CrossauthError(ErrorCode.Configuration, detail=f"there is no template {template!r}")
        return str(found.render(dict(data)))

    @staticmethod
    def _find(environment: Environment, template: str) -> Any:
        for name in (template, str(PurePosixPath(template).with_suffix(".jinja2"))):
            try:
                return environment.get_template(name)
            except TemplateNotFound:
                continue
        return None


def site_name(site_url: str | None) -> str:
    """What messages call the site: the host of its URL."""
    return urlsplit(site_url or "").hostname or ""
