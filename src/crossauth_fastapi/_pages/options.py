"""Options of everything that has pages: the application's brand, and what its pages may load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from crossauth_backend.core.options import option
from crossauth_fastapi._pages.policy import PagePolicy


class BrandOptions(TypedDict, total=False):
    """Options of everything that has pages."""

    accent_color: str
    favicon_url: str
    footer: str
    logo_url: str
    page_policy: PagePolicy


# No slots: classes with slots of their own derive from this one and from another.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class BrandSettings:
    """`BrandOptions`, parsed."""

    logo_url: str | None = option(None, env="LOGO_URL", doc="Logo, shown on every page instead of the name, 32 pixels high: a path of the application's own, such as `/static/logo.svg`, or an `https` URL, whose origin the content policy then allows for images.")
    accent_color: str | None = option(None, env="ACCENT_COLOR", doc="Color of buttons and links, as `#rrggbb` or `#rgb`. What is too light or too dark to be read is darkened or lightened, and dark pages get a variant of their own.")
    footer: str | None = option(None, env="FOOTER", doc="Text at the foot of every page.")
    favicon_url: str | None = option(None, env="FAVICON_URL", shown="the first letter of the name", doc="Icon of the browser's tab: a path of the application's own, or an `https` URL.")
    page_policy: PagePolicy | None = option(None, doc="What pages may load beyond what the built-in ones need, such as `PagePolicy(font_src=(\"https://fonts.example\",))`: widens the content security policy of each.")
# fmt: on
