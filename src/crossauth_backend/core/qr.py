"""QR codes, as inline SVG for pages with a strict policy and as a PNG in a `data:` URI."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

import segno

# A larger code can hardly be read from a screen.
_MOST: Final = 2000


@dataclass(frozen=True, slots=True)
class QrCode:
    """One code.

    Parameters:
        svg: an `svg` element.
        png: a `data:` URI.
    """

    svg: str
    png: str


def qr_code(text: str) -> QrCode | None:
    """The code of a text; `None` for one that is empty, or longer than can be read from a screen."""
    if not text or len(text) > _MOST:
        return None
    code, svg = segno.make(text, micro=False), BytesIO()
    code.save(svg, kind="svg", xmldecl=False, omitsize=True, svgclass="qr", lineclass=None, border=4)
    return QrCode(svg.getvalue().decode(), code.png_data_uri(scale=5))
