"""Finding and rendering templates.

An application overrides a page by putting a file into its `template_dir`: first the configured name counts, then the same stem
with `.jinja2`, `.html` or `.njk`, then the page that comes with the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fastapi.templating import Jinja2Templates
from jinja2 import BaseLoader, Environment, FileSystemLoader, PackageLoader, TemplateNotFound

SUFFIXES: Final = (".jinja2", ".html", ".njk")
STYLESHEET: Final = "crossauth.css"
PAGE_POLICY: Final = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
# No page of an account may be framed, cached, or named to another site.
SAFE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_Source = tuple[str, str | None, Callable[[], bool] | None]


class PageLoader(BaseLoader):
    """Looks in the application's folder, then in ours.

    Parameters:
        folder: the application's folder; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self._theirs = FileSystemLoader(str(folder))
        self._ours = PackageLoader("crossauth_fastapi", "_pages/templates")

    def get_source(self, environment: Environment, template: str) -> _Source:
        """The source of a template.

        Raises:
            TemplateNotFound: where neither folder has it.
        """
        names = [template, *(str(PurePosixPath(template).with_suffix(s)) for s in SUFFIXES)]
        for loader, candidates in ((self._theirs, names), (self._ours, names[1:2])):
            for name in candidates:
                try:
                    return loader.get_source(environment, name)
                except TemplateNotFound:
                    continue
        raise TemplateNotFound(template)


class Pages:
    """The pages of one server.

    Parameters:
        template_dir: the application's own templates.
        prefix: what goes before every URL, with slashes at both ends.
    """

    def __init__(self, template_dir: str, prefix: str) -> None:
        environment = Environment(loader=PageLoader(template_dir), autoescape=True)
        self.templates = Jinja2Templates(env=environment)
        self.prefix = prefix
        self.stylesheet_path = f"{prefix}{STYLESHEET}"
        self.stylesheet_url = f"{self.stylesheet_path}?v={stylesheet()[1]}"

    def variables(self, **variables: Any) -> dict[str, Any]:
        """What every page is given, with `variables` over it."""
        return {"urlPrefix": self.prefix, "stylesheet": self.stylesheet_url, **variables}

    def headers(self, name: str) -> dict[str, str]:
        """The headers a page is served with. One of the application's own brings its own content policy."""
        ours = files("crossauth_fastapi") / "_pages" / "templates"
        source = self.templates.env.get_template(name).filename or ""
        if Path(source).is_relative_to(Path(str(ours))):
            return {**SAFE_HEADERS, "Content-Security-Policy": PAGE_POLICY}
        return dict(SAFE_HEADERS)


@cache
def stylesheet() -> tuple[bytes, str]:
    """The stylesheet, and a short hash of it that makes its URL change when it changes."""
    content = (files("crossauth_fastapi") / "_pages" / "static" / STYLESHEET).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]
