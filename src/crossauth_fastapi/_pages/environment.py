"""Finding and rendering templates.

An application overrides a page by putting a file into its `template_dir`: first the configured name counts, then the same stem
with `.jinja2`, `.html` or `.njk`, then the page that comes with the package.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fastapi import Request
from fastapi.templating import Jinja2Templates
from jinja2 import BaseLoader, Environment, FileSystemLoader, TemplateNotFound
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from crossauth_backend.core.clock import utc_now
from crossauth_backend.core.texts import current_language, direction, install
from crossauth_backend.delivery.compiled import CompiledTemplates
from crossauth_fastapi._pages.brand import NO_BRAND, Brand
from crossauth_fastapi._pages.humanwords import FILTERS
from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy

SUFFIXES: Final = (".jinja2", ".html", ".njk")
PAGE_POLICY: Final = EVERY_PAGE.header
# No page of an account may be framed, cached, or named to another site.
SAFE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_OURS: Final = Path(str(files("crossauth_fastapi") / "_pages" / "templates"))
_Source = tuple[str, str | None, Callable[[], bool] | None]


class PageLoader(BaseLoader):
    """Looks in the application's folder, then in ours.

    Parameters:
        folder: the application's folder; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self._theirs = FileSystemLoader(str(folder))
        self._ours = FileSystemLoader(_OURS)

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


_COMPILED: Final = CompiledTemplates()
Variables = dict[str, Any]
Complete = Callable[[], Awaitable[Variables]]


class Pages:
    """The pages of one server.

    Parameters:
        template_dir: the application's own templates.
        common: the variables that every page is given, from its request.
        more: what completes them and has to be awaited; `None` where nothing has to be.
        brand: the application's name, colors and policy.
    """

    def __init__(
        self,
        template_dir: str,
        common: Callable[[Request], Variables],
        more: Callable[[Request], Complete | None] = lambda request: None,
        brand: Brand = NO_BRAND,
    ) -> None:
        self._loader = PageLoader(template_dir)
        environment = Environment(loader=self._loader, autoescape=True, bytecode_cache=_COMPILED)
        install(environment)
        environment.filters.update(FILTERS)
        environment.globals["now"] = utc_now
        self.templates = Jinja2Templates(env=environment, context_processors=[common, _spoken])
        self.brand = brand
        self._policy = brand.policy.header
        self._common, self._more, self._plain = common, more, Jinja2Templates(env=environment)

    def in_folder(self, template_dir: str) -> Pages:
        """The same pages for an application whose own templates are in another folder."""
        pages = Pages(template_dir, self._common, self._more, self.brand)
        pages.templates.env.globals.update(self.templates.env.globals)
        return pages

    def has(self, template: str) -> bool:
        """Whether there is such a template.

        One of the application's own is compiled, so that a mistake in it is known at the start; ours when they are used.
        """
        environment = self.templates.env
        try:
            _, filename, _ = self._loader.get_source(environment, template)
            if not Path(filename or "").is_relative_to(_OURS):
                environment.get_template(template)
        except TemplateNotFound:
            return False
        return True

    def render(
        self,
        request: Request,
        template: str,
        variables: Mapping[str, Any] | None = None,
        status: int = 200,
        policy: PagePolicy = EVERY_PAGE,
    ) -> Response:
        """A page, with headers that keep it out of caches and frames.

        A page of ours brings a strict content policy; one of the application's own brings what the application gives it.

        Parameters:
            request: the request.
            template: its name.
            variables: what it shows, besides what every page is given.
            status: the HTTP status.
            policy: what the page needs beyond what every page of ours may do.
        """
        headers = dict(SAFE_HEADERS)
        if Path(self.templates.env.get_template(template).filename or "").is_relative_to(_OURS):
            headers["Content-Security-Policy"] = (
                self._policy if policy is EVERY_PAGE else (self.brand.policy | policy).header
            )
        # What a page is given wins, as it would not over a context processor: for an administrator `user` is somebody else.
        provided = {**self._common(request), **_language_variables(), **(variables or {})}
        headers |= _language_headers()
        complete = self._more(request)
        if complete is None:
            return self._plain.TemplateResponse(request, template, provided, status, headers)

        def make(more: Variables) -> Response:
            return self._plain.TemplateResponse(request, template, {**provided, **more}, status)

        return LatePage(make, complete, status, headers)


def _spoken(request: Request) -> Variables:
    return _language_variables()


def _language_variables() -> Variables:
    tag = current_language().tag
    return {"lang": tag, "dir": direction(tag)}


def _language_headers() -> dict[str, str]:
    """What a page says of its language, where the request chose it (RFC 9110 §8.5, §12.5.5)."""
    chosen = current_language()
    return {"Content-Language": chosen.tag, "Vary": "Accept-Language"} if chosen.negotiated else {}


class LatePage(HTMLResponse):
    """A page that is made when it is sent, because some of its variables have to be awaited.

    Parameters:
        make: makes it.
        complete: what it lacks.
        status: its HTTP status.
        headers: its headers.
    """

    def __init__(
        self, make: Callable[[Variables], Response], complete: Complete, status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._make, self._complete = make, complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the page, and send it."""
        self.body = self._make(await self._complete()).body
        self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)
