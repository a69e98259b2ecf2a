"""What makes the pages those of the application: its name, logo, accent color, footer and icon, and what its pages may load."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from crossauth_backend.core.colors import Accent, Color, accents, parse_accent
from crossauth_backend.core.errors import CrossauthError, ErrorCode
from crossauth_backend.core.secrets import hash_token
from crossauth_fastapi._http.localhost import is_local_host
from crossauth_fastapi._pages.options import BrandSettings
from crossauth_fastapi._pages.policy import EVERY_PAGE, PagePolicy

STYLESHEET: Final = "crossauth.css"
FAVICON: Final = "favicon.svg"
_ACCENT: Final = Color(0x29, 0x46, 0xC8)
_PATH: Final = re.compile(r"/(?![/\\])[!#-&(-;=?-\[\]-~]*")
_UNTITLED: Final = "FastAPI"
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.S)
_BETWEEN: Final = re.compile(r"\s*([{};,>])\s*|(:) ")
_MOST_NAME: Final = 200
_MOST_FOOTER: Final = 2000
_MOST_URL: Final = 2000
_NO_TEXT: Final = ("Cc", "Cs")
_SPACES: Final = "\t\r\n"
_SHIELD: Final = "M16 5 8 8v6c0 5 3.400 8.700 8 10.300 4.600-1.600 8-5.300 8-10.300V8Z"


@dataclass(frozen=True)
class Brand:
    """The brand of one server's pages.

    Parameters:
        name: the application's name; empty where nothing says it.
        logo_url: a path, or an `https` URL.
        favicon_url: the same for the icon; `None` for one that is made of the name.
        footer: text at the foot of every page.
        accent: the accent color.
        policy: what every page may do beyond what ours need.
    """

    name: str = ""
    logo_url: str | None = None
    favicon_url: str | None = None
    footer: str | None = None
    accent: Color = _ACCENT
    policy: PagePolicy = field(default=EVERY_PAGE)

    @cached_property
    def stylesheet(self) -> tuple[bytes, str]:
        """The stylesheet, and a short hash of it that makes its URL change when it changes."""
        content = _base() if self.accent == _ACCENT else _base() + _theme(*accents(self.accent)).encode()
        return content, hash_token(content)[:12]

    @cached_property
    def favicon(self) -> tuple[bytes, str]:
        """The icon that is made of the name, and a short hash of it."""
        light, _ = accents(self.accent)
        letter = escape(self.name[:1].upper())
        mark = (
            f'<text x="16" y="23" text-anchor="middle" font-family="system-ui,sans-serif" font-size="20" font-weight="700" '
            f'fill="{light.on_fill}">{letter}</text>'
            if letter.isalnum()
            else f'<path fill="{light.on_fill}" d="{_SHIELD}"/>'
        )
        content = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" '
            f'fill="{light.fill}"/>{mark}</svg>'
        ).encode()
        return content, hash_token(content)[:12]

    def variables(self, prefix: str, at: Callable[[str], str]) -> dict[str, Any]:
        """What every page is given of it.

        Parameters:
            prefix: goes before the URLs of our own files.
            at: makes the URL of a path of the application's own, which may be mounted somewhere.
        """

        def url(given: str) -> str:
            return at(given) if given.startswith("/") else given

        return {
            "siteName": self.name,
            "logoUrl": None if self.logo_url is None else url(self.logo_url),
            "footer": self.footer,
            "stylesheet": f"{prefix}{STYLESHEET}?v={self.stylesheet[1]}",
            "favicon": f"{prefix}{FAVICON}?v={self.favicon[1]}" if self.favicon_url is None else url(self.favicon_url),
        }


NO_BRAND: Final = Brand()


def brand_of(settings: BrandSettings, component: str, site_name: str, site_url: str | None, title: str = "") -> Brand:
    """Return the brand that options say.

    Parameters:
        settings: the options.
        component: the class that they were given to, named in messages.
        site_name: the option `site_name`; where it is empty, the host of `site_url` is the name, then `title`.
        site_url: the option `site_url`.
        title: the title of the FastAPI application.

    Raises:
        CrossauthError: `Configuration` for a color that is none, for text that a page cannot show, and for an image that it
            cannot load.
    """
    _check_text(component, "site_name", site_name, _MOST_NAME)
    _check_text(component, "footer", settings.footer or "", _MOST_FOOTER)
    policy = settings.page_policy or EVERY_PAGE
    for name in ("logo_url", "favicon_url"):
        policy |= PagePolicy(img_src=_image_source(component, name, getattr(settings, name)))
    return Brand(
        name=site_name or _host(site_url) or ("" if title == _UNTITLED else title),
        logo_url=settings.logo_url,
        favicon_url=settings.favicon_url,
        footer=settings.footer,
        accent=_ACCENT if settings.accent_color is None else parse_accent(settings.accent_color, component),
        policy=EVERY_PAGE if policy == EVERY_PAGE else policy,
    )


def _host(site_url: str | None) -> str:
    host = urlsplit(site_url or "").hostname or ""
    return "" if is_local_host(host) else host


def _check_text(component: str, name: str, text: str, most: int) -> None:
    """Refuse what would break every page: characters that no page can have, and more text than one should."""
    # An environment variable that is no UTF-8 comes with surrogates in it.
    if len(text) <= most and not any(unicodedata.category(c) in _NO_TEXT and c not in _SPACES for c in text):
        return
    raise CrossauthError(
        ErrorCode.Configuration,
        f"{component}: option {name!r} must be text of at most {most} characters, without control characters, in UTF-8",
    )


def _image_source(component: str, name: str, url: str | None) -> tuple[str, ...]:
    """What an image adds to the policy."""
    if url is None or (len(url) <= _MOST_URL and _PATH.fullmatch(url)):
        return ()
    try:
        if len(url) > _MOST_URL or not url.lower().startswith("https:"):
            raise CrossauthError(ErrorCode.Configuration)
        PagePolicy(img_src=(url,))
    except CrossauthError as e:
        raise CrossauthError(
            ErrorCode.Configuration,
            f"{component}: option {name!r} must be a path such as '/static/logo.svg', or an https URL, not {url!r:.80}",
        ) from e
    return (url,)


@cache
def _base() -> bytes:
    """Return the stylesheet without comments and indentation."""
    text = (files("crossauth_fastapi") / "_pages" / "static" / STYLESHEET).read_text("utf-8")
    return _BETWEEN.sub(r"\1\2", " ".join(_COMMENT.sub("", text).split())).replace(";}", "}").encode()


def _theme(light: Accent, dark: Accent) -> str:
    return f":root{{{_variables(light)}}}@media (prefers-color-scheme:dark){{:root{{{_variables(dark)}}}}}"


def _variables(accent: Accent) -> str:
    return (
        f"--accent:{accent.text};--accent-strong:{accent.text_strong};--fill:{accent.fill};"
        f"--fill-strong:{accent.fill_strong};--on-fill:{accent.on_fill}"
    )
