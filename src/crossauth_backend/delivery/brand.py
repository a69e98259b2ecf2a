"""What makes a message the application's own: its name, its address, its logo and its colors."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final
from urllib.parse import urlsplit

import idna

from crossauth_backend.core.colors import accents, parse_accent
from crossauth_backend.delivery.lines import one_line

MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MailBrand:
    """The brand of a site's messages.

    Parameters:
        name: what messages call the site; the host of `url` where it is empty.
        url: where browsers find the site.
        logo_url: a logo for the head of each mail, which mail programs load from there; none by default.
        fill, on_fill: of a button, and of the text on it.
        text: of links.
        dark_fill, dark_on_fill, dark_text: the same, where the reader's mail program is dark.
    """

    name: str = ""
    url: str = ""
    logo_url: str = ""
    fill: str = "#2946c8"
    on_fill: str = "#ffffff"
    text: str = "#2946c8"
    dark_fill: str = "#9db0ff"
    dark_on_fill: str = "#0d1433"
    dark_text: str = "#9db0ff"

    @property
    def site(self) -> str:
        """What messages call the site; empty where nothing says it."""
        return one_line(self.name, MAX_NAME) or site_name(self.url)

    @property
    def host(self) -> str:
        """The host of the site in ASCII, as browsers compare it; empty where it is not known."""
        host = site_name(self.url)
        try:
            return host if host.isascii() else idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            return ""

    def variables(self) -> dict[str, Any]:
        """What templates are given of it."""
        colors = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "url", "logo_url")}
        return {
            "siteName": self.site,
            "siteUrl": self.url.rstrip("/"),
            "siteHost": self.host,
            "logoUrl": self.logo_url,
            "colors": colors,
        }


def in_color(brand: MailBrand, color: str, component: str) -> MailBrand:
    """Return `brand` with the colors that follow from one.

    Parameters:
        brand: the brand.
        color: the color, `#rgb` or `#rrggbb`.
        component: the class to which it was given, named in messages.

    Raises:
        CrossauthError: `Configuration` where it is none.
    """
    light, dark = accents(parse_accent(color, component))
    return replace(
        brand,
        fill=str(light.fill),
        on_fill=str(light.on_fill),
        text=str(light.text),
        dark_fill=str(dark.fill),
        dark_on_fill=str(dark.on_fill),
        dark_text=str(dark.text),
    )


def site_name(site_url: str | None) -> str:
    """What messages call a site that has no other name: the host of its URL."""
    return urlsplit(site_url or "").hostname or ""
