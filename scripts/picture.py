"""A picture as SVG: boxes, lines of text and arrows, in light and dark."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Final

LINE: Final = 21
DASHES: Final = "6 4"
STYLE: Final = """
.box{fill:#fff;stroke:#4a5568}.ok{fill:#e6f4ea;stroke:#1e7b3a}.no{fill:#fdecea;stroke:#b3261e}.ask{fill:#fff6dd;stroke:#8a6100}
text{fill:#1a202c;font:15px system-ui,sans-serif}.line{stroke:#4a5568;fill:none}.quiet{fill:#4a5568}.head{fill:#4a5568}
.bold{font-weight:600}.page{fill:#fff}
@media(prefers-color-scheme:dark){.page{fill:#16181d}.box{fill:#23262d;stroke:#a0aec0}.ok{fill:#12341f;stroke:#6fcf8f}
.no{fill:#3d1815;stroke:#f2a19a}.ask{fill:#3a2d0a;stroke:#e8c265}text{fill:#edf2f7}.line{stroke:#a0aec0}.quiet,.head{fill:#a0aec0}}
"""


@dataclass
class Picture:
    """One picture; its parts are added from the top to the bottom.

    Parameters:
        title: what it shows, for people who can't see it.
        width, height: in pixels.
        description: all that it shows, where the title doesn't say it.
    """

    title: str
    width: float
    height: float
    parts: list[str] = field(default_factory=list)
    description: str = ""

    def box(self, x: float, y: float, w: float, lines: str, kind: str = "box") -> float:
        """A box with text in its middle; returns where it ends."""
        texts = lines.split("\n")
        h = len(texts) * LINE + 16
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        for n, text in enumerate(texts):
            bold = ' class="bold"' if n == 0 and len(texts) > 1 else ""
            at = y + 8 + LINE * n + 16
            self.parts.append(f'<text{bold} x="{x + w / 2}" y="{at}" text-anchor="middle">{escape(text)}</text>')
        return y + h

    def text(self, x: float, y: float, text: str, kind: str = "quiet", anchor: str = "start") -> None:
        """A line of text."""
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>')

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """An arrow through these points."""
        line = " ".join(f"{x},{y}" for x, y in points)
        dashes = f' stroke-dasharray="{DASHES}"' if dashed else ""
        self.parts.append(f'<polyline class="line"{dashes} points="{line}" marker-end="url(#head)"/>')

    def line(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """A line through these points, without a head."""
        self.arrow(*points, dashed=dashed)
        self.parts[-1] = self.parts[-1].replace(' marker-end="url(#head)"', "")

    def svg(self) -> str:
        """The picture."""
        head = (
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path class="head" d="M0 0 10 5 0 10z"/></marker></defs>'
        )
        described = ' aria-describedby="d"' if self.description else ""
        description = f'<desc id="d">{escape(self.description)}</desc>' if self.description else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" aria-labelledby="t"{described}>'
            f'<title id="t">{escape(self.title)}</title>{description}'
            f"<style>{STYLE}</style>{head}"
            f'<rect class="page" width="{self.width}" height="{self.height}"/>' + "".join(self.parts) + "</svg>\n"
        )
